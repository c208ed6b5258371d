/** One process per data directory: an exclusive flock, which the kernel releases however the process ends. */
import * as fs from "node:fs";
import { flockSync } from "fs-ext";
import { VstoreError } from "../errors.ts";
import { LOCK_FILE } from "./names.ts";

export class DirectoryLock {
  readonly #descriptor: number;

  private constructor(descriptor: number) {
    this.#descriptor = descriptor;
  }

  /** @throws {VstoreError} LOCKED, with the holder's process id */
  static acquire(directory: string): DirectoryLock {
    const path = `${directory}/${LOCK_FILE}`;
    const descriptor = fs.openSync(path, "a+");
    try {
      flockSync(descriptor, "exnb");
    } catch (error) {
      fs.closeSync(descriptor);
      if ((error as NodeJS.ErrnoException).code !== "EAGAIN") throw error;
      const holder = fs.readFileSync(path, "utf8").trim();
      throw new VstoreError("LOCKED", `${directory} is in use by process ${holder}`);
    }
    fs.ftruncateSync(descriptor);
    fs.writeSync(descriptor, `${process.pid}\n`);
    return new DirectoryLock(descriptor);
  }

  release(): void {
    fs.closeSync(this.#descriptor);
  }
}
