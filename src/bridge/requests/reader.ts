/**
 * Reads requests: one XREAD over the streams that are there once, and beside it one over those of all collections. The
 * number of entries that it asks for follows from the size of earlier ones, because an entry may have any size up to 64
 * MiB.
 */
import { setTimeout as delay } from "node:timers/promises";
import { compareIds } from "../../engine/log-id.ts";
import { TimeSlice } from "../../engine/time-slice.ts";
import type { Obstructions } from "../logs/obstructions.ts";
import { codeOf } from "../redis/error-code.ts";
import { isElsewhere } from "../redis/node.ts";
import { areBelow, entriesWithin } from "../redis/output-limit.ts";
import type { Session } from "../session/session.ts";
import { Proofs } from "./proofs.ts";
import { decodeEntry, type Request } from "./request.ts";
import { isWrite } from "./routing.ts";
import type { Source, Sources } from "./sources.ts";
import { XreadConnection, xreadCommand } from "./xread/connection.ts";
import type { ProofsOf, StreamRequests } from "./xread/decoder.ts";

/** One batch should stay near this size. */
const batchBytesTarget = 16 * 1024 * 1024;
/**
 * Entries per stream of one XREAD. A session begins with one: Redis closes a connection whose answer passes its
 * client-output-buffer-limit, and what the log holds is not known yet.
 */
const countMin = 1;
const countMax = 1_024;
/** After an entry of this size each stream is asked by itself. */
const largeEntryBytes = 1024 * 1024;
/** How long a read waits, so that a connection that died silently is noticed. */
const blockMs = 1_000;
/** The same over the streams of all collections: to ask for thousands of them costs milliseconds. */
const ownBlockMs = 10_000;

const noProofs = new Proofs("");

/** The new requests of one stream, oldest first. */
export interface Delivery {
  readonly source: Source;
  readonly requests: readonly Request[];
}

type Reply = readonly StreamRequests[];
/** As ioredis decodes it. */
type RawReply = [Buffer, [Buffer, Buffer[]][]][];

/** Sends an XREAD. */
type Xread = (args: readonly (string | number)[]) => Promise<Reply>;

/** An XREAD that blocks; it stays under way while the others' entries are served. */
interface Waiting {
  /** Whether it only passes the time, because there is no stream to read. */
  readonly isIdle: boolean;
  /** What it has brought, or thrown. */
  outcome: { readonly reply: Reply } | { readonly error: unknown } | undefined;
}

/** The part of a session that the reader uses. */
export type Readers = Pick<Session, "reader" | "logReader" | "writer" | "proofKey">;

export class Reader {
  readonly #writer: Readers["writer"];
  /** The connections that wait: on them no other command is sent. */
  readonly #reader: XreadConnection;
  readonly #logReader: XreadConnection;
  readonly #sources: Sources;
  readonly #obstructions: Obstructions;
  readonly #outputLimit: number;
  readonly #proofs: Proofs;
  #count = countMin;
  /** While the streams are read for the first time, and after a large entry. */
  #expectsLarge = true;
  /** Of the streams that are there once, and of those of each collection: to ask for a thousand takes its time. */
  #common: Waiting | undefined;
  #own: Waiting | undefined;
  /** Called when one of them has its outcome. */
  #arrived = () => {};
  #isWoken = false;
  /** Reads of the module's clients whose log is not read as far yet. */
  #held: Delivery[] = [];

  /** @param outputLimit bytes of an answer at which Redis closes the connection; 0 where it does not */
  constructor(readers: Readers, sources: Sources, obstructions: Obstructions, outputLimit: number) {
    this.#writer = readers.writer;
    const proofsOf = (stream: string) => this.#proofsOf(stream);
    this.#reader = new XreadConnection(readers.reader, proofsOf);
    this.#logReader = new XreadConnection(readers.logReader, proofsOf);
    this.#sources = sources;
    this.#obstructions = obstructions;
    this.#outputLimit = outputLimit;
    this.#proofs = new Proofs(readers.proofKey);
  }

  /** What is there now; when `waits`, what comes first within a second. Moves the positions of the sources. */
  async read(waits: boolean): Promise<readonly Delivery[]> {
    const count = this.#count;
    await this.#obstructions.watch(() => this.#sources.own.map(({ stream }) => stream));
    const replies = waits ? await this.#wait(count) : [await this.#ask(count, this.#sources.all())];
    const deliveries = this.#take(replies.flat(), count);
    const seen = await this.#withLogs(deliveries, count);
    this.#count = await this.#withinLimit(nextCount(count, seen), count, seen);
    this.#expectsLarge = waits ? seen.some(hasLarge) : seen.length > 0;
    return seen;
  }

  /**
   * Where Redis limits its answers, large entries may follow any number of small ones. So many entries are asked for
   * only where a stream has more, and all that it holds is below the limit.
   */
  async #withinLimit(next: number, count: number, seen: readonly Delivery[]): Promise<number> {
    const most = entriesWithin(this.#outputLimit);
    if (next <= most) return next;
    const full = seen.filter(({ requests }) => requests.length >= count).map(({ source }) => source.stream);
    if (full.length === 0) return most;
    return (await areBelow(this.#writer, full, this.#outputLimit)) ? next : most;
  }

  /**
   * Must be called when collections came or went: the first one must not wait until an empty read has passed its time.
   */
  followSources(): void {
    if (this.#own?.isIdle) this.#own = undefined;
  }

  /** A connection that is about to read, for what may be sent before. */
  get free(): XreadConnection | undefined {
    return [this.#reader, this.#logReader].find(({ isFree }) => isFree);
  }

  /** From now on nothing waits. */
  wake(): void {
    this.#isWoken = true;
    this.#arrived();
  }

  /** Whatever comes first on one of the two connections. */
  async #wait(count: number): Promise<Reply[]> {
    this.#common ??= this.#begin(this.#reader, count, this.#sources.common, blockMs);
    // A stream that is obstructed is left out, and is to be read soon once it is free.
    const ownMs = this.#obstructions.any ? blockMs : ownBlockMs;
    this.#own ??= this.#begin(this.#logReader, count, this.#sources.own, ownMs);
    const both = [this.#common, this.#own];
    const isSettled = this.#isWoken || both.some(({ outcome }) => outcome !== undefined);
    // Not Promise.race: each one would leave its reaction with the read that goes on waiting.
    if (!isSettled && this.#held.length === 0) {
      await new Promise<void>((resolve) => {
        this.#arrived = resolve;
      });
    }
    if (this.#common?.outcome !== undefined) this.#common = undefined;
    if (this.#own?.outcome !== undefined) this.#own = undefined;
    return both.flatMap(repliesOf);
  }

  #begin(connection: XreadConnection, count: number, sources: readonly Source[], waitMs: number): Waiting {
    const waiting: Waiting = { isIdle: sources.length === 0, outcome: undefined };
    const settle = (outcome: Waiting["outcome"]) => {
      waiting.outcome = outcome;
      this.#arrived();
    };
    this.#xread((args) => connection.read(args), count, sources, waitMs).then(
      (reply) => settle({ reply }),
      (error: unknown) => settle({ error }),
    );
    return waiting;
  }

  /**
   * What the streams have now. Not on a connection that may be waiting. Redis counts the bytes of an answer: where
   * entries may be large, each stream is asked by itself.
   */
  async #ask(count: number, sources: readonly Source[]): Promise<Reply> {
    const together = this.#expectsLarge ? 1 : Math.max(1, sources.length);
    const reply: StreamRequests[] = [];
    const ask: Xread = async (args) => {
      const raw = (await this.#writer.callBuffer(xreadCommand(), ...args)) as RawReply | null;
      return decoded(raw, (stream) => this.#proofsOf(stream));
    };
    for (let at = 0; at < sources.length; at += together) {
      const some = sources.slice(at, at + together);
      reply.push(...(await this.#xread(ask, count, some, 0)));
    }
    return reply;
  }

  /** @param waitMs for the first entry; 0: not at all */
  async #xread(xread: Xread, count: number, all: readonly Source[], waitMs: number): Promise<Reply> {
    const sources = all.filter(({ stream }) => !this.#obstructions.has(stream));
    if (sources.length === 0) return waitMs > 0 ? delay(waitMs, []) : [];
    const block = waitMs > 0 ? ["BLOCK", waitMs] : [];
    const streams = sources.map((source) => source.stream);
    const positions = sources.map((source) => source.last);
    const args = ["COUNT", count, ...block, "STREAMS", ...streams, ...positions];
    try {
      return await xread(args);
    } catch (error) {
      if (codeOf(error) !== "WRONGTYPE" && !isElsewhere(error)) throw error;
      await this.#obstructions.find(this.#sources.all().map(({ stream }) => stream));
      return this.#xread(xread, count, all, Math.min(waitMs, blockMs)); // it is to be read soon once it is free
    }
  }

  /** An entry that another XREAD has brought meanwhile is passed over. */
  #take(reply: Reply, count: number): Delivery[] {
    const deliveries: Delivery[] = [];
    for (const { stream, requests: all } of reply) {
      const source = this.#sources.find(stream);
      if (source === undefined) continue;
      const isNew = ({ id }: Request) => compareIds(id, source.last) > 0;
      const requests = all.every(isNew) ? all : all.filter(isNew);
      if (requests.length > 0) deliveries.push({ source, requests });
    }
    const kept = withoutEarlyQueries(deliveries, count);
    for (const { source, requests } of kept) source.last = requests.at(-1)!.id;
    return kept;
  }

  /**
   * Logs outlive the key, and the `client` that they name is not believed for anything. Control is for administrators.
   * The module writes no reads to the streams of single collections.
   */
  #proofsOf(stream: string): Proofs | undefined {
    const source = this.#sources.find(stream);
    if (source?.kind !== "queries") return undefined;
    return source.collection === "" ? this.#proofs : noProofs;
  }

  /**
   * With the entries of the logs that the reads among them have to see, and without those reads that have to wait
   * still.
   */
  async #withLogs(deliveries: readonly Delivery[], count: number): Promise<readonly Delivery[]> {
    const all = this.#held.length === 0 ? deliveries : [...this.#held, ...deliveries];
    const behind = this.#logsBefore(all);
    if (behind.size === 0 && this.#held.length === 0) return deliveries;
    const logs = this.#take(behind.size === 0 ? [] : await this.#ask(count, [...behind]), count);
    const cut = new Set(logs.filter(({ requests }) => requests.length === count).map(({ source }) => source));
    const [ready, held] = [[] as Delivery[], [] as Delivery[]];
    for (const { source, requests } of all) {
      const waits = (request: Request) => {
        const log = this.#logBefore(source, request);
        return log !== undefined && cut.has(log);
      };
      const early = requests.filter(waits);
      if (early.length > 0) held.push({ source, requests: early });
      if (early.length < requests.length)
        ready.push({ source, requests: requests.filter((request) => !waits(request)) });
    }
    this.#held = held;
    return merged([...ready, ...logs]);
  }

  #logsBefore(deliveries: readonly Delivery[]): Set<Source> {
    const logs = new Set<Source>();
    for (const { source, requests } of deliveries) {
      for (const request of requests) {
        const log = this.#logBefore(source, request);
        if (log !== undefined) logs.add(log);
      }
    }
    return logs;
  }

  /** The log that has to be read before a read of the module's, or a write to control, where it is not yet. */
  #logBefore(source: Source, request: Request): Source | undefined {
    if (source.collection !== "") return undefined;
    const log = this.#sources.logOf(request.collection);
    if (log === undefined) return undefined;
    if (source.kind === "control") return isWrite(request) ? log : undefined;
    return request.after !== undefined && compareIds(request.after, log.last) > 0 ? log : undefined;
  }
}

/** @throws what the read has thrown */
function repliesOf({ outcome }: Waiting): Reply[] {
  if (outcome === undefined) return [];
  if ("error" in outcome) throw outcome.error;
  return [outcome.reply];
}

/** In slices, as it may have many entries. */
async function decoded(reply: RawReply | null, proofsOf: ProofsOf): Promise<Reply> {
  const slice = new TimeSlice();
  const readAt = performance.now();
  const all: StreamRequests[] = [];
  for (const [name, entries] of reply ?? []) {
    const stream = name.toString();
    const proofs = proofsOf(stream);
    const requests: Request[] = [];
    for (const [id, fields] of entries) {
      requests.push(decodeEntry(stream, id.toString("latin1"), fields, readAt, proofs));
      if (slice.spent) await slice.pause();
    }
    all.push({ stream, requests });
  }
  return all;
}

const hasLarge = ({ requests }: Delivery) => requests.some(({ bytes }) => bytes >= largeEntryBytes);

/** One delivery for each stream, in the order of its entries. */
function merged(deliveries: readonly Delivery[]): Delivery[] {
  const bySource = new Map<Source, Request[]>();
  for (const { source, requests } of deliveries) {
    const before = bySource.get(source);
    if (before === undefined) bySource.set(source, [...requests]);
    else before.push(...requests);
  }
  return [...bySource].map(([source, requests]) => ({ source, requests }));
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

/** Compares ids of two streams only where `after` is missing: otherwise they say nothing about each other. */
function isEarly({ id, after }: Request, end: string): boolean {
  return after === undefined ? compareIds(id, end) >= 0 : compareIds(after, end) > 0;
}
