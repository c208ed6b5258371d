/** One process per data directory: an exclusive flock, which the kernel releases however the process ends. */
import * as fs from "node:fs";
import { flockSync } from "fs-ext";
import { VstoreError } from "../../errors.ts";
import { ignoreFull, writeSync } from "./files.ts";
import { LOCK_FILE } from "./names.ts";

export class DirectoryLock {
  readonly #descriptor: number;

  private constructor(descriptor: number) {
    this.#descriptor = descriptor;
  }

  /** @throws {VstoreError} LOCKED, with the holder's process id */
  static acquire(directory: string): DirectoryLock {
    const descriptor = openLocked(directory, "a+", "exnb");
    notePid(descriptor);
    return new DirectoryLock(descriptor);
  }

  /**
   * Keeps a process that would write away, without leaving a trace: for those who only read. Undefined when there is no
   * lock file, as in a copy made by hand.
   *
   * @throws {VstoreError} LOCKED
   */
  static acquireShared(directory: string): DirectoryLock | undefined {
    const path = `${directory}/${LOCK_FILE}`;
    if (!fs.existsSync(path)) return undefined;
    return new DirectoryLock(openLocked(directory, "r", "shnb"));
  }

  release(): void {
    fs.closeSync(this.#descriptor);
  }
}

/** For the message to others: a disk that is too full for it must not keep anybody from reading what is there. */
function notePid(descriptor: number): void {
  try {
    fs.ftruncateSync(descriptor);
    writeSync(descriptor, Buffer.from(`${process.pid}\n`), 0);
  } catch (error) {
    ignoreFull(error);
  }
}

function openLocked(directory: string, flags: "a+" | "r", how: "exnb" | "shnb"): number {
  const path = `${directory}/${LOCK_FILE}`;
  const descriptor = fs.openSync(path, flags);
  try {
    flockSync(descriptor, how);
    return descriptor;
  } catch (error) {
    fs.closeSync(descriptor);
    if ((error as NodeJS.ErrnoException).code !== "EAGAIN") throw error;
    const holder = fs.readFileSync(path, "utf8").trim();
    throw new VstoreError("LOCKED", `${directory} is in use by process ${holder}`);
  }
}
