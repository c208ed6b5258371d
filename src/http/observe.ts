/** One reading of all figures, for /metrics and for the page. Looks at Redis at most once a second. */
import { type IntervalHistogram, monitorEventLoopDelay } from "node:perf_hooks";
import { setImmediate as nextTurn } from "node:timers/promises";
import type { CollectionSource, Facts, ProcessSource } from "../bridge/figures.ts";
import { query } from "../bridge/watch/queries.ts";
import { type RedisView, RedisWatch } from "../bridge/watch/redis-watch.ts";
import type { Tally } from "../bridge/watch/tally.ts";
import type { Serving, Watch } from "../bridge/watch/watch.ts";
import { Double, type Reply } from "../commands/wire/reply.ts";

/** Collections that are read within one turn of the event loop. */
const collectionsPerTurn = 50;
const delayResolutionMs = 20;

export interface Observed {
  readonly process: ProcessSource;
  readonly store: { readonly facts: Facts } | undefined;
  readonly collections: readonly CollectionSource[];
  readonly redis: RedisView;
  readonly tally: Tally;
}

export class Observer {
  readonly watch: Watch;
  readonly #redis = new RedisWatch();
  readonly #delays: IntervalHistogram = monitorEventLoopDelay({ resolution: delayResolutionMs });

  #underWay: Promise<Observed> | undefined;

  constructor(watch: Watch) {
    this.watch = watch;
    this.#delays.enable();
  }

  close(): void {
    this.#delays.disable();
    this.#redis.close();
  }

  /** Callers during a reading share it. */
  observe(): Promise<Observed> {
    this.#underWay ??= this.#observe().finally(() => {
      this.#underWay = undefined;
    });
    return this.#underWay;
  }

  async #observe(): Promise<Observed> {
    const { serving, tally } = this.watch;
    const process = this.#process(serving !== undefined);
    if (serving === undefined)
      return {
        process,
        store: undefined,
        collections: [],
        redis: { queues: [], lastEntries: new Map() },
        tally,
      };
    const names = serving.catalog.collections().map(({ name }) => name);
    const redis = await this.#redis.look(serving.url, names);
    const store = { facts: await factsOf(serving) };
    return { process, store, collections: await collectionsOf(serving, redis), redis, tally };
  }

  #process(isServing: boolean): ProcessSource {
    const { mean, max } = this.#delays;
    const p99 = this.#delays.percentile(99);
    this.#delays.reset();
    const delays = { mean: secondsLate(mean), p99: secondsLate(p99), max: secondsLate(max) };
    return { memory: process.memoryUsage(), delays, isServing };
  }
}

/** The histogram has the times between two ticks, in nanoseconds; without a tick yet it has no mean. */
function secondsLate(nanoseconds: number): number {
  return Math.max(0, (nanoseconds || 0) / 1e9 - delayResolutionMs / 1e3);
}

async function collectionsOf(serving: Serving, { lastEntries }: RedisView): Promise<CollectionSource[]> {
  const found: CollectionSource[] = [];
  for (const [i, collection] of serving.catalog.collections().entries()) {
    if (i % collectionsPerTurn === collectionsPerTurn - 1) await nextTurn();
    const facts = await factsOf(serving, collection.name).catch(() => undefined); // dropped meanwhile
    if (facts === undefined) continue;
    found.push({ facts, collection, lastEntry: lastEntries.get(collection.name), now: Date.now() });
  }
  return found;
}

async function factsOf({ context }: Serving, ...collection: string[]): Promise<Facts> {
  const reply = (await query(context(), "INFO", collection)) as Map<string, Reply>;
  return Object.fromEntries([...reply].map(([name, value]) => [name, plain(value)]));
}

function plain(value: Reply): string | number {
  return value instanceof Double ? value.value : typeof value === "number" ? value : String(value);
}
