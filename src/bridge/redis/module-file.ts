/**
 * The file vstore.so, which Redis loads. A clone has it from `make build`; an installed package carries the sources and
 * compiles them when the file is first needed: beside them, or below the user's cache where the package cannot be
 * written.
 */
import { execFile } from "node:child_process";
import { constants } from "node:fs";
import { access, cp, mkdir, mkdtemp, readFile, rename, rm } from "node:fs/promises";
import { homedir, tmpdir } from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import type { Logger } from "../../log.ts";

const run = promisify(execFile);
const file = "vstore.so";
const packageRoot = fileURLToPath(new URL("../../..", import.meta.url));
const sources = path.join(packageRoot, "redis");

/**
 * The path of the module, which is built now if necessary. @throws Error that says what to do when it cannot be built
 */
export async function ensureModule(log: Pick<Logger, "info">): Promise<string> {
  for (const directory of [sources, await cacheDirectory()]) {
    const built = path.join(directory, file);
    if (await isAllowed(built, constants.R_OK)) return built;
  }
  const directory = (await isAllowed(sources, constants.W_OK)) ? sources : await cacheDirectory();
  log.info("building the Redis module; this takes a few seconds, once");
  await build(directory);
  return path.join(directory, file);
}

/** Compiles a copy, in a directory of its own: another process may be doing the same, and make cannot handle spaces. */
async function build(directory: string): Promise<void> {
  await mkdir(directory, { recursive: true });
  const temporary = await mkdtemp(path.join(tmpdir(), "vstore-module-"));
  const own = path.join(directory, `${file}.${process.pid}`);
  try {
    await cp(sources, temporary, { recursive: true, filter: (name) => !/\.(o|so)$/.test(name) });
    await run("make", ["WERROR="], { cwd: temporary }).catch(explain);
    await cp(path.join(temporary, file), own);
    await rename(own, path.join(directory, file));
  } finally {
    await rm(temporary, { recursive: true, force: true });
  }
}

function explain(error: Error & { stderr?: string }): never {
  const reason = (error.stderr?.trim() || error.message).split("\n")[0];
  throw new Error(
    `the Redis module cannot be built (${reason}): install make and a C compiler, or join a Redis that has it with --redis-url`,
  );
}

async function cacheDirectory(): Promise<string> {
  const { version } = JSON.parse(await readFile(path.join(packageRoot, "package.json"), "utf8"));
  return path.join(process.env.XDG_CACHE_HOME || path.join(homedir(), ".cache"), "vstore", version);
}

async function isAllowed(file: string, mode: number): Promise<boolean> {
  return access(file, mode).then(
    () => true,
    () => false,
  );
}
