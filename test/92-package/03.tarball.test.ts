/**
 * What `npm pack` makes of a fresh clone, installed in an empty directory: it serves. The packages that it needs are
 * those of our package-lock.json, from npm's cache, so the registry is asked for no more than `npm ci` asked it for.
 */
import { execFile, execFileSync, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import * as fs from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { checkPackage, createPackageFromTarballData } from "@arethetypeswrong/core";
import { Redis } from "ioredis";
import { publint } from "publint";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { freePort } from "../../harness/free-port.ts";
import { serverProgram } from "../../harness/server-program.ts";

const run = promisify(execFile);
const root = fileURLToPath(new URL("../..", import.meta.url));
/** It compiles, on a machine that may be busy. */
const patienceMs = 300_000;
/** Most of it are the word vectors of the sample. */
const tarballBytesMax = 2 * 1024 * 1024;

/** With what make, npm and shells stumble over. */
const place = fs.mkdtempSync(join(tmpdir(), "vstore päckage "));
const clone = join(place, "clone");
const app = join(place, "app");
const installed = join(app, "node_modules/vstore");
let tarball: string;
let packed: string[];

beforeAll(async () => {
  cloneHere();
  const { stdout } = await run("npm", ["pack", "--json", "--pack-destination", place], { cwd: clone });
  const [{ filename, files }] = JSON.parse(stdout) as [{ filename: string; files: { path: string }[] }];
  tarball = join(place, filename);
  packed = files.map(({ path }) => path);
  install();
}, patienceMs);
afterAll(() => fs.rmSync(place, { recursive: true, force: true }));

/** What git would give, with what has not been committed yet; and packages, so that they need not be fetched. */
function cloneHere(): void {
  const listed = execFileSync("git", ["ls-files", "-co", "--exclude-standard", "-z"], { cwd: root });
  const files = listed.toString().split("\0");
  for (const file of files.filter((name) => name !== "" && fs.existsSync(join(root, name)))) {
    fs.mkdirSync(dirname(join(clone, file)), { recursive: true });
    fs.cpSync(join(root, file), join(clone, file), { preserveTimestamps: true });
  }
  execFileSync("cp", ["-al", join(root, "node_modules"), join(clone, "node_modules")]);
  leaveTypesUnchecked();
}

/** test/99-house-rules checks them; what is built is the same. */
function leaveTypesUnchecked(): void {
  const file = join(clone, "tsconfig.json");
  const settings = JSON.parse(fs.readFileSync(file, "utf8"));
  settings.compilerOptions.noCheck = true;
  fs.writeFileSync(file, JSON.stringify(settings));
}

/** `npm install vstore.tgz`, with the versions of our own lock file. Nothing is compiled. */
function install(): void {
  const lock = JSON.parse(fs.readFileSync(join(root, "package-lock.json"), "utf8"));
  const { name: _, devDependencies: __, ...vstore } = lock.packages[""];
  const needed = Object.entries<{ dev?: boolean }>(lock.packages).filter(
    ([name, { dev }]) => name !== "" && !dev,
  );
  const dependencies = { vstore: `file:${tarball}` };
  lock.packages = {
    "": { name: "app", dependencies },
    ...Object.fromEntries(needed),
    "node_modules/vstore": { ...vstore, resolved: `file:${tarball}` },
  };
  fs.mkdirSync(app);
  fs.writeFileSync(join(app, "package.json"), JSON.stringify({ name: "app", dependencies }));
  fs.writeFileSync(join(app, "package-lock.json"), JSON.stringify({ ...lock, name: "app" }));
  execFileSync("npm", ["ci", "--ignore-scripts", "--prefer-offline", "--no-audit", "--no-fund"], {
    cwd: app,
    stdio: "pipe",
  });
}

const environment = (extra: NodeJS.ProcessEnv = {}) => ({
  ...Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith("VSTORE_"))),
  ...extra,
});

async function vstore(args: string[], extra: NodeJS.ProcessEnv = {}) {
  const options = { cwd: app, env: environment(extra) };
  // As npx runs it, which takes longer to start than vstore does.
  return run(join(app, "node_modules/.bin/vstore"), args, options).then(
    ({ stdout, stderr }) => ({ code: 0, stdout, stderr }),
    ({ code, stdout, stderr }) =>
      ({ code, stdout, stderr }) as { code: number; stdout: string; stderr: string },
  );
}

test("the tarball has the program and all sources, and nothing that this machine has built but dist/", () => {
  for (const file of [
    "dist/cli.js",
    "dist/index.d.ts",
    "redis/vstore.c",
    "redis/answers/resp3.h",
    "redis/Makefile",
    "native/node/files.cc",
    "native/codes/kernels_neon.cc",
    "native/graph/graph.h",
  ])
    expect(packed).toContain(file);
  expect(packed.filter((file) => /\.(o|so|node|a)$|^build\/|^test\/|^node_modules\//.test(file))).toEqual([]);
  expect(fs.statSync(tarball).size).toBeLessThan(tarballBytesMax);
});

test("publint finds nothing wrong with it", async () => {
  const contents = fs.readFileSync(tarball);
  const { messages } = await publint({ pack: { tarball: new Uint8Array(contents).buffer }, strict: true });
  expect(messages.filter(({ type }) => type !== "suggestion")).toEqual([]);
});

test("are-the-types-wrong finds nothing wrong with it", async () => {
  const result = await checkPackage(createPackageFromTarballData(new Uint8Array(fs.readFileSync(tarball))));
  const problems = "problems" in result ? result.problems : [{ kind: "no types" }];
  // The package has ES modules only, which require() takes from Node 22 on.
  expect(problems.filter(({ kind }) => kind !== "CJSResolvesToESM")).toEqual([]);
});

test.each(["node16", "bundler", "node10"])(
  "TypeScript finds its types, with moduleResolution %s",
  (resolution) => {
    const source = `
    import { MmapVectorStore, type SearchResult } from "vstore";
    import { Vstore } from "vstore/client";
    export const found: Promise<SearchResult[]> = MmapVectorStore.open("x").then((s) => s.search(new Float32Array(2), { k: 1 }));
    export const client: typeof Vstore = Vstore;
    // @ts-expect-error no such option
    MmapVectorStore.open("x", { dimension: 2 });
  `;
    fs.writeFileSync(join(app, "use.mts"), source);
    const types = ["--typeRoots", join(root, "node_modules/@types")];
    const module = { node16: "node16", bundler: "esnext", node10: "esnext" }[resolution]!;
    const flags = ["--noEmit", "--strict", "--skipLibCheck", "--target", "es2022", "--types", "node"];
    const args = [...flags, "--module", module, "--moduleResolution", resolution, ...types, "use.mts"];
    const { stdout } = spawnSync(join(root, "node_modules/.bin/tsc"), args, { cwd: app, encoding: "utf8" });
    expect(stdout).toBe("");
  },
);

function pathWithoutCompiler(): string {
  const bin = fs.mkdtempSync(join(place, "bin"));
  for (const program of ["node", "npm", "npx", "sh"])
    fs.symlinkSync(execFileSync("which", [program], { encoding: "utf8" }).trim(), join(bin, program));
  return bin;
}

describe("installed with --ignore-scripts", () => {
  test("npx finds it; it tells its commands and its version", async () => {
    const { stdout } = await run("npx", ["vstore", "--version"], { cwd: app, env: environment() });
    expect(stdout).toMatch(/^\d+\.\d+\.\d+\n$/);
    expect(await vstore(["--help"])).toMatchObject({ code: 0, stdout: expect.stringContaining("serve") });
    expect((await vstore(["--version"])).stdout).toMatch(/^\d+\.\d+\.\d+\n$/);
  });

  test("it says in one line what to run", async () => {
    const { code, stdout, stderr } = await vstore(["serve", "--data-dir", join(place, "data")]);
    expect({ code, stdout }).toEqual({ code: 1, stdout: "" });
    expect(stderr.trimEnd().split("\n")).toEqual([
      expect.stringMatching(/^vstore: .* is not built: run `npm rebuild vstore`/),
    ]);
  });

  test("a format that needs packages of its own says which", async () => {
    for (const [file, packages] of [
      ["films.arrow", "apache-arrow"],
      ["films.parquet", "hyparquet hyparquet-compressors"],
    ]) {
      fs.writeFileSync(join(app, file!), "");
      const { code, stderr } = await vstore(["import", "films", file!]);
      expect({ code, stderr }).toEqual({
        code: 2,
        stderr: expect.stringContaining(`npm install ${packages}\n`),
      });
    }
    const { stderr } = await vstore([
      "import",
      "c",
      "--from-pgvector",
      "postgres://127.0.0.1/x",
      "--table",
      "t",
    ]);
    expect(stderr).toContain("npm install pg\n");
  });

  test("without a compiler it says what to install", async () => {
    const PATH = pathWithoutCompiler();
    const { code, stderr } = await vstore(["serve", "--data-dir", join(place, "data")], { PATH });
    expect(code).toBe(1);
    expect(stderr).toMatch(/is not built: install g\+\+ make python3, then run `npm rebuild vstore`/);
  });
});

/** In a process group of its own, which gets the signal as from a terminal: npx passes none on. */
async function serveBriefly(port: number, use: (redis: Redis) => Promise<void>): Promise<void> {
  const args = ["--port", String(port), "--redis-server", serverProgram, "--data-dir", "daten ü"];
  const server = spawn("npx", ["vstore", "serve", ...args], {
    cwd: app,
    env: environment(),
    stdio: ["ignore", "pipe", "inherit"],
    detached: true,
  });
  const end = once(server.stdout, "close");
  const output: string[] = [];
  server.stdout.on("data", (data: Buffer) => output.push(String(data)));
  await Promise.race([once(server.stdout, "data"), end]);
  expect(output.join("")).toContain("vstore ready");
  const redis = new Redis({ port, host: "127.0.0.1", protocol: 2 });
  try {
    await use(redis);
  } finally {
    redis.disconnect();
    process.kill(-server.pid!, "SIGTERM");
    await end;
  }
}

test("with its addon ready-made, as prebuildify leaves it, it needs no compiler", async () => {
  const ready = join(installed, "prebuilds", `${process.platform}-${process.arch}`);
  fs.mkdirSync(ready, { recursive: true });
  fs.copyFileSync(join(root, "build/Release/vstore.node"), join(ready, "vstore.node"));
  await run("npm", ["rebuild", "vstore"], { cwd: app, env: environment({ PATH: pathWithoutCompiler() }) });
  expect(fs.existsSync(join(installed, "build"))).toBe(false);
  const { stdout } = await vstore(["doctor"]);
  fs.rmSync(join(installed, "prebuilds"), { recursive: true });
  expect(stdout).toMatch(/index.*native/);
});

const rebuilt = "rebuilt, it serves with a Redis of its own and a module that it compiles itself";
test(rebuilt, { timeout: patienceMs }, async () => {
  // With less optimization, which is half of the work.
  await run("npm", ["rebuild", "vstore"], { cwd: app, env: { ...process.env, CXXFLAGS: "-O1" } });
  await serveBriefly(await freePort(), async (redis) => {
    await redis.call("VSTORE.CREATE", "c", "DIM", 2);
    await redis.call("VSTORE.INSERT", "c", "a", "VALUES", 2, 1, 0);
    expect(await redis.call("VSTORE.SEARCH", "c", "VALUES", 2, 1, 0)).toEqual(["a"]);
  });
  expect(fs.existsSync(join(installed, "redis/vstore.so"))).toBe(true);
  const { stdout } = await vstore(["module", "--print-path"]);
  expect(stdout).toBe(`${fs.realpathSync(installed)}/redis/vstore.so\n`);
});
