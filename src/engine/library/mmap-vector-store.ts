/**
 * The engine as a library: one collection in one directory, used by one process, without Redis. There is no write-ahead
 * log here: what was written since the last `checkpoint` or `close` is lost when the process ends. docs/library.md says
 * more.
 */
import * as fs from "node:fs";
import { VstoreError } from "../../errors.ts";
import { limits } from "../../limits.ts";
import { Collection, type Hit, type InsertOptions, type SearchOptions } from "../collection.ts";
import { DirectoryLock } from "../disk/lock.ts";
import type { Explanation } from "../generation/matching.ts";
import type { Warn } from "../generation/parts.ts";
import { assertAvailable, type IndexChoice } from "../index/kinds.ts";
import { meanDifference } from "../mean.ts";
import type { CollectionOptions, Metric } from "../options.ts";
import {
  assertFlag,
  assertFloats,
  assertKeys,
  assertMaximum,
  assertMode,
  assertNumber,
  assertOptions,
  assertText,
  bytesOf,
  checkText,
  checkTexts,
  type Key,
  type Known,
} from "./arguments.ts";
import { assertSame, assertUsable, create } from "./store-directory.ts";

export type { Key } from "./arguments.ts";

export interface StoreInsertOptions extends Pick<InsertOptions, "mode"> {
  /** JSON text of an object; "" removes what the key has, undefined keeps it. */
  readonly attributes?: string | undefined;
}

export interface ExplainOptions {
  readonly k?: number;
  readonly ef?: number;
}

export interface StoreSearchOptions extends SearchOptions {
  /** Results carry the attributes of their keys. */
  readonly withAttributes?: boolean;
}

/** What to look for by keys of the store: near the mean of the vectors of some, and away from that of others. */
export interface Likeness {
  /** Keys, one at least. */
  readonly like: readonly Key[];
  readonly unlike?: readonly Key[];
  /** The keys given may be results. */
  readonly withSelf?: boolean;
}

export interface SearchResult {
  /** The key as text; use `keyBytes` when keys are not UTF-8. */
  readonly key: string;
  readonly keyBytes: Uint8Array;
  readonly distance: number;
  /** JSON text; only when asked for, and undefined when the key has none. */
  readonly attributes?: string | undefined;
}

const CREATE_OPTIONS: Known<CollectionOptions> = {
  dimensions: true,
  metric: true,
  M: true,
  efConstruction: true,
  ef: true,
  quantization: true,
  follow: true,
  cache: true,
  shards: true,
};
const INSERT_OPTIONS: Known<StoreInsertOptions> = { mode: true, attributes: true };
const LIKENESS: Known<Likeness> = { like: true, unlike: true, withSelf: true };
const EXPLAIN_OPTIONS: Known<ExplainOptions> = { k: true, ef: true };
const SEARCH_OPTIONS: Known<StoreSearchOptions> = {
  k: true,
  ef: true,
  exact: true,
  within: true,
  filter: true,
  offset: true,
  distinct: true,
  withAttributes: true,
};

export class MmapVectorStore {
  readonly #collection: Collection;
  readonly #lock: DirectoryLock;
  #closed = false;

  private constructor(collection: Collection, lock: DirectoryLock) {
    this.#collection = collection;
    this.#lock = lock;
  }

  /**
   * Opens the store in `directory`, or creates it there.
   *
   * @param options a new store requires `dimensions`; for an existing one every given option must be its own
   * @param warn told of a damaged index, which is built again
   * @param index its implementation
   * @throws {VstoreError} ERR, LOCKED, DAMAGED, FULL
   *
   * @example
   * const store = await MmapVectorStore.open("./vectors", { dimensions: 3 });
   * store.insert("a", new Float32Array([1, 0, 0]));
   * const [nearest] = await store.search(new Float32Array([1, 0.1, 0]), { k: 1 });
   * await store.close();
   */
  static async open(
    directory: string,
    options: Partial<CollectionOptions> = {},
    warn: Warn = () => {},
    index: IndexChoice = "auto",
  ): Promise<MmapVectorStore> {
    assertText("directory", directory);
    assertOptions(options, CREATE_OPTIONS);
    assertAvailable(index);
    const isThere = assertUsable(directory, options);
    fs.mkdirSync(directory, { recursive: true });
    const lock = DirectoryLock.acquire(directory);
    try {
      if (!isThere) await create(directory, options);
      const collection = await Collection.open(directory, warn, index);
      assertSame(collection.options, options);
      return new MmapVectorStore(collection, lock);
    } catch (error) {
      lock.release();
      throw error;
    }
  }

  get dimensions(): number {
    return this.#collection.options.dimensions;
  }

  get metric(): Metric {
    return this.#collection.options.metric;
  }

  /** Vectors in the store. */
  get length(): number {
    return this.#collection.length;
  }

  /**
   * Stores a vector, shape (dimensions), under a key.
   *
   * @returns true: a new key, false: an updated one, null: refused by `options.mode`
   * @throws {VstoreError} ERR, FULL; nothing has changed then
   */
  insert(key: Key, vector: Float32Array, options: StoreInsertOptions = {}): boolean | null {
    assertFloats("vector", vector);
    assertOptions(options, INSERT_OPTIONS);
    assertMode(options.mode);
    const attributes = options.attributes === undefined ? undefined : checkText(options.attributes);
    return this.#open().insert(bytesOf(key), vector, { mode: options.mode, attributes });
  }

  /**
   * Stores many vectors, all or none: `vectors` has shape (keys.length x dimensions), row-major.
   *
   * @param attributes the JSON text of an object for each key, "" for none; without it all keep what they have
   * @returns how many keys are new
   * @throws {VstoreError} ERR, FULL; nothing has changed then
   */
  insertBatch(keys: readonly Key[], vectors: Float32Array, attributes?: readonly string[]): number {
    assertKeys("keys", keys);
    assertFloats("vectors", vectors);
    const checked = attributes === undefined ? undefined : checkTexts(attributes);
    return this.#open().insertBatch(keys.map(bytesOf), vectors, checked);
  }

  /** Makes room for `rows` more vectors in the background, which is faster than letting `insert` do it. */
  async reserve(rows: number): Promise<void> {
    assertMaximum("rows", rows, limits.slotsMax);
    await this.#open().reserve(rows);
  }

  /**
   * The key's vector, shape (dimensions), without a copy: a view on the mapped file, not to be written to. It stays
   * valid, and keeps its values, whatever happens to the key or the store.
   */
  getSlice(key: Key): Float32Array | undefined {
    return this.#open().get(bytesOf(key));
  }

  /** The key's JSON text; undefined when it has none, or there is no such key. */
  getAttributes(key: Key): string | undefined {
    return this.#open().getAttributes(bytesOf(key));
  }

  /**
   * Replaces the key's attributes, which are the JSON text of an object; "" removes them.
   *
   * @returns false when there is no such key
   * @throws {VstoreError} ERR, FULL; nothing has changed then
   */
  setAttributes(key: Key, json: string): boolean {
    return this.#open().setAttributes(bytesOf(key), checkText(json));
  }

  has(key: Key): boolean {
    return this.#open().has(bytesOf(key));
  }

  /** Removes a key; false when there is none. */
  delete(key: Key): boolean {
    return this.#open().delete([bytesOf(key)]) === 1;
  }

  /** All keys as text, in no particular order. */
  *keys(): Generator<string> {
    const collection = this.#open();
    let cursor = 0;
    do {
      const page = collection.scan(cursor, KEYS_PER_PAGE);
      for (const key of page.keys) yield textOf(key);
      cursor = page.cursor;
    } while (cursor !== 0);
  }

  /** The keys whose attributes an expression is true of, in no particular order. @throws {VstoreError} ERR, LIMIT */
  async *matchingKeys(filter: string): AsyncGenerator<string> {
    assertText("filter", filter);
    let cursor = 0;
    do {
      const collection = this.#open();
      const slots = await collection.matching.slots(filter);
      const page = collection.scan(cursor, KEYS_PER_PAGE, slots);
      for (const key of page.keys) yield textOf(key);
      cursor = page.cursor;
    } while (cursor !== 0);
  }

  /** How many keys an expression is true of. @throws {VstoreError} ERR, LIMIT */
  async count(filter: string): Promise<number> {
    assertText("filter", filter);
    return (await this.#open().matching.slots(filter)).count;
  }

  /**
   * Removes the keys that an expression is true of, the oldest vectors first.
   *
   * @param max how many at most
   * @returns how many
   * @throws {VstoreError} ERR, LIMIT, FULL; none is removed then
   */
  async deleteMatching(filter: string, max: number = limits.deleteMatchingMax): Promise<number> {
    assertText("filter", filter);
    assertMaximum("max", max, limits.deleteMatchingMax);
    const { matching } = this.#open();
    await matching.prepare(filter);
    this.#open();
    return matching.delete(filter, max, Date.now());
  }

  /** How a search with the filter would run: matches, plan, and what the evaluation took. @throws {VstoreError} */
  async explain(filter: string, options: ExplainOptions = {}): Promise<Explanation> {
    assertText("filter", filter);
    assertOptions(options, EXPLAIN_OPTIONS);
    const { k = limits.countDefault, ef } = options;
    return this.#open().matching.explain(filter, k, ef);
  }

  /** Keys by chance: different ones, in random order, as many as there are at most. */
  async randomKeys(count: number): Promise<string[]> {
    assertMaximum("count", count, limits.randomKeysMax);
    return (await this.#open().sampling.randomKeys(count)).map(textOf);
  }

  /**
   * The nearest vectors, nearest first: k of them whenever k exist.
   *
   * @param query shape (dimensions), or keys of the store whose mean is meant
   * @throws {VstoreError} ERR; NOKEY where a key is not there
   */
  async search(query: Float32Array | Likeness, options: StoreSearchOptions): Promise<SearchResult[]> {
    if (!isLikeness(query)) {
      assertFloats("query", query);
      return this.#nearest(query, checkedSearch(options), []);
    }
    assertOptions(query, LIKENESS);
    const wanted = checkedSearch(options);
    const { like, unlike = [], withSelf = false } = query;
    for (const [name, keys] of Object.entries({ like, unlike })) assertKeys(name, keys);
    assertMaximum("like", like.length, limits.meanKeysMax);
    const [near, far] = [like.map(bytesOf), unlike.map(bytesOf)];
    const vector = meanDifference(this.#open(), near, far, noKey);
    return this.#nearest(vector, wanted, withSelf ? [] : [...near, ...far]);
  }

  /**
   * Many searches at once, with the same options, on all cores.
   *
   * @param queries shape (n x dimensions), row-major
   * @returns what `search` gives for each, in order
   * @throws {VstoreError} ERR, LIMIT
   */
  async searchMany(queries: Float32Array, options: StoreSearchOptions): Promise<SearchResult[][]> {
    assertFloats("queries", queries);
    const wanted = checkedSearch(options);
    const { dimensions } = this;
    const count = queries.length / dimensions;
    assertMaximum("queries", count, limits.queriesMax);
    const rows = Array.from({ length: count }, (_, i) =>
      queries.subarray(i * dimensions, (i + 1) * dimensions),
    );
    return Promise.all(rows.map((row) => this.#nearest(row, wanted, [])));
  }

  async #nearest(
    query: Float32Array,
    wanted: StoreSearchOptions,
    without: readonly Uint8Array[],
  ): Promise<SearchResult[]> {
    const { k, ef, exact, within, filter, offset, distinct, withAttributes } = wanted;
    const attributes = withAttributes ? () => undefined : undefined;
    const asked = { k, ef, exact, within, filter, offset, distinct, attributes, without };
    const hits = await this.#open().search(query, asked);
    return hits.map(withAttributes ? describedOf : resultOf);
  }

  /** Puts every vector into the index now. Searches see all vectors with or without it. */
  async buildIndex(): Promise<void> {
    await this.#open().build();
  }

  /** Makes everything written so far durable. @throws {VstoreError} FULL; the previous checkpoint stands then */
  async checkpoint(): Promise<void> {
    await this.#open().checkpoint();
  }

  /** Checkpoint, then release the directory. */
  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    try {
      await this.#collection.close();
    } finally {
      this.#lock.release();
    }
  }

  #open(): Collection {
    if (this.#closed) throw new VstoreError("ERR", "the store is closed");
    return this.#collection;
  }
}

/** As a caller gave them. */
function checkedSearch(options: StoreSearchOptions): StoreSearchOptions {
  assertOptions(options, SEARCH_OPTIONS);
  const { ef, exact, within, filter, distinct, withAttributes } = options;
  if (ef !== undefined) assertMaximum("ef", ef, limits.efMax);
  if (within !== undefined) assertNumber("within", within);
  if (filter !== undefined) assertText("filter", filter);
  if (distinct !== undefined) {
    assertText("distinct.field", distinct?.field);
    if (distinct.per !== undefined) assertMaximum("distinct.per", distinct.per, limits.distinctCountMax);
  }
  assertFlag("exact", exact);
  assertFlag("withAttributes", withAttributes);
  return options;
}

const isLikeness = (query: object): query is Likeness =>
  typeof query === "object" && query !== null && "like" in query;

const noKey = (key: Uint8Array) =>
  new VstoreError(
    "NOKEY",
    `'like' and 'unlike' must be keys of the store, got ${JSON.stringify(textOf(key))}`,
  );

// Each is one literal: to spread an object into another for each result took a tenth of a search.
const resultOf = ({ key, distance }: Hit): SearchResult => ({ key: textOf(key), keyBytes: key, distance });
const describedOf = ({ key, distance, attributes }: Hit): SearchResult => ({
  key: textOf(key),
  keyBytes: key,
  distance,
  attributes: attributes && textOf(attributes),
});

const KEYS_PER_PAGE = 1_000;
const textOf = (key: Uint8Array): string =>
  Buffer.from(key.buffer, key.byteOffset, key.length).toString("utf8");
