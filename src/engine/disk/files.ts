/** The few file-system calls the engine makes, each with the care it needs: complete, durable, FULL on a full disk. */
import * as fs from "node:fs";
import { promisify } from "node:util";
import { DamagedFileError, VstoreError } from "../../errors.ts";
import { failPoint } from "../fail-point.ts";
import { TEMPORARY_SUFFIX } from "./names.ts";

const writeAsync = promisify(fs.write);
/** Flushes a file's data, pages dirtied through a mapping included, without blocking the event loop. */
export const syncData: (descriptor: number) => Promise<void> = promisify(fs.fdatasync);

/** Writes all of `bytes` at `position`. @throws {VstoreError} FULL */
export async function write(descriptor: number, bytes: Uint8Array, position: number): Promise<void> {
  let done = 0;
  while (done < bytes.length) {
    const { bytesWritten } = await writeAsync(
      descriptor,
      bytes,
      done,
      bytes.length - done,
      position + done,
    ).catch(rethrow);
    done += bytesWritten;
  }
}

/** The same, before it returns. @throws {VstoreError} FULL */
export function writeSync(descriptor: number, bytes: Uint8Array, position: number): void {
  let done = 0;
  try {
    while (done < bytes.length) {
      done += fs.writeSync(descriptor, bytes, done, bytes.length - done, position + done);
    }
  } catch (error) {
    rethrow(error);
  }
}

/** Makes the names in a directory durable: new files, renames and removals. */
export async function syncDirectory(path: string): Promise<void> {
  const directory = await fs.promises.open(path, "r");
  try {
    await directory.sync();
  } finally {
    await directory.close();
  }
}

/**
 * Replaces the file at `path` by `text`: after a crash at any moment it holds the old text or the new one.
 *
 * @throws {VstoreError} FULL
 */
export async function replaceFile(directory: string, name: string, text: string): Promise<void> {
  const temporary = `${directory}/${name}${TEMPORARY_SUFFIX}`;
  const file = await fs.promises.open(temporary, "w").catch(rethrow);
  try {
    await file.writeFile(text).catch(rethrow);
    await file.sync();
  } finally {
    await file.close();
  }
  failPoint("replace-before-rename");
  await fs.promises.rename(temporary, `${directory}/${name}`);
  failPoint("replace-after-rename");
  await syncDirectory(directory);
}

/** Removes a file or a directory, if it is there, on other threads: to free large files takes the system a while. */
export function removeFiles(path: string): Promise<void> {
  return fs.promises.rm(path, { recursive: true, force: true });
}

/** Opens an existing file to be read. @throws {DamagedFileError} when it is missing or something else than a file */
export function openFile(path: string): number {
  const stat = fs.statSync(path, { throwIfNoEntry: false });
  if (stat === undefined) throw new DamagedFileError(path, 0, "the file is missing");
  if (!stat.isFile()) throw new DamagedFileError(path, 0, "something else than a file");
  return fs.openSync(path, "r");
}

/** The parsed JSON of a file, or undefined when there is no such file. */
export async function readText(path: string): Promise<string | undefined> {
  try {
    return await fs.promises.readFile(path, "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
}

/**
 * Share of the free disk space that a saved index or saved columns may take: they can be made again, writers cannot do
 * without room.
 */
const FREE_SHARE_MAX = 0.5;

/** @throws {VstoreError} FULL when so many bytes more would take most of the free disk space */
export async function assertRoom(directory: string, bytes: number, what: string): Promise<void> {
  const { bavail, bsize } = await fs.promises.statfs(directory);
  if (bytes <= bavail * bsize * FREE_SHARE_MAX) return;
  throw new VstoreError("FULL", `${what} of about ${bytes} bytes would take most of the free disk space`);
}

/** Ignores a full disk, for work that the next attempt may do. */
export function ignoreFull(error: unknown): void {
  if (!(error instanceof VstoreError && error.code === "FULL")) throw error;
}

/** Turns a full disk or quota, an expected failure, into FULL; rethrows everything else as it came. */
export function rethrow(error: unknown): never {
  const code = (error as NodeJS.ErrnoException).code;
  if (code === "ENOSPC" || code === "EDQUOT") {
    throw new VstoreError("FULL", "the disk of the data directory is full", { cause: error });
  }
  throw error;
}
