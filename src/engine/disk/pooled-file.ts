/**
 * A file that has a descriptor while it is used. A process may have only so many, and most of a thousand collections
 * are quiet: beyond a limit the least recently used descriptor is closed, and the file is opened again by its path when
 * needed.
 */
import * as fs from "node:fs";
import { DamagedFileError } from "../../errors.ts";
import { descriptorsKept } from "../../open-files.ts";

/** The files that have a descriptor; the least recently used comes first. */
const open = new Set<PooledFile>();

export class PooledFile {
  /** Changes when the file is renamed. */
  path: string;
  #descriptor: number | undefined;
  /** Calls under way, during which the descriptor stays. */
  #users = 0;
  #isClosed = false;

  /** @param descriptor of the file, open for reading and writing; closed by this from now on */
  constructor(path: string, descriptor: number) {
    this.path = path;
    this.#descriptor = descriptor;
    this.#touch();
  }

  /** @throws {DamagedFileError} when the file is missing */
  use<T>(run: (descriptor: number) => T): T {
    const descriptor = this.#open();
    this.#users++;
    try {
      return run(descriptor);
    } finally {
      this.#release();
    }
  }

  /** The same for what takes a while. */
  async during<T>(run: (descriptor: number) => Promise<T>): Promise<T> {
    const descriptor = this.#open();
    this.#users++;
    try {
      return await run(descriptor);
    } finally {
      this.#release();
    }
  }

  /** For good: a late reader meets an error instead of another file. */
  close(): void {
    this.#isClosed = true;
    if (this.#users === 0) this.#letGo();
  }

  #open(): number {
    if (this.#isClosed) throw new Error(`${this.path} is closed`);
    this.#descriptor ??= openExisting(this.path);
    this.#touch();
    return this.#descriptor;
  }

  #release(): void {
    this.#users--;
    if (this.#users === 0 && this.#isClosed) this.#letGo();
  }

  #touch(): void {
    open.delete(this);
    open.add(this);
    if (open.size <= descriptorsKept()) return;
    for (const file of open) {
      if (file === this || file.#users > 0) continue;
      file.#letGo();
      return;
    }
  }

  #letGo(): void {
    open.delete(this);
    if (this.#descriptor === undefined) return;
    fs.closeSync(this.#descriptor);
    this.#descriptor = undefined;
  }
}

function openExisting(path: string): number {
  try {
    return fs.openSync(path, "r+");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
    throw new DamagedFileError(path, 0, "the file is missing");
  }
}
