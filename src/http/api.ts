/** The page's data, as JSON: an overview, the neighbours of a vector, and a sample of a collection. */
import { setImmediate as nextTurn } from "node:timers/promises";
import { collectionTimes, processFigures } from "../bridge/figures.ts";
import { query, sample } from "../bridge/watch/queries.ts";
import { durationBounds, type Tally } from "../bridge/watch/tally.ts";
import type { Serving } from "../bridge/watch/watch.ts";
import type { Double } from "../commands/wire/reply.ts";
import { VstoreError } from "../errors.ts";
import type { Observer } from "./observe.ts";

/** Collections that the overview lists, the largest first. */
const listedMax = 200;
/** Results of one search. */
const hitsMax = 100;

const text = (bytes: Uint8Array): string =>
  Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString();

export async function overview(observer: Observer): Promise<object> {
  const { process, store, collections, redis, tally } = await observer.observe();
  const listed = [...collections]
    .sort((a, b) => Number(b.facts.vectors) - Number(a.facts.vectors))
    .slice(0, listedMax);
  await nextTurn();
  return {
    serving: process.isServing,
    reason: observer.watch.reason,
    store: store?.facts ?? {},
    process: valuesOf(processFigures, process),
    collections: listed.map((each) => ({
      name: each.collection.name,
      ...each.facts,
      ...valuesOf(collectionTimes, each),
    })),
    queues: redis.queues,
    requests: requestsOf(tally),
  };
}

function valuesOf<S>(
  figures: readonly { readonly name: string; readonly read: (source: S) => unknown }[],
  source: S,
): Record<string, unknown> {
  return Object.fromEntries(figures.map(({ name, read }) => [name, read(source)]));
}

function requestsOf({ commands }: Tally): object {
  const all = [...commands].map(([command, { outcomes, durations, seconds }]) => [
    command,
    { outcomes: Object.fromEntries(outcomes), durations: [...durations], seconds },
  ]);
  return { bounds: durationBounds, commands: Object.fromEntries(all) };
}

/** `key` or `vector`; each may be missing or of any type, as it comes from outside. */
export interface Question {
  readonly collection?: unknown;
  readonly key?: unknown;
  readonly vector?: unknown;
  readonly filter?: unknown;
  readonly count?: unknown;
}

type Found = [key: Uint8Array, details: [distance: Double, attributes: Uint8Array | null]];

function describe([key, [distance, attributes]]: Found): object {
  return { key: text(key), distance: distance.value, attributes: attributes && text(attributes) };
}

/** @throws VstoreError */
export async function search(serving: Serving, question: Question): Promise<object> {
  const { collection, key, vector, filter, count } = question;
  const by = vector === undefined ? ["KEY", string(key, "key")] : ["VALUES", ...components(vector)];
  const filters = filter === undefined || filter === "" ? [] : ["FILTER", string(filter, "filter")];
  const most = ["COUNT", String(typeof count === "number" ? Math.min(hitsMax, count) : 10)];
  const words = [string(collection, "collection"), ...by, ...most, ...filters, "WITHDISTANCES", "WITHATTRS"];
  const start = performance.now();
  const hits = (await query(serving.context(), "SEARCH", words)) as Found[];
  return { ms: performance.now() - start, hits: hits.map(describe) };
}

function string(value: unknown, name: string): string {
  if (typeof value === "string") return value;
  throw new VstoreError("ERR", `'${name}' must be a string`);
}

function components(vector: unknown): string[] {
  const isList = Array.isArray(vector) && vector.every((each) => typeof each === "number");
  if (isList) return [String(vector.length), ...vector.map(String)];
  throw new VstoreError("ERR", "'vector' must be an array of numbers");
}

/** Vectors as base64 of float32, which costs less than numbers as text. */
export async function sampleOf({ catalog }: Serving, collection: string): Promise<object> {
  const target = catalog.get(collection);
  const { keys, vectors } = await sample(target);
  const bytes = Buffer.from(vectors.buffer, vectors.byteOffset, vectors.byteLength);
  const { dimensions } = target.options;
  return { dimensions, of: target.length, keys: keys.map(text), vectors: bytes.toString("base64") };
}
