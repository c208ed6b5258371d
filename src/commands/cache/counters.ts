/**
 * What has been asked of a cache since this process began: for CACHE.INFO, VSTORE.INFO and /metrics. An answer counts
 * as the sidecar gives it; where the value has gone meanwhile, `vstore_cache_values_gone` of Redis' INFO counts it too.
 */
import type { Collection } from "../../engine/collection.ts";
import { bytesOfEntry } from "./entry.ts";

/** Of a cache, or of one scope of it. */
export class CacheCounts {
  hits = 0;
  exactHits = 0;
  verifies = 0;
  misses = 0;
  falseHits = 0;
  /** What the values of the hits took to make, as their SETs told. */
  savedMs = 0;
}

/** Scopes of one cache that are counted one by one; those that are asked for later count in the whole only. */
const scopesMax = 10_000;

class CacheCounters {
  readonly all = new CacheCounts();
  /** Entries that MAXBYTES had no room for. */
  evictions = 0;
  readonly #scopes = new Map<string, CacheCounts>();

  ofScope(scope: string | undefined): CacheCounts | undefined {
    return scope === undefined ? undefined : this.#scopes.get(scope);
  }

  /** Counts for the cache, and for the scope where there is room. */
  count(scope: string | undefined, change: (counts: CacheCounts) => void): void {
    change(this.all);
    if (scope === undefined) return;
    let counts = this.#scopes.get(scope);
    if (counts === undefined && this.#scopes.size < scopesMax) {
      counts = new CacheCounts();
      this.#scopes.set(scope, counts);
    }
    if (counts !== undefined) change(counts);
  }
}

const counters = new WeakMap<Collection, CacheCounters>();

export function countersOf(cache: Collection): CacheCounters {
  const known = counters.get(cache) ?? new CacheCounters();
  counters.set(cache, known);
  return known;
}

/** Entries that a replay brings again were counted by the process that applied them first. */
export function isReplayed(time: number): boolean {
  return time < performance.timeOrigin;
}

/** As VSTORE.INFO and CACHE.INFO show them. */
export function countFacts(counts: CacheCounts): Record<string, number> {
  return {
    hits: counts.hits,
    exact_hits: counts.exactHits,
    verifies: counts.verifies,
    misses: counts.misses,
    false_hits: counts.falseHits,
    saved_ms: counts.savedMs,
  };
}

/** Of the values of all entries, also of those that have expired and were not swept yet: what MAXBYTES limits. */
export async function bytesOf(cache: Collection): Promise<number> {
  const sum = cache.sumOf(bytesOfEntry);
  await sum.count();
  return sum.total ?? 0;
}

/** The same for VSTORE.INFO of a collection, and the bytes of its values; none where it is no cache. */
export async function cacheFacts(collection: Collection): Promise<Record<string, number>> {
  if (collection.options.cache === undefined) return {};
  const { all, evictions } = countersOf(collection);
  const facts = Object.entries({ ...countFacts(all), evictions, bytes: await bytesOf(collection) });
  return Object.fromEntries(facts.map(([name, value]) => [`cache_${name}`, value]));
}
