/** One process per data directory: an exclusive flock, which the kernel releases however the process ends. */
import { spawnSync } from "node:child_process";
import * as fs from "node:fs";
import { VstoreError } from "../../errors.ts";
import { findAddon, notBuilt } from "../addon.ts";
import { ignoreFull, writeSync } from "./files.ts";
import { LOCK_FILE } from "./names.ts";

export class DirectoryLock {
  /** The open file that has the lock. A process that inherits it has the lock too, for as long as it lives. */
  readonly descriptor: number;

  private constructor(descriptor: number) {
    this.descriptor = descriptor;
  }

  /** @throws {VstoreError} LOCKED, with the holder's process id */
  static acquire(directory: string): DirectoryLock {
    const descriptor = openLocked(directory, "a+");
    notePid(descriptor);
    return new DirectoryLock(descriptor);
  }

  /**
   * Excludes writers without leaving a trace, for a process that only reads. Undefined when there is no
   * lock file, as in a copy made by hand.
   *
   * @throws {VstoreError} LOCKED
   */
  static acquireShared(directory: string): DirectoryLock | undefined {
    const path = `${directory}/${LOCK_FILE}`;
    if (!fs.existsSync(path)) return undefined;
    return new DirectoryLock(openLocked(directory, "r"));
  }

  release(): void {
    fs.closeSync(this.descriptor);
  }
}

/** For the message to other processes. A disk that is too full for it must not prevent reading. */
function notePid(descriptor: number): void {
  try {
    fs.ftruncateSync(descriptor);
    writeSync(descriptor, Buffer.from(`${process.pid}\n`), 0);
  } catch (error) {
    ignoreFull(error);
  }
}

/** A writer is alone; a reader excludes writers. */
function openLocked(directory: string, flags: "a+" | "r"): number {
  const path = `${directory}/${LOCK_FILE}`;
  const descriptor = fs.openSync(path, flags);
  try {
    if (lockFile(descriptor, flags === "a+")) return descriptor;
    const holder = fs.readFileSync(path, "utf8").trim();
    throw new VstoreError("LOCKED", `${directory} is in use by process ${holder}`);
  } catch (error) {
    fs.closeSync(descriptor);
    throw error;
  }
}

type LockFile = (descriptor: number, exclusive: boolean) => boolean;

/** False when another process has the lock. */
const lockFile: LockFile = (descriptor, exclusive) =>
  (findAddon<{ lockFile: LockFile }>()?.lockFile ?? portableLockFile)(descriptor, exclusive);

/**
 * Locks by the program flock, where the addon is not built. flock locks the open file that it inherits. The lock
 * belongs to that open file, so it outlives flock and ends with this process.
 *
 * @throws {VstoreError} ERR where there is no such program
 */
export const portableLockFile: LockFile = (descriptor, exclusive) => {
  const inherited = 3;
  const how = [exclusive ? "-x" : "-s", "-n", String(inherited)];
  const { status, error } = spawnSync("flock", how, { stdio: ["ignore", "ignore", "ignore", descriptor] });
  if (error !== undefined || (status !== 0 && status !== 1)) throw notBuilt("what locks a directory");
  return status === 0;
};
