/**
 * Every figure of vstore: name, kind, unit, meaning, and where it is read. VSTORE.INFO, /metrics and the tables of
 * docs/monitoring.md follow from this file; a test compares it with what VSTORE.INFO answers.
 */
import type { memoryUsage } from "node:process";
import type { Collection } from "../engine/collection.ts";
import { millisecondsOf } from "../engine/log-id.ts";

/** A gauge goes up and down, a counter only up until the process ends; a text is in no metrics. */
export type Kind = "gauge" | "counter" | "text";

export interface Figure<Source> {
  readonly name: string;
  readonly kind: Kind;
  readonly help: string;
  readonly unit?: "bytes" | "seconds";
  /** Undefined where it does not apply. */
  readonly read: (source: Source) => string | number | undefined;
}

/** What VSTORE.INFO answers, by name. */
export type Facts = Readonly<Record<string, string | number>>;

export interface CollectionSource {
  readonly facts: Facts;
  readonly collection: Collection;
  /** Time of the last entry of its log, in ms since 1970. */
  readonly lastEntry: number | undefined;
  /** In ms since 1970. */
  readonly now: number;
}

/** A fact of VSTORE.INFO under its own name. */
function fact(name: string, kind: Kind, help: string, unit?: "bytes"): Figure<{ facts: Facts }> {
  return { name, kind, help, ...(unit && { unit }), read: ({ facts }) => facts[name] };
}

/** Of VSTORE.INFO without a collection, in its order. */
export const storeFigures: readonly Figure<{ facts: Facts }>[] = [
  fact("data_directory", "text", "directory of the files"),
  fact("collections", "gauge", "collections that are served"),
  fact("damaged_collections", "gauge", "collections whose files are damaged; should be 0"),
  fact("vectors", "gauge", "vectors of all collections that a read finds"),
  fact("tail_slots", "gauge", "slots of all collections that are in no index yet"),
  fact("control_id", "text", "last entry of vstore:control that was applied"),
  fact("log_losses", "counter", "how often Redis has lost a log, or a part of one; should be 0"),
  fact("obstructed_streams", "gauge", "request streams whose key holds something else; should be 0"),
  fact(
    "job_failures",
    "counter",
    "checkpoint, compaction and sweep jobs that failed, or that Redis refused to make",
  ),
  fact(
    "closed_connections",
    "counter",
    "how often a Redis that went on closed a connection of this sidecar, as beyond client-output-buffer-limit",
  ),
  fact("followers", "gauge", "followers that give signs of life, or did so within 10 minutes"),
  fact("followers_out_of_step", "gauge", "those whose files end before a log begins; should be 0"),
  fact(
    "snapshot_bytes",
    "gauge",
    "of the snapshots that are on their way to followers, or to this one",
    "bytes",
  ),
  fact("snapshot_bytes_done", "gauge", "those of them that were sent, or have arrived here", "bytes"),
  fact("unexpected_errors", "counter", "errors that no code raised on purpose; should be 0"),
  fact("loop_turn_ms_max", "gauge", "longest turn of the loop that serves, in ms"),
];

/** Of VSTORE.INFO with a collection, in its order. */
export const collectionFacts: readonly Figure<{ facts: Facts }>[] = [
  fact("dimensions", "gauge", "components of a vector"),
  fact("metric", "text", "how distance is measured"),
  fact("quantization", "text", "how the index keeps vectors"),
  fact("m", "text", "links of a node of the graph"),
  fact("ef_construction", "text", "candidates kept while a vector is linked in"),
  fact("ef", "text", "candidates kept by a search that names no EF"),
  fact("vectors", "gauge", "vectors that a read finds"),
  fact("expiring", "gauge", "keys with a time to live"),
  fact("expired", "gauge", "those of them that wait for their removal"),
  fact("slots", "gauge", "rows of the files"),
  fact("dead_slots", "gauge", "rows that no key has any more"),
  fact("compactions", "counter", "how often dead rows were given back, since the collection was created"),
  fact("index", "text", "native or portable"),
  fact("indexed_slots", "gauge", "slots that the index knows, or need not know"),
  fact("missed_slots", "gauge", "slots that no walk through the index reached when they were looked for"),
  fact("relinked_slots", "gauge", "those of them that searches find now"),
  fact("centred", "gauge", "1 where the index has learnt a centre, which it learns anew at a compaction"),
  fact("index_bytes", "gauge", "memory of the index", "bytes"),
  fact("index_mapped_bytes", "gauge", "what of the index is mapped from its file instead", "bytes"),
  fact(
    "index_resident_bytes",
    "gauge",
    "what of that is in memory, estimated by samples; the system takes back what is not used",
    "bytes",
  ),
  fact("tail_slots", "gauge", "slots that are searched exactly until the index knows them"),
  fact("segment_bytes", "gauge", "size of the vectors' files", "bytes"),
  fact(
    "resident_bytes",
    "gauge",
    "what of them is in memory, estimated by samples; the system takes back what is not used",
    "bytes",
  ),
  fact(
    "unproved_bytes",
    "gauge",
    "what of them was not compared with its checksums since the start",
    "bytes",
  ),
  fact("keys_bytes", "gauge", "size of the file of keys", "bytes"),
  fact("attributes_bytes", "gauge", "size of the file of attributes", "bytes"),
  fact("filter_fields", "gauge", "fields of the attributes that have a column"),
  fact(
    "filter_fields_full",
    "gauge",
    "1 where there are more fields than columns; filters read those from the JSON",
  ),
  fact(
    "filter_values_in_json",
    "gauge",
    "values that their column has no room for; filters read them from the JSON",
  ),
  fact(
    "filter_bytes",
    "gauge",
    "memory of the columns, of matches that are kept, and of a cache's scopes",
    "bytes",
  ),
  fact("created_id", "text", "log id of the CREATE"),
  fact("applied_id", "text", "last entry of the log that was applied"),
  fact("checkpoint_id", "text", "last entry of the log that the files cover"),
  fact("log_losses", "counter", "how often Redis has lost its log, or a part of it; should be 0"),
  fact("obstructed_streams", "gauge", "its request streams whose key holds something else; should be 0"),
  fact("follow_prefix", "text", "prefix of the keys that it follows"),
  fact("follow_field", "text", "field of their hashes that has the vector"),
  fact("follow_resyncing", "gauge", "1 while all followed keys are looked at"),
  fact("follow_keys_done", "gauge", "keys looked at so far, during that"),
  fact("follow_keys_total", "gauge", "keys that there are to look at, during that"),
  fact("cache_hits", "counter", "questions that a cache has answered"),
  fact("cache_exact_hits", "counter", "those of them with the very prompt of the entry"),
  fact("cache_verifies", "counter", "questions whose answer the application had to verify"),
  fact("cache_misses", "counter", "questions without an answer"),
  fact("cache_false_hits", "counter", "answers that were reported as false"),
  fact(
    "cache_saved_ms",
    "counter",
    "what the values of the hits took to make, as their SETs told, in milliseconds",
  ),
  fact("cache_evictions", "counter", "entries that were evicted to stay within MAXBYTES"),
  fact("cache_bytes", "gauge", "bytes of the values of a cache", "bytes"),
];

/** Of a collection, in /metrics only: they change with time alone, or need a look at Redis. */
export const collectionTimes: readonly Figure<CollectionSource>[] = [
  {
    name: "log_lag_seconds",
    kind: "gauge",
    unit: "seconds",
    help: "time from the last applied entry of the log to its last entry; 0 when all are applied",
    read: ({ collection, lastEntry }) => lag(collection.position, lastEntry),
  },
  {
    name: "checkpoint_age_seconds",
    kind: "gauge",
    unit: "seconds",
    help: "time since the last entry that the files cover; 0 when they cover all",
    read: ({ collection, now }) =>
      collection.checkpointId === collection.appliedId
        ? 0
        : Math.max(0, now - millisecondsOf(laterOf(collection))) / 1000,
  },
];

function lag(applied: string, lastEntry: number | undefined): number | undefined {
  return lastEntry === undefined ? undefined : Math.max(0, lastEntry - millisecondsOf(applied)) / 1000;
}

/** A collection without a checkpoint yet counts from its creation. */
function laterOf({ checkpointId, createdId }: Collection): string {
  return millisecondsOf(checkpointId) > millisecondsOf(createdId) ? checkpointId : createdId;
}

/** Figures of the process itself, whether it serves or not. */
export interface ProcessSource {
  readonly memory: ReturnType<typeof memoryUsage>;
  /** Of the event loop since the last reading, in seconds. */
  readonly delays: { readonly mean: number; readonly p99: number; readonly max: number };
  readonly isServing: boolean;
}

export const processFigures: readonly Figure<ProcessSource>[] = [
  {
    name: "serving",
    kind: "gauge",
    help: "1 while this sidecar serves clients, 0 while it connects or stands by",
    read: ({ isServing }) => Number(isServing),
  },
  bytes(
    "resident_memory_bytes",
    "memory of the process, mapped files included as far as they are in use",
    "rss",
  ),
  bytes("heap_bytes", "memory of JavaScript objects in use", "heapUsed"),
  bytes("external_memory_bytes", "memory of buffers and of native objects that JavaScript owns", "external"),
  delay("event_loop_delay_mean_seconds", "mean delay of the event loop since the last reading", "mean"),
  delay("event_loop_delay_p99_seconds", "99th percentile of the delays since the last reading", "p99"),
  delay("event_loop_delay_max_seconds", "largest delay since the last reading", "max"),
  {
    name: "cpu_seconds",
    kind: "counter",
    unit: "seconds",
    help: "processor time of all threads of the process",
    read: () => {
      const { user, system } = process.cpuUsage();
      return (user + system) / 1e6;
    },
  },
];

function bytes(name: string, help: string, key: keyof ReturnType<typeof memoryUsage>): Figure<ProcessSource> {
  return { name, kind: "gauge", unit: "bytes", help, read: ({ memory }) => memory[key] };
}

function delay(name: string, help: string, key: keyof ProcessSource["delays"]): Figure<ProcessSource> {
  return { name, kind: "gauge", unit: "seconds", help, read: ({ delays }) => delays[key] };
}
