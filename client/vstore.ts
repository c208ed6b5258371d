/**
 * The client: every command of vstore as a method, over the connection that the application has already. It adds to the
 * generated methods an iteration over SCAN and, as an option, batches of concurrent calls.
 */
import { type Attributes, type Name, type Schemas, untilAborted } from "./base.ts";
import { Batches } from "./batches.ts";
import { Commands, type InsertOptions, type ScanPageOptions } from "./commands.ts";
import type { Connection, Reply, Text, Word } from "./connection.ts";
import { ArgumentError, LimitError } from "./errors.ts";
import { readNumber, readNumberOrNull } from "./replies.ts";
import { after, type CallOptions, fp32, oneOf, text, type Vector } from "./words.ts";

export interface VstoreOptions {
  /**
   * Sends what is called within one turn of the event loop in one command: inserts without `condition`, `ex` and `px`
   * as MINSERT, searches by a vector with the same options, without `withValues` and `withSelf`, as MSEARCH. A search
   * has the inserts before it sent first, any other call both. Default: false.
   */
  readonly batch?: boolean;
}

interface Insertion {
  readonly collection: string;
  readonly key: Word;
  readonly vector: Buffer;
  readonly attributes: string | undefined;
}

interface Search {
  readonly collection: Word;
  readonly vector: Buffer;
  /** The options, as words. */
  readonly rest: readonly Word[];
}

/** Options of SEARCH that MSEARCH does not have. */
const ofSearchAlone: readonly Word[] = ["WITHVALUES", "WITHSELF"];
/** Results that a search may ask for count towards the size of a batch, so that MSEARCH's limit is not met. */
const resultBytes = 64;
const countDefault = 10;

/**
 * @example
 * interface Film { title: string; year: number }
 * const vstore = new Vstore<{ films: Film }>(new Redis());
 * await vstore.create("films", { dim: 384, nx: true });
 * await vstore.insert("films", "film:1", embedding, { attributes: { title: "Alien", year: 1979 } });
 * for (const { key, distance, attributes } of await vstore.search("films", query, { withAttrs: true })) {
 *   console.log(key, distance, attributes?.title);
 * }
 */
export class Vstore<S extends Schemas<S> = Record<string, Attributes>> extends Commands<S> {
  readonly #insertions: Batches<Insertion, number | null | undefined> | undefined;
  readonly #searches: Batches<Search, Reply> | undefined;

  constructor(redis: Connection, { batch = false }: VstoreOptions = {}) {
    super(redis);
    if (!batch) return;
    const concernsOne = (error: unknown) => error instanceof ArgumentError || error instanceof LimitError;
    this.#insertions = new Batches({
      ordered: true,
      sendAll: (items) => this.#insertAll(items),
      sendOne: (item) => this.#insertOne(item),
      concernsOne,
    });
    this.#searches = new Batches({
      ordered: false,
      sendAll: (items) => this.#searchAll(items),
      sendOne: (item) => this.#searchOne(item),
      concernsOne,
    });
  }

  /**
   * Inserts a vector under a key, or replaces the key's vector.
   *
   * @returns 1 for a new key, 0 for an updated one; null when `condition` refused it; undefined when it was batched
   *   with
   *   others, as MINSERT tells of no single key
   */
  override insert<C extends Name<S>>(
    collection: C,
    key: Text,
    vector: Vector,
    options: InsertOptions<S[C]> = {},
  ): Promise<number | null | undefined> {
    const { condition, ex, px, attributes, signal } = options;
    if (this.#insertions === undefined || condition !== undefined || ex !== undefined || px !== undefined)
      return super.insert(collection, key, vector, options);
    if (signal?.aborted) return Promise.reject(signal.reason);
    const json = attributes && JSON.stringify(attributes);
    const item = { collection, key: text(key), vector: fp32(vector), attributes: json };
    // Only vectors of one length, and only such as all have attributes, or none, fit into one command.
    const group = `${item.vector.length} ${json !== undefined} ${collection}`;
    const bytes = item.vector.length + (json?.length ?? 0);
    const inserted = this.#insertions.add(group, item, bytes);
    return signal === undefined ? inserted : untilAborted(inserted, signal);
  }

  /**
   * All keys of a collection, each once unless it is moved meanwhile: `for await (const key of vstore.scan("docs"))`.
   */
  async *scan<C extends Name<S>>(collection: C, options: ScanPageOptions = {}): AsyncGenerator<string, void> {
    let cursor = "0";
    do {
      const page = await this.scanPage(collection, cursor, options);
      yield* page.keys;
      cursor = page.cursor;
    } while (cursor !== "0");
  }

  /** What the commands are, or everything about one of them, in lines of text. */
  help(command?: string, options: CallOptions = {}): Promise<string[]> {
    return this.call(["HELP", ...oneOf(command)], options, (reply) => (reply as Reply[]).map(String));
  }

  protected override call<T>(
    words: readonly [string, ...Word[]],
    options: CallOptions,
    read: (reply: Reply) => T,
  ): Promise<T> {
    this.#insertions?.flush();
    const search = this.#searches && searchOf(words);
    if (search !== undefined) return this.#addSearch(search, options, read);
    this.#searches?.flush();
    return super.call(words, options, read);
  }

  #addSearch<T>(search: Search, { signal }: CallOptions, read: (reply: Reply) => T): Promise<T> {
    if (signal?.aborted) return Promise.reject(signal.reason);
    const { collection, vector, rest } = search;
    const group = JSON.stringify([collection, vector.length, ...rest]);
    const bytes = vector.length + resultBytes * resultsOf(rest);
    const found = this.#searches!.add(group, search, bytes).then(read);
    return signal === undefined ? found : untilAborted(found, signal);
  }

  #searchAll(searches: readonly Search[]): Promise<Reply[]> {
    const { collection, rest } = searches[0]!;
    const vectors = Buffer.concat(searches.map(({ vector }) => vector));
    const words: Word[] = [collection, String(searches.length), "FP32", vectors, ...rest];
    return super.call(["MSEARCH", ...words], {}, (reply) => reply as Reply[]);
  }

  #searchOne({ collection, vector, rest }: Search): Promise<Reply> {
    return super.call(["SEARCH", collection, "FP32", vector, ...rest], {}, (reply) => reply);
  }

  async #insertAll(items: readonly Insertion[]): Promise<undefined[]> {
    const { collection } = items[0]!;
    const keys = items.map(({ key }) => key);
    const vectors = Buffer.concat(items.map(({ vector }) => vector));
    const attributes = items.flatMap((item) => oneOf(item.attributes));
    const setAttributes = attributes.length > 0 ? ["SETATTR", ...attributes] : [];
    const words: Word[] = [collection, String(keys.length), ...keys, "FP32", vectors, ...setAttributes];
    await super.call(["MINSERT", ...words], {}, readNumber);
    return items.map(() => undefined);
  }

  #insertOne({ collection, key, vector, attributes }: Insertion): Promise<number | null> {
    const words = [collection, key, "FP32", vector, ...after("SETATTR", attributes)];
    return super.call(["INSERT", ...words], {}, readNumberOrNull);
  }
}

/** What may be sent with others as MSEARCH; undefined for everything else. */
function searchOf([name, collection, form, vector, ...rest]: readonly Word[]): Search | undefined {
  if (name !== "SEARCH" || form !== "FP32" || !Buffer.isBuffer(vector)) return undefined;
  return rest.some((word) => ofSearchAlone.includes(word))
    ? undefined
    : { collection: collection!, vector, rest };
}

/** That it may lead to. */
function resultsOf(rest: readonly Word[]): number {
  const after = (token: string, otherwise: number) => {
    const at = rest.indexOf(token);
    return at < 0 ? otherwise : Number(rest[at + 1]);
  };
  return after("COUNT", countDefault) + after("OFFSET", 0);
}
