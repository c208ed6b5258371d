/**
 * The BullMQ queues of vstore as they are now: how many jobs are in which state, and the last that failed. On a
 * connection of its own, made when it is first needed, so that a slow look keeps no request waiting.
 */
import { Queue } from "bullmq";
import type { Redis } from "ioredis";
import { millisecondsOf } from "../../engine/log-id.ts";
import { connect } from "../redis/connection.ts";
import { bullPrefix, logStream } from "../redis/keys.ts";
import { readByScript } from "../redis/script.ts";

export const queueNames = [
  "vstore-checkpoint",
  "vstore-compaction",
  "vstore-sweep",
  "vstore-ingest",
] as const;
export const jobStates = ["active", "waiting", "delayed", "prioritized", "completed", "failed"] as const;

/** Failed jobs of one queue that are shown. */
const failedMax = 5;
/** How long Redis may take for one look. */
const lookMsMax = 2_000;
/** A look is reused for this long. */
const freshMs = 1_000;

export interface QueueState {
  readonly name: string;
  /** By state. */
  readonly counts: Readonly<Record<string, number>>;
  /** The latest first. */
  readonly failed: readonly { readonly id: string; readonly reason: string; readonly at: number }[];
}

export interface RedisView {
  readonly queues: readonly QueueState[];
  /** Collection → time of the last entry of its log, in ms since 1970; 0 where it has no entries. */
  readonly lastEntries: ReadonlyMap<string, number>;
}

const nothing: RedisView = { queues: [], lastEntries: new Map() };

export class RedisWatch {
  #connected: { readonly url: string; readonly redis: Redis; readonly queues: readonly Queue[] } | undefined;
  #seen: { readonly at: number; readonly view: Promise<RedisView> } | undefined;

  /** Nothing while Redis cannot be asked. */
  look(url: string, collections: readonly string[]): Promise<RedisView> {
    const now = performance.now();
    if (this.#seen === undefined || now - this.#seen.at > freshMs)
      this.#seen = { at: now, view: this.#look(url, collections).catch(() => nothing) };
    return this.#seen.view;
  }

  close(): void {
    this.#connected?.redis.disconnect();
    this.#connected = undefined;
  }

  async #look(url: string, collections: readonly string[]): Promise<RedisView> {
    const { redis, queues } = await this.#connect(url);
    const [states, lastEntries] = await Promise.all([
      Promise.all(queues.map(stateOf)),
      lastEntriesOf(redis, collections),
    ]);
    return { queues: states, lastEntries };
  }

  async #connect(url: string) {
    if (this.#connected?.url === url && this.#connected.redis.status === "ready") return this.#connected;
    this.close();
    const redis = await connect(url, "vstore-watch", { commandTimeout: lookMsMax, socketTimeout: undefined });
    const queues = queueNames.map((name) => {
      const queue = new Queue(name, { connection: redis, prefix: bullPrefix, skipMetasUpdate: true });
      queue.on("error", () => {}); // the next look connects again
      return queue;
    });
    this.#connected = { url, redis, queues };
    return this.#connected;
  }
}

async function stateOf(queue: Queue): Promise<QueueState> {
  const [counts, failed] = await Promise.all([
    queue.getJobCounts(...jobStates),
    queue.getFailed(0, failedMax - 1),
  ]);
  return { name: queue.name, counts, failed: failed.filter(Boolean).map(describe) };
}

function describe({
  id = "",
  failedReason,
  finishedOn = 0,
}: Awaited<ReturnType<Queue["getFailed"]>>[number]) {
  return { id, reason: failedReason.slice(0, 500), at: finishedOn };
}

/** An entry may have 64 MiB: it is not to leave Redis. */
const lastEntriesScript = `
local ids = {}
for i, key in ipairs(KEYS) do
  local found = redis.pcall('XREVRANGE', key, '+', '-', 'COUNT', 1)
  ids[i] = not found.err and (found[1] and found[1][1] or '0-0')
end
return ids`;

async function lastEntriesOf(redis: Redis, collections: readonly string[]): Promise<Map<string, number>> {
  const ids = (await readByScript(redis, lastEntriesScript, collections.map(logStream))) as (string | null)[];
  return new Map(ids.flatMap((id, i) => (id === null ? [] : [[collections[i]!, millisecondsOf(id)]])));
}
