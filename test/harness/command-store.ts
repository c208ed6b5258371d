/**
 * Commands from argument bytes to reply bytes, on a real store in a directory of its own that has collection "c" of two
 * dimensions under L2. Replies are written as their RESP3 lines, one space for each line end.
 */

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect } from "vitest";
import { execute, type Outcome } from "../../src/commands/execute.ts";
import { Catalog } from "../../src/engine/catalog.ts";
import { fp32 } from "./fp32.ts";

export type Word = string | number | Uint8Array;

export class CommandStore {
  directory!: string;
  catalog!: Catalog;
  /** How many requests there were; the last one has id `<requests>-0`. */
  requests = 0;
  #unexpected: unknown[] = [];

  async open(): Promise<void> {
    this.directory = mkdtempSync(join(tmpdir(), "vstore-commands-"));
    this.catalog = await Catalog.open(this.directory);
    this.requests = 0;
    this.#unexpected = [];
    await this.run("CREATE", "c", "DIM", 2, "METRIC", "L2");
  }

  async close(): Promise<void> {
    await this.catalog.close();
    rmSync(this.directory, { recursive: true });
    expect(this.#unexpected).toEqual([]);
  }

  /** Does something to the files while no store has them open. */
  async reopenAfter(change: () => void): Promise<void> {
    await this.catalog.close();
    change();
    this.catalog = await Catalog.open(this.directory);
  }

  start = (name: string, ...words: Word[]): Outcome | Promise<Outcome> => {
    const args = words.map((word) => (typeof word === "object" ? word : Buffer.from(String(word))));
    const id = `${++this.requests}-0`;
    const { catalog } = this;
    const onUnexpectedError = (error: unknown) => this.#unexpected.push(error);
    const collection = catalog.collections().find(({ name }) => name === words[0]);
    const onApplied = () => {
      if (collection) collection.appliedId = id;
    };
    return execute({ catalog, id, time: this.requests, onUnexpectedError }, name, args, onApplied);
  };

  run = async (name: string, ...words: Word[]): Promise<string> => {
    const { bytes } = await this.start(name, ...words);
    return bytes.toString("latin1").trimEnd().replaceAll("\r\n", " ");
  };

  /** What every command that asks shows of it. */
  state = async (): Promise<string[]> => {
    const { run } = this;
    const keys = await run("SCAN", "c", 0, "COUNT", 1000);
    const vectors = await run("SEARCH", "c", "FP32", fp32(0, 0), "COUNT", 1000, "WITHDISTANCES", "WITHATTRS");
    return [await run("LIST"), await run("CARD", "c"), keys, vectors];
  };
}

/** A new one for every test of the file. */
export function eachTestOnStore(): CommandStore {
  const store = new CommandStore();
  beforeEach(() => store.open());
  afterEach(() => store.close());
  return store;
}
