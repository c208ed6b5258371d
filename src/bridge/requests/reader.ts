/**
 * Reads requests: one XREAD over all streams at once. How many entries it asks for follows from the size of
 * those before, because an entry may have any size up to 64 MiB.
 */
import { setTimeout as delay } from "node:timers/promises";
import type { Redis } from "ioredis";
import { compareIds } from "../../engine/log-id.ts";
import type { Obstructions } from "../logs/obstructions.ts";
import { codeOf } from "../redis/error-code.ts";
import { decodeEntry, type Request } from "./request.ts";
import type { Source, Sources } from "./sources.ts";

/** One batch should stay near this size. */
const batchBytesTarget = 16 * 1024 * 1024;
/** Entries per stream of one XREAD. */
const countMin = 1;
const countStart = 64;
const countMax = 1_024;
/** So that a connection that died silently is noticed, and new streams are read soon. */
const blockMs = 1_000;

/** The new requests of one stream, oldest first. */
export interface Delivery {
  readonly source: Source;
  readonly requests: readonly Request[];
}

type RawReply = [Buffer, [Buffer, Buffer[]][]][] | null;

export class Reader {
  readonly #redis: Redis;
  readonly #sources: Sources;
  readonly #obstructions: Obstructions;
  #count = countStart;

  constructor(redis: Redis, sources: Sources, obstructions: Obstructions) {
    this.#redis = redis;
    this.#sources = sources;
    this.#obstructions = obstructions;
  }

  /** What is there now; when `waits`, what comes first within a second. Moves the positions of the sources. */
  async read(waits: boolean): Promise<Delivery[]> {
    const count = this.#count;
    await this.#obstructions.watch();
    const reply = await this.#xread(count, waits);
    const deliveries = this.#decode(reply);
    this.#count = nextCount(count, deliveries);
    const kept = withoutEarlyQueries(deliveries, count);
    for (const { source, requests } of kept) source.last = requests.at(-1)!.id;
    return kept;
  }

  async #xread(count: number, waits: boolean): Promise<RawReply> {
    const all = this.#sources.all();
    const sources = all.filter(({ stream }) => !this.#obstructions.has(stream));
    if (sources.length === 0) return waits ? delay(blockMs, null) : null;
    const block = waits ? ["BLOCK", blockMs] : [];
    const streams = sources.map((source) => source.stream);
    const positions = sources.map((source) => source.last);
    const args = ["COUNT", count, ...block, "STREAMS", ...streams, ...positions];
    try {
      return (await this.#redis.callBuffer("XREAD", ...args)) as RawReply;
    } catch (error) {
      if (codeOf(error) !== "WRONGTYPE") throw error;
      await this.#obstructions.find(all.map(({ stream }) => stream));
      return this.#xread(count, waits);
    }
  }

  #decode(reply: RawReply): Delivery[] {
    const deliveries: Delivery[] = [];
    for (const [stream, entries] of reply ?? []) {
      const source = this.#sources.find(stream.toString());
      if (source === undefined) continue;
      const requests = entries.map(([id, fields]) =>
        decodeEntry(source.stream, id.toString("latin1"), fields),
      );
      deliveries.push({ source, requests });
    }
    return deliveries;
  }
}

/** Halves and doubles towards the target; doubles only when COUNT was what ended a stream's entries. */
function nextCount(count: number, deliveries: readonly Delivery[]): number {
  const bytes = deliveries.flatMap((each) => each.requests).reduce((sum, each) => sum + each.bytes, 0);
  if (bytes > batchBytesTarget) return Math.max(countMin, Math.floor((count * batchBytesTarget) / bytes));
  const wasFull = deliveries.some((each) => each.requests.length === count);
  return wasFull && bytes < batchBytesTarget / 2 ? Math.min(countMax, count * 2) : count;
}

/**
 * Where COUNT cut a log short, the queries that were sent after its last entry are left for a later batch: they must
 * see the writes in between.
 */
function withoutEarlyQueries(deliveries: Delivery[], count: number): Delivery[] {
  const cut = new Map<string, string>();
  for (const { source, requests } of deliveries) {
    if (source.kind === "log" && requests.length === count) cut.set(source.collection, requests.at(-1)!.id);
  }
  if (cut.size === 0) return deliveries;
  return deliveries
    .map(({ source, requests }) => ({ source, requests: upToEarly(requests, source, cut) }))
    .filter((each) => each.requests.length > 0);
}

function upToEarly(requests: readonly Request[], source: Source, cut: ReadonlyMap<string, string>) {
  const end = source.kind === "queries" ? cut.get(source.collection) : undefined;
  const early = end === undefined ? -1 : requests.findIndex((each) => isEarly(each, end));
  return early < 0 ? requests : requests.slice(0, early);
}

/** The ids of two streams say nothing about each other, except where nothing else does. */
function isEarly({ id, after }: Request, end: string): boolean {
  return after === undefined ? compareIds(id, end) >= 0 : compareIds(after, end) > 0;
}
