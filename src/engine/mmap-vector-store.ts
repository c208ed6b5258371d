/**
 * The engine as a library: one collection in one directory, used by one process, without Redis. There is no
 * write-ahead log here, so what was written since the last `checkpoint` is lost in a crash; what `checkpoint` covered is not.
 */
import * as fs from "node:fs";
import { VstoreError } from "../errors.ts";
import { Collection, type InsertOptions } from "./collection.ts";
import { DirectoryLock } from "./disk/lock.ts";
import { MANIFEST_FILE } from "./disk/names.ts";
import type { Warn } from "./generation/parts.ts";
import { createFiles } from "./generation/recovery.ts";
import type { IndexChoice } from "./index/kinds.ts";
import type { SearchOptions } from "./index/searcher.ts";
import { FIRST_ID } from "./log-id.ts";
import { type CollectionOptions, type Metric, resolveOptions } from "./options.ts";

/** A key as text (stored as UTF-8) or as bytes. */
export type Key = string | Uint8Array;

export interface SearchResult {
  /** The key as text; use `keyBytes` when keys are not UTF-8. */
  readonly key: string;
  readonly keyBytes: Uint8Array;
  readonly distance: number;
}

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
   * @param options for a new store `dimensions` is required; for an existing one what is given must be what it has
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
    fs.mkdirSync(directory, { recursive: true });
    const lock = DirectoryLock.acquire(directory);
    try {
      await createUnlessThere(directory, options);
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
  insert(key: Key, vector: Float32Array, options?: Omit<InsertOptions, "deadline">): boolean | null {
    return this.#open().insert(bytesOf(key), vector, options);
  }

  /**
   * Stores many vectors, all or none: `vectors` has shape (keys.length x dimensions), row-major.
   *
   * @returns how many keys are new
   * @throws {VstoreError} ERR, FULL; nothing has changed then
   */
  insertBatch(keys: readonly Key[], vectors: Float32Array): number {
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

  has(key: Key): boolean {
    return this.#open().has(bytesOf(key));
  }

  /** Removes a key; false when there is none. */
  delete(key: Key): boolean {
    return this.#open().delete([bytesOf(key)]) === 1;
  }

  /** All keys as text, oldest vector first. */
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
  async search(query: Float32Array, options: SearchOptions): Promise<SearchResult[]> {
    const hits = await this.#open().search(query, options);
    return hits.map(({ key, distance }) => ({ key: textOf(key), keyBytes: key, distance }));
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

async function createUnlessThere(directory: string, options: Partial<CollectionOptions>): Promise<void> {
  if (fs.existsSync(`${directory}/${MANIFEST_FILE}`)) return;
  if (options.dimensions === undefined) {
    throw new VstoreError("ERR", `'dimensions' is required: there is no store in ${directory}`);
  }
  await createFiles(
    directory,
    NAME,
    resolveOptions({ ...options, dimensions: options.dimensions }),
    FIRST_ID,
  );
}

function assertSame(actual: CollectionOptions, given: Partial<CollectionOptions>): void {
  for (const [name, value] of Object.entries(given)) {
    const has = actual[name as keyof CollectionOptions];
    if (value !== undefined && value !== has) {
      throw new VstoreError("ERR", `'${name}' is ${has} in this store, got ${value}`);
    }
  }
}

const bytesOf = (key: Key): Uint8Array => (typeof key === "string" ? Buffer.from(key) : key);
const textOf = (key: Uint8Array): string =>
  Buffer.from(key.buffer, key.byteOffset, key.length).toString("utf8");
