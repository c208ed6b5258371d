/**
 * The program as the tests start it: the files that dist/cli.js and its threads import, joined to a few. The tests
 * start it hundreds of times, and finding, reading and linking 800 small files takes more than half of the processor
 * time until it serves. It is the same code otherwise. Tests of the tarball, of other Nodes and of limits run dist/
 * itself, as it ships.
 */
import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { build, type Plugin } from "esbuild";
import { ownDirectory, removeWithProcesses } from "../../harness/left-behind.ts";

const dist = fileURLToPath(new URL("../../dist", import.meta.url));
const entries = [
  "cli.js",
  "bridge/session/heartbeat-thread.js",
  "bridge/ingest/thread.js",
  "cli/transfer/apart-thread.js",
];
/** They start a thread whose file lies beside them, and find it in the same place among the joined ones. */
const STARTERS = /\/(heartbeat|ingestion|apart)\.js$/;
/** It looks for a compiled part beside its own file. */
const UNJOINED = /^msgpackr$/;

/** Before all tests; see vitest.config.ts. */
export async function setup(): Promise<(() => void) | undefined> {
  if (!existsSync(join(dist, "cli.js"))) return undefined;
  const outdir = ownDirectory("program");
  await build({
    entryPoints: entries.map((entry) => join(dist, entry)),
    outdir,
    outbase: dist,
    bundle: true,
    splitting: true,
    minifyWhitespace: true,
    platform: "node",
    format: "esm",
    outExtension: { ".js": ".mjs" },
    // For the packages that are CommonJS.
    banner: { js: `const require = (await import("node:module")).createRequire(${urlText(dist)});` },
    plugins: [atHome(outdir)],
    logLevel: "error",
  });
  // Not VSTORE_…: a program that a test starts in another way would take it for a setting.
  process.env.TESTED_PROGRAM = join(outdir, "cli.mjs");
  return () => removeWithProcesses(outdir);
}

/** Has every file find what lies beside it in dist/, whichever file it was joined to. */
function atHome(outdir: string): Plugin {
  return {
    name: "at home",
    setup({ onLoad, onResolve }) {
      onLoad({ filter: /\.js$/ }, async ({ path }) => {
        if (!path.startsWith(`${dist}/`)) return undefined;
        const home = STARTERS.test(path) ? path.replace(dist, outdir).replace(/\.js$/, ".mjs") : path;
        const text = await readFile(path, "utf8");
        return { contents: text.replaceAll("import.meta.url", urlText(home)) };
      });
      onResolve({ filter: UNJOINED }, ({ path, importer }) => ({
        path: createRequire(importer).resolve(path),
        external: true,
      }));
    },
  };
}

const urlText = (path: string) => JSON.stringify(pathToFileURL(path).href);
