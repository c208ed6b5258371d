/**
 * What is left of a cache that was dropped: its entries, until their values in Redis have ended. The collection exists
 * no more, and its files are in a directory of their own until they are forgotten.
 */
import { rm } from "node:fs/promises";
import { endingDirectory } from "../disk/names.ts";
import { TimeSlice } from "../time-slice.ts";
import type { Parts } from "./parts.ts";

/** An entry of the cache. */
export interface Remnant {
  readonly key: Uint8Array;
  /** JSON; undefined where it has none. */
  readonly attributes: Buffer | undefined;
}

export class Remains {
  readonly name: string;
  /** Log ids of the collection's CREATE, and of the last entry that it has seen. */
  readonly createdId: string;
  readonly position: string;
  readonly #parts: Parts;

  /** @param parts whose keys and attributes are still open, and nothing else */
  constructor(name: string, createdId: string, position: string, parts: Parts) {
    this.name = name;
    this.createdId = createdId;
    this.position = position;
    this.#parts = parts;
  }

  /** Must be called once the files are in another directory. */
  movedTo(directory: string): void {
    const { log } = this.#parts.attributes;
    log.moveTo(directory + log.path.slice(this.#parts.directory.length));
  }

  /** The entries, in the order of their slots, a slice at a time. */
  async *entries(): AsyncGenerator<Remnant> {
    const { live, keys, attributes } = this.#parts;
    const slice = new TimeSlice();
    for (const slot of live.slots()) {
      yield { key: keys.table.keyOf(slot), attributes: attributes.get(slot) };
      if (slice.spent) await slice.pause();
    }
  }

  close(): void {
    this.#parts.attributes.log.close();
  }
}

/** Those of one data directory, by the id of the DROP. */
export class RemainsByDrop {
  readonly #directory: string;
  readonly #all = new Map<string, Remains>();

  constructor(directory: string) {
    this.#directory = directory;
  }

  /** Where the files go. */
  pathOf(dropId: string): string {
    return `${this.#directory}/${endingDirectory(dropId)}`;
  }

  add(dropId: string, remains: Remains): void {
    remains.movedTo(this.pathOf(dropId));
    this.#all.set(dropId, remains);
  }

  of(dropId: string): Remains | undefined {
    return this.#all.get(dropId);
  }

  /** Ids of the DROPs, the oldest first. */
  get dropIds(): string[] {
    return [...this.#all.keys()];
  }

  /** Deletes the files: their values have ended, or are to stay. */
  async forget(dropId: string): Promise<void> {
    this.#all.get(dropId)?.close();
    this.#all.delete(dropId);
    await rm(this.pathOf(dropId), { recursive: true, force: true });
  }
}
