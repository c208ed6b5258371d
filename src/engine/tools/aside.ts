/**
 * Builds a directory under another name and renames it when it is whole, so that a half one is never taken for it. What
 * an interrupted run leaves under the other name is replaced by the next.
 */
import * as fs from "node:fs";
import * as path from "node:path";
import { VstoreError } from "../../errors.ts";
import { syncDirectory } from "../disk/files.ts";
import { DirectoryLock } from "../disk/lock.ts";
import { LOCK_FILE, PARTIAL_SUFFIX } from "../disk/names.ts";

/**
 * Fills `target`, which must not exist or be empty; all of it is durable when this resolves.
 *
 * @param source where it comes from; the target must not be inside
 * @param fill makes everything durable that it puts into the directory it is given
 * @throws {VstoreError} ERR when there is something; LOCKED when another process builds the same
 */
export async function buildAside<Result>(
  source: string,
  target: string,
  fill: (partial: string) => Promise<Result>,
): Promise<Result> {
  const absolute = path.resolve(target);
  assertVacant(absolute);
  assertOutside(source, absolute);
  const partial = absolute + PARTIAL_SUFFIX;
  fs.mkdirSync(partial, { recursive: true });
  const lock = DirectoryLock.acquire(partial);
  try {
    clear(partial);
    const result = await fill(partial);
    await syncDirectory(partial);
    await fs.promises.rename(partial, absolute);
    await syncDirectory(path.dirname(absolute));
    return result;
  } catch (error) {
    fs.rmSync(partial, { recursive: true, force: true });
    throw error;
  } finally {
    lock.release();
  }
}

function assertVacant(target: string): void {
  const stat = fs.statSync(target, { throwIfNoEntry: false });
  if (stat === undefined) return;
  if (!stat.isDirectory() || fs.readdirSync(target).length > 0) {
    throw new VstoreError("ERR", `${target} exists and is not an empty directory; nothing was changed`);
  }
  if (stat.dev !== fs.statSync(path.dirname(target)).dev) {
    throw new VstoreError("ERR", `${target} is a mount point; name a directory below it`);
  }
}

/** A copy inside its source would be part of what is copied next time, and go with it. */
function assertOutside(source: string, target: string): void {
  const inside = path.relative(fs.realpathSync(source), realPathOf(target));
  if (inside.split(path.sep)[0] === ".." || path.isAbsolute(inside)) return;
  throw new VstoreError("ERR", `${target} is inside ${source}; name a directory outside of it`);
}

/** The real path of its nearest ancestor that exists, and the rest: the path itself may not exist yet. */
function realPathOf(absolute: string): string {
  if (fs.existsSync(absolute)) return fs.realpathSync(absolute);
  return path.join(realPathOf(path.dirname(absolute)), path.basename(absolute));
}

function clear(directory: string): void {
  for (const entry of fs.readdirSync(directory)) {
    if (entry !== LOCK_FILE) fs.rmSync(`${directory}/${entry}`, { recursive: true });
  }
}
