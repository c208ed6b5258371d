/**
 * The addon of native/: locks and mappings of files, and the native index. node-gyp-build finds it, be it compiled when
 * the package was installed or brought ready in prebuilds/. Each file that uses it says what happens without it.
 */
import { spawnSync } from "node:child_process";
import { createRequire } from "node:module";
import { fileURLToPath } from "node:url";
import { VstoreError } from "../errors.ts";

/** From src/engine and from dist/engine alike. */
const packageRoot = fileURLToPath(new URL("../..", import.meta.url));

/** Programs that compiling needs, and the package of Debian that has each. */
const tools = { "c++": "g++", make: "make", python3: "python3" };

let loaded: object | undefined;

/** Undefined where it is not built. */
export function findAddon<Addon extends object>(): Addon | undefined {
  try {
    loaded ??= (createRequire(import.meta.url)("node-gyp-build") as (root: string) => object)(packageRoot);
  } catch {
    return undefined;
  }
  return loaded as Addon;
}

/** @throws {VstoreError} ERR that says, in one line, what to do to have what needs the addon */
export function notBuilt(what: string): VstoreError {
  return new VstoreError("ERR", `${what} is not built: ${remedy()}`);
}

/** One line that says how to get the addon. */
export function remedy(): string {
  const missing = Object.keys(tools).filter((tool) => spawnSync(tool, ["--version"]).error !== undefined);
  const packages = missing.map((tool) => tools[tool as keyof typeof tools]).join(" ");
  const install = missing.length === 0 ? "" : `install ${packages}, then `;
  return `${install}run \`npm rebuild vstore\` (pnpm: \`pnpm approve-builds\`; in a clone: \`make build\`)`;
}
