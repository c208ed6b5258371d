/**
 * Ends the values of caches that were dropped, in pieces, beside everything else. Their entries are in the files, which
 * the catalog has kept, and what was set when the sidecar did not look any more is in the log, which has another name
 * since. The stream of that name stands in Redis from before the DROP until all values have ended: without it there is
 * nothing to do. So a crash, and another leader, go on where they find both; to end a value twice does no harm.
 */
import { setTimeout as delay } from "node:timers/promises";
import type { Redis } from "ioredis";
import { cacheSet } from "../../commands/cache/set.ts";
import { releasable, valueOfSet } from "../../commands/cache/values.ts";
import type { Catalog } from "../../engine/catalog.ts";
import { failPoint } from "../../engine/fail-point.ts";
import type { Remains } from "../../engine/generation/remains.ts";
import { FIRST_ID } from "../../engine/log-id.ts";
import { LimitedLog, type Logger } from "../../log.ts";
import { droppedStream, logStream } from "../redis/keys.ts";
import { decodeEntry, type Request } from "../requests/request.ts";
import type { Session } from "../session/session.ts";

/** Values that one command ends, and their bytes: their digests are compared, about a millisecond for each MiB. */
const valuesMax = 500;
const bytesMax = 1024 * 1024;
/** Entries of the log that are read at once. */
const entriesMax = 64;
/** How long to wait where the module could not tell which values are those of a new cache of the same name. */
const behindMs = 50;
const restMs = 1_000;

/** A value, by its key and digest. */
interface Value {
  readonly key: Buffer;
  readonly digest: string;
  readonly bytes: number;
}

export class Endings {
  readonly #writer: Redis;
  readonly #reads: Redis;
  readonly #ended: AbortSignal;
  readonly #catalog: Catalog;
  readonly #isProven: (request: Request) => boolean;
  readonly #log: Logger;
  readonly #lines: LimitedLog;
  /** Ids of DROPs that are complete but for the values. */
  readonly #waiting: string[] = [];
  #isRunning = false;

  /** @param isProven whether the module has appended it, after it had checked its caller's rights */
  constructor(session: Session, catalog: Catalog, isProven: (request: Request) => boolean, log: Logger) {
    this.#writer = session.writer;
    this.#reads = session.answerer;
    this.#ended = session.signal;
    this.#catalog = catalog;
    this.#isProven = isProven;
    this.#log = log;
    this.#lines = new LimitedLog(log);
  }

  /** Takes up what an earlier session has left. To be called when all DROPs of before are complete. */
  resume(): void {
    for (const dropId of this.#catalog.remains.dropIds) this.begin(dropId);
  }

  /** To be called when the DROP is complete. */
  begin(dropId: string): void {
    if (this.#catalog.remains.of(dropId) === undefined || this.#waiting.includes(dropId)) return;
    this.#waiting.push(dropId);
    if (!this.#isRunning) void this.#run();
  }

  async #run(): Promise<void> {
    this.#isRunning = true;
    while (this.#waiting.length > 0 && !this.#ended.aborted) {
      try {
        await this.#end(this.#waiting[0]!);
        this.#waiting.shift();
      } catch (error) {
        if (this.#ended.aborted) break;
        this.#lines.warn({ error: (error as Error).message }, "ending the values of a dropped cache failed");
        await delay(restMs, undefined, { ref: false });
      }
    }
    this.#isRunning = false;
  }

  async #end(dropId: string): Promise<void> {
    const remains = this.#catalog.remains.of(dropId)!;
    const stream = droppedStream(remains.name, remains.createdId);
    if ((await this.#reads.exists(stream)) === 1) {
      const values = (await this.#endEntries(remains)) + (await this.#endLogged(remains, stream));
      failPoint("values-before-forgotten");
      await this.#writer.unlink(stream);
      this.#log.info({ collection: remains.name, values }, "ended the values of a dropped cache");
    }
    await this.#catalog.remains.forget(dropId);
  }

  /** Those that the files know. Returns how many were still there. */
  async #endEntries(remains: Remains): Promise<number> {
    let [released, batch, bytes]: [number, Value[], number] = [0, [], 0];
    for await (const { key, attributes } of remains.entries()) {
      const facts = releasable(attributes);
      if (facts === undefined) continue;
      batch.push({ key: Buffer.from(key), digest: facts.value, bytes: facts.bytes });
      bytes += facts.bytes;
      if (batch.length < valuesMax && bytes < bytesMax) continue;
      released += await this.#release(remains.name, batch);
      failPoint("values-half-ended");
      [batch, bytes] = [[], 0];
    }
    return released + (await this.#release(remains.name, batch));
  }

  /** Those of entries that were appended when the collection was read no more. */
  async #endLogged({ name, position }: Remains, stream: string): Promise<number> {
    let [released, last] = [0, position];
    for (;;) {
      const entries = await this.#reads.xrangeBuffer(stream, `(${last}`, "+", "COUNT", entriesMax);
      if (entries.length === 0) return released;
      const requests = entries.map(([id, fields]) =>
        decodeEntry(logStream(name), id.toString("latin1"), fields),
      );
      const sets = requests.filter((each) => each.name === cacheSet.name && this.#isProven(each));
      for (const set of sets) {
        const value = valueOfSet(set.args);
        if (value !== undefined) released += await this.#release(name, [{ ...value, bytes: 0 }]);
      }
      last = requests.at(-1)!.id;
    }
  }

  /** Spares those that belong to a new cache of the name. */
  async #release(name: string, values: readonly Value[]): Promise<number> {
    for (;;) {
      const present = this.#catalog.find(name);
      const left = values.filter(({ key }) => present?.has(key) !== true);
      if (left.length === 0) return 0;
      const pairs = left.flatMap(({ key, digest }) => [key, digest]);
      const upTo = present?.position ?? FIRST_ID;
      const released = Number(await this.#writer.call("VSTORE.RELEASE", name, "DROPPED", upTo, ...pairs));
      if (released >= 0) return released;
      await delay(behindMs, undefined, { signal: this.#ended });
    }
  }
}
