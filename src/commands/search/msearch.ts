/** VSTORE.MSEARCH: many searches in one request, with the options of SEARCH. */
import type { Collection, SearchOptions } from "../../engine/collection.ts";
import type { Hit } from "../../engine/hits.ts";
import { TimeSlice } from "../../engine/time-slice.ts";
import { limits } from "../../limits.ts";
import { type Context, define } from "../command.ts";
import { afterToken, collection, integerValue, options, sequence, vectorBlob } from "../grammar/arguments.ts";
import { partial, searchOptions } from "../grammar/search-options.ts";
import { toVectors } from "../grammar/vector.ts";
import { SharedRoom, textsBytes } from "../wire/answer-size.ts";
import type { Reply } from "../wire/reply.ts";
import { partialReply, replyOf, type Wanted } from "./hits.ts";
import { assertWork, RowsLookedAtAgain } from "./msearch-work.ts";

/** Searches of one request that are under way at the same time. */
const searchesMax = 64;

type Asked = SearchOptions & Pick<Wanted, "withAttributes">;

const { withValues: _values, fields: _fields, ...answered } = searchOptions;
export const msearchForms = { partial, ...answered };

export const msearchVectors = {
  count: integerValue("count", 1, limits.queriesMax),
  blob: afterToken("FP32", vectorBlob),
};

export const msearch = define({
  name: "MSEARCH",
  summary: "Returns the nearest vectors to each of several.",
  complexity: "O(Q log N) with the index, Q being the number of queries and N the vectors of the collection",
  route: "queries",
  args: sequence({
    collection,
    ...msearchVectors,
    options: options(msearchForms),
  }),
  reply:
    "array with, for each query in order, what SEARCH would reply. With PARTIAL a map: results, the same array with pairs as " +
    "arrays in RESP2 too, and missing, the names of parts",
  replyType:
    "(Text[] | [key: Text, detail: number | Detail | (number | Detail)[]][])[] | Map<'results' | 'missing', unknown>",
  pairsDepth: 2,
  async run(context, { collection: name, count, blob, options: wanted }) {
    const target = context.catalog.get(name);
    const { dimensions } = target.options;
    const { k = limits.countDefault, offset = 0, ef = target.options.ef, exact = false } = wanted;
    const { rows, tailLength: tail } = target;
    assertWork({ queries: count, wanted: k + offset, ef, exact, rows, tail, dimensions });
    const queries = toVectors(blob, count, dimensions);
    const batch = new Batch(context, target, { ...wanted, k }, count);
    const found = await batch.search(
      Array.from({ length: count }, (_, i) => queries.subarray(i * dimensions, (i + 1) * dimensions)),
    );
    const slice = new TimeSlice();
    const replies: Reply[] = [];
    for (const hits of found) {
      replies.push(replyOf(hits, wanted));
      if (slice.spent) await slice.pause();
    }
    return wanted.partial ? partialReply(replies, []) : replies;
  },
});

/** The searches of one request: some at a time, so that those of other requests come in between. */
class Batch {
  readonly #target: Collection;
  readonly #asked: Asked;
  readonly #room: SharedRoom;
  readonly #waiting: (() => void)[] = [];
  readonly #lookedAtAgain: RowsLookedAtAgain;
  /** Of the first search that failed: no other one begins. */
  #failure: unknown;
  #free = searchesMax;

  constructor(context: Context, target: Collection, asked: Asked, count: number) {
    this.#target = target;
    this.#asked = asked;
    this.#room = new SharedRoom(context, count);
    this.#lookedAtAgain = new RowsLookedAtAgain(count);
  }

  /** Rejects once none is under way. */
  async search(queries: readonly Float32Array[]): Promise<(readonly Hit[])[]> {
    const all = queries.map((query) => this.#one(query));
    await Promise.allSettled(all);
    if (this.#failure !== undefined) throw this.#failure;
    return Promise.all(all);
  }

  /** Tells the room what it needs in any case, as the others wait for that. Its place is free then. */
  async #one(query: Float32Array): Promise<readonly Hit[]> {
    if (this.#free === 0) await new Promise<void>((resolve) => this.#waiting.push(resolve));
    else this.#free--;
    let given: Promise<void> | undefined;
    const take = (bytes: number): Promise<void> => {
      if (given !== undefined) return given;
      this.#leave();
      given = this.#room.take(bytes);
      return given;
    };
    const { withAttributes, k, ef, exact, within, filter, offset, distinct } = this.#asked;
    const attributes = withAttributes && ((bytes: number) => take(textsBytes(k, bytes)));
    try {
      if (this.#failure !== undefined) throw this.#failure;
      const hits = await this.#target.search(query, {
        k,
        ef,
        exact,
        within,
        filter,
        offset,
        distinct: distinct && {
          field: distinct.field,
          per: distinct.per,
          looksAgain: (rows) => this.#lookedAtAgain.add(rows),
        },
        attributes,
      });
      await take(textsBytes(hits.length, bytesOf(hits)));
      return hits;
    } catch (error) {
      this.#failure ??= error;
      throw error;
    } finally {
      take(0).catch(() => {}); // where it is refused, the search has failed with it
    }
  }

  /** Gives the place to the one that waits longest. */
  #leave(): void {
    const next = this.#waiting.shift();
    if (next === undefined) this.#free++;
    else next();
  }
}

const bytesOf = (hits: readonly Hit[]) => hits.reduce((sum, { key }) => sum + key.length, 0);
