/**
 * The engine as a library: one collection in one directory, used by one process, without Redis. There is no write-ahead
 * log here: what was written since the last `checkpoint` or `close` is lost when the process ends. docs/library.md says
 * more.
 */
import * as fs from "node:fs";
import { VstoreError } from "../errors.ts";
import { Collection, type InsertOptions, type SearchOptions } from "./collection.ts";
import { directoryKind } from "./directory-kind.ts";
import { DirectoryLock } from "./disk/lock.ts";
import { LOCK_FILE, MANIFEST_FILE } from "./disk/names.ts";
import type { Warn } from "./generation/parts.ts";
import { createFiles } from "./generation/recovery.ts";
import { assertAvailable, type IndexChoice } from "./index/kinds.ts";
import {
  assertFloats,
  assertJson,
  assertKeys,
  assertMode,
  assertOptions,
  assertText,
  bytesOf,
  type Key,
  type Known,
} from "./library-arguments.ts";
import { FIRST_ID } from "./log-id.ts";
import { type CollectionOptions, type Metric, resolveOptions } from "./options.ts";
import type { Lifetime } from "./slots/expiry.ts";

export type { Key } from "./library-arguments.ts";

export type StoreInsertOptions = Omit<InsertOptions, keyof Lifetime>;

export interface StoreSearchOptions extends SearchOptions {
  /** Results carry the attributes of their keys. */
  readonly withAttributes?: boolean;
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
};
const INSERT_OPTIONS: Known<StoreInsertOptions> = { mode: true, attributes: true };
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
    if (options.attributes !== undefined) assertJson(options.attributes);
    return this.#open().insert(bytesOf(key), vector, options);
  }

  /**
   * Stores many vectors, all or none: `vectors` has shape (keys.length x dimensions), row-major.
   *
   * @returns how many keys are new
   * @throws {VstoreError} ERR, FULL; nothing has changed then
   */
  insertBatch(keys: readonly Key[], vectors: Float32Array): number {
    assertKeys(keys);
    assertFloats("vectors", vectors);
    return this.#open().insertBatch(keys.map(bytesOf), vectors);
  }

  /** Makes room for `rows` more vectors in the background, which is faster than letting `insert` do it. */
  async reserve(rows: number): Promise<void> {
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
    assertJson(json);
    return this.#open().setAttributes(bytesOf(key), json);
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

  /**
   * The nearest vectors, nearest first: k of them whenever k exist.
   *
   * @param query shape (dimensions)
   * @throws {VstoreError} ERR
   */
  async search(query: Float32Array, options: StoreSearchOptions): Promise<SearchResult[]> {
    assertFloats("query", query);
    assertOptions(options, SEARCH_OPTIONS);
    if (options.filter !== undefined) assertText("filter", options.filter);
    const { withAttributes, ...wanted } = options;
    const attributes = withAttributes ? () => undefined : undefined;
    const hits = await this.#open().search(query, { ...wanted, attributes });
    return hits.map(({ key, distance, attributes }) => ({
      key: textOf(key),
      keyBytes: key,
      distance,
      ...(withAttributes && { attributes: attributes && textOf(attributes) }),
    }));
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

const KEYS_PER_PAGE = 1_000;
/** The one collection of a store needs no name. */
const NAME = "";

/** Checks before anything is made: either there is a store, or the options are enough to make one. */
function assertUsable(directory: string, options: Partial<CollectionOptions>): boolean {
  if (fs.existsSync(`${directory}/${MANIFEST_FILE}`)) return true;
  const entries = fs.existsSync(directory) ? fs.readdirSync(directory) : [];
  if (directoryKind(entries) === "data" && entries.some((entry) => entry !== LOCK_FILE)) {
    throw new VstoreError("ERR", `${directory} is the data directory of a sidecar, no store of the library`);
  }
  resolveGiven(directory, options);
  return false;
}

function resolveGiven(directory: string, options: Partial<CollectionOptions>): CollectionOptions {
  const { dimensions } = options;
  if (dimensions !== undefined) return resolveOptions({ ...options, dimensions });
  throw new VstoreError("ERR", `'dimensions' is required: there is no store in ${directory}`);
}

async function create(directory: string, options: Partial<CollectionOptions>): Promise<void> {
  // Another process may have made it while the lock was waited for.
  if (fs.existsSync(`${directory}/${MANIFEST_FILE}`)) return;
  await createFiles(directory, NAME, resolveGiven(directory, options), FIRST_ID);
}

function assertSame(actual: CollectionOptions, given: Partial<CollectionOptions>): void {
  for (const [name, value] of Object.entries(given)) {
    const has = actual[name as keyof CollectionOptions];
    if (value !== undefined && value !== has) {
      throw new VstoreError("ERR", `'${name}' is ${has} in this store, got ${value}`);
    }
  }
}

const textOf = (key: Uint8Array): string =>
  Buffer.from(key.buffer, key.byteOffset, key.length).toString("utf8");
