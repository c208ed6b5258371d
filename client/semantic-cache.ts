/**
 * A semantic cache as an application uses it: text in, text out, with an embedder of its own. Concurrent calls of one
 * question share one call of the function behind the cache (single-flight). An error of the cache never becomes one of
 * the application: the function is called, and `onError` hears of it.
 */
import { Base } from "./base.ts";
import type { Connection, Reply, Text, Word } from "./connection.ts";
import { CollectionExistsError } from "./errors.ts";
import { Flight, StreamFlight } from "./flight.ts";
import { readFacts, readNumber, readNumberOrNull, readText } from "./replies.ts";
import { after, type CallOptions, counted, fp32, text, type Vector } from "./words.ts";

/** A value for every field of the cache's scope. */
export type CacheScope = Readonly<Record<string, string>>;

export interface SemanticCacheOptions {
  /** The vector of a question. */
  readonly embed: (question: string) => Vector | Promise<Vector>;
  /** Hears of errors that `wrap` and `wrapStream` pass over. */
  readonly onError?: (error: unknown) => void;
}

export interface CacheCreateOptions extends CallOptions {
  readonly dim: number;
  readonly metric?: "COSINE" | "L2" | "IP" | undefined;
  readonly scope?: readonly string[] | undefined;
  readonly within?: number | undefined;
  readonly errorRate?: number | undefined;
  /** Whether a hit renews the time that its entry has left. */
  readonly ttl?: "FIXED" | "SLIDING" | undefined;
  /** Of all values together. */
  readonly maxBytes?: number | undefined;
  /** Seconds. */
  readonly ex?: number | undefined;
}

export interface CacheGetOptions extends CallOptions {
  readonly scope?: CacheScope | undefined;
  readonly within?: number | undefined;
  readonly verify?: number | undefined;
}

export interface CacheSetOptions extends CallOptions {
  readonly scope?: CacheScope | undefined;
  readonly id?: Text | undefined;
  readonly tags?: readonly string[] | undefined;
  /** Seconds. */
  readonly ex?: number | undefined;
  readonly within?: number | undefined;
  /** What it took to make the value, in milliseconds. */
  readonly cost?: number | undefined;
}

/** Of a wrapped function: those of the look-up and of the entry. */
export type WrapOptions = Omit<CacheGetOptions & CacheSetOptions, "verify" | "id" | "cost">;

export interface CacheAnswer {
  /** `verify`: farther away than the entry answers, within `verify`. Decide, and report by `feedback`. */
  readonly status: "exact" | "hit" | "verify";
  readonly id: string;
  readonly distance: number;
  /** Milliseconds since it was set. */
  readonly age: number;
  readonly value: string;
}

export type CacheSelection =
  | { readonly ids: readonly Text[] }
  | { readonly tag: string }
  | { readonly scope: CacheScope };

/** Entries that one CACHE.DEL by tag or scope deletes at most. */
const deletedMax = 2_500;
/** Characters of a streamed answer that are kept to be stored. */
const streamedMax = 1_000_000;

/**
 * @example
 * const cache = new SemanticCache(new Redis(), "answers", { embed });
 * await cache.create({ dim: 384, scope: ["tenant"], within: 0.1, ex: 3600 });
 * const ask = cache.wrap((question) => model.ask(question));
 * await ask("Capital of France?", { scope: { tenant: "acme" } });
 */
export class SemanticCache extends Base {
  readonly name: string;
  readonly #options: SemanticCacheOptions;
  readonly #flights = new Flight<string>();

  constructor(redis: Connection, name: string, options: SemanticCacheOptions) {
    super(redis);
    this.name = name;
    this.#options = options;
  }

  /** Creates the cache; one that exists already is left as it is. */
  async create({
    dim,
    metric,
    scope = [],
    within,
    errorRate,
    maxBytes,
    ex,
    ttl,
    signal,
  }: CacheCreateOptions): Promise<void> {
    const fields = scope.length === 0 ? [] : ["SCOPE", ...counted(scope)];
    const options = [...after("METRIC", metric), ...fields, ...after("WITHIN", within)];
    const words = ["DIM", String(dim), ...options, ...after("ERRORRATE", errorRate)];
    words.push(...after("MAXBYTES", maxBytes), ...after("EX", ex), ...after("TTL", ttl));
    try {
      await this.call(["CACHE.CREATE", this.name, ...words], { signal }, readText);
    } catch (error) {
      if (!(error instanceof CollectionExistsError)) throw error;
    }
  }

  /** Undefined for a miss. */
  async get(question: string, options: CacheGetOptions = {}): Promise<CacheAnswer | undefined> {
    return this.#get(question, await this.#options.embed(question), options);
  }

  /** @returns the entry's id */
  async set(question: string, value: Text, options: CacheSetOptions = {}): Promise<string> {
    return this.#set(question, await this.#options.embed(question), value, options);
  }

  /**
   * Says whether an answer was right; give its distance.
   *
   * @returns the distance up to which the entry answers now; null where it is gone
   */
  feedback(
    id: Text,
    verdict: "HIT" | "FALSE",
    distance?: number,
    options: CallOptions = {},
  ): Promise<number | null> {
    const words = [text(id), verdict, ...after("DISTANCE", distance)];
    return this.call(["CACHE.FEEDBACK", this.name, ...words], options, readNumberOrNull);
  }

  /**
   * Deletes all entries that are selected. No ids select none.
   *
   * @returns how many
   * @throws {TypeError} for a scope of no fields: it might be meant to select all, or none
   */
  async delete(selection: CacheSelection, options: CallOptions = {}): Promise<number> {
    if ("ids" in selection && selection.ids.length === 0) return 0;
    const words = selectionWords(selection);
    for (let total = 0; ; ) {
      const deleted = await this.call(["CACHE.DEL", this.name, ...words], options, readNumber);
      total += deleted;
      if ("ids" in selection || deleted < deletedMax) return total;
    }
  }

  /** What `VSTORE.CACHE.INFO` counts, by its names: `hits`, `exact_hits`, `bytes` and so on. */
  async info(scope?: CacheScope, options: CallOptions = {}): Promise<Record<string, number>> {
    const facts = await this.call(["CACHE.INFO", this.name, ...scopeWords(scope)], options, readFacts);
    // RESP2 has no real numbers: they come as text.
    return Object.fromEntries(Object.entries(facts).map(([name, fact]) => [name, Number(fact)]));
  }

  /** The function with the cache before it. Concurrent calls of one question and scope call it once. */
  wrap(
    ask: (question: string) => Promise<string>,
  ): (question: string, options?: WrapOptions) => Promise<string> {
    const answer = async (question: string, options: WrapOptions) => {
      const { vector, found } = await this.#look(question, options);
      if (found !== undefined) return found.value;
      const began = performance.now();
      const value = await ask(question);
      const cost = Math.round(performance.now() - began);
      await this.#store(question, vector, value, { ...options, cost });
      return value;
    };
    return (question, options = {}) => {
      const work = () => answer(question, options);
      // A scope that is not whole must not share: what is missing may differ.
      return isOfTexts(options.scope) ? this.#flights.share(flightKey(question, options), work) : work();
    };
  }

  /**
   * The same for a function that streams. A hit comes as one piece. A call that comes while another of the same
   * question is read gets all of that stream, from its beginning. An error reaches each of them after what came before
   * it. A caller may leave; when the last one has left, the stream ends. What was read to its end is stored.
   */
  wrapStream(
    ask: (question: string) => AsyncIterable<string>,
  ): (question: string, options?: WrapOptions) => AsyncGenerator<string, void, undefined> {
    const streams = new StreamFlight();
    return (question, options = {}) => {
      const work = () => this.#stream(ask, question, options);
      return isOfTexts(options.scope) ? streams.share(flightKey(question, options), work) : work();
    };
  }

  async *#stream(
    ask: (question: string) => AsyncIterable<string>,
    question: string,
    options: WrapOptions,
  ): AsyncGenerator<string, void, undefined> {
    const { vector, found } = await this.#look(question, options);
    if (found !== undefined) return yield found.value;
    const began = performance.now();
    let whole = "";
    for await (const piece of ask(question)) {
      if (whole.length <= streamedMax) whole += piece;
      yield piece;
    }
    const cost = Math.round(performance.now() - began);
    if (whole.length <= streamedMax) await this.#store(question, vector, whole, { ...options, cost });
  }

  async #look(question: string, options: CacheGetOptions) {
    const vector = await this.#tryTo(async () => this.#options.embed(question));
    const found = vector && (await this.#tryTo(() => this.#get(question, vector, options)));
    return { vector, found };
  }

  async #store(question: string, vector: Vector | undefined, value: string, options: CacheSetOptions) {
    if (vector !== undefined) await this.#tryTo(() => this.#set(question, vector, value, options));
  }

  async #tryTo<T>(work: () => Promise<T>): Promise<T | undefined> {
    try {
      return await work();
    } catch (error) {
      this.#options.onError?.(error);
      return undefined;
    }
  }

  #get(question: string, vector: Vector, options: CacheGetOptions): Promise<CacheAnswer | undefined> {
    const { scope, within, verify } = options;
    const limits = [...after("WITHIN", within), ...after("VERIFY", verify)];
    const words = ["FP32", fp32(vector), "PROMPT", question, ...scopeWords(scope), ...limits];
    return this.call(["CACHE.GET", this.name, ...words], options, readAnswer);
  }

  #set(question: string, vector: Vector, value: Text, options: CacheSetOptions): Promise<string> {
    const { scope, id, tags = [], ex, within, cost } = options;
    const rest = [...after("ID", id), ...after("EX", ex), ...after("WITHIN", within), ...after("COST", cost)];
    const tagWords = tags.length === 0 ? [] : ["TAGS", ...counted(tags)];
    const words = ["FP32", fp32(vector), "VALUE", text(value), "PROMPT", question, ...scopeWords(scope)];
    return this.call(["CACHE.SET", this.name, ...words, ...tagWords, ...rest], options, readText);
  }
}

function flightKey(question: string, { scope = {}, within }: WrapOptions): string {
  return JSON.stringify([
    question.normalize("NFC").trim().replaceAll(/\s+/g, " "),
    Object.entries(scope).sort(),
    within,
  ]);
}

function selectionWords(selection: CacheSelection): Word[] {
  if ("ids" in selection) return ["ID", ...selection.ids.map(text)];
  if ("tag" in selection) return ["TAG", selection.tag];
  if (Object.keys(selection.scope).length === 0) throw new TypeError("'scope' must name at least one field");
  return scopeWords(selection.scope);
}

function isOfTexts(scope: CacheScope | undefined): boolean {
  return Object.values(scope ?? {}).every((value) => typeof value === "string");
}

/** @throws {TypeError} where a value is no text: ioredis would send undefined and null as empty ones */
function scopeWords(scope: CacheScope | undefined): Word[] {
  if (!isOfTexts(scope)) throw new TypeError("each value of 'scope' must be a string");
  const parts = Object.entries(scope ?? {});
  return parts.length === 0 ? [] : ["SCOPE", String(parts.length), ...parts.flat()];
}

function readAnswer(reply: Reply): CacheAnswer | undefined {
  if (reply === null) return undefined;
  const flat = reply as Reply[];
  const of = (name: string) => flat[flat.findIndex((each, at) => at % 2 === 0 && String(each) === name) + 1];
  return {
    status: String(of("status")) as CacheAnswer["status"],
    id: String(of("id")),
    distance: Number(of("distance")),
    age: Number(of("age")),
    value: String(of("value")),
  };
}
