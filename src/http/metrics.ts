/**
 * /metrics, in Prometheus' text format 0.0.4. prom-client is not used: its last release is two years old, and it would
 * build label strings for every request. The format is one line for a sample.
 *
 * 1,000 collections have 25,000 samples, so the text is made in slices that let requests in between.
 */
import { setImmediate as nextTurn } from "node:timers/promises";
import {
  collectionFacts,
  collectionTimes,
  type Figure,
  type Kind,
  processFigures,
  storeFigures,
} from "../bridge/figures.ts";
import type { RedisView } from "../bridge/watch/redis-watch.ts";
import { durationBounds, type Tally } from "../bridge/watch/tally.ts";
import type { Observed } from "./observe.ts";

export const contentType = "text/plain; version=0.0.4; charset=utf-8";

/** Samples that are written within one turn of the event loop. */
const samplesPerTurn = 2_000;

type Labels = Readonly<Record<string, string>>;
type Sample = readonly [labels: Labels, value: number, suffix?: string];

class Page {
  readonly #parts: string[] = [];
  #samples = 0;

  async write(
    name: string,
    kind: Kind | "histogram",
    help: string,
    samples: readonly Sample[],
  ): Promise<void> {
    if (samples.length === 0) return;
    this.#parts.push(`# HELP ${name} ${help}\n# TYPE ${name} ${kind}\n`);
    for (const [labels, value, suffix = ""] of samples) {
      this.#parts.push(`${name}${suffix}${labelText(labels)} ${value}\n`);
      if (++this.#samples % samplesPerTurn === 0) await nextTurn();
    }
  }

  get text(): string {
    return this.#parts.join("");
  }
}

/**
 * Names of collections, commands, codes, queues and states contain nothing that has to be escaped.
 */
function labelText(labels: Labels): string {
  const pairs = Object.entries(labels).map(([name, value]) => `${name}="${value}"`);
  return pairs.length === 0 ? "" : `{${pairs.join(",")}}`;
}

export async function metricsPage({ process, store, collections, redis, tally }: Observed): Promise<string> {
  const page = new Page();
  await writeAll(page, "vstore_", processFigures, [[{}, process]]);
  if (store !== undefined) await writeAll(page, "vstore_", storeFigures, [[{}, store]]);
  const sources = collections.map((each) => [{ collection: each.collection.name }, each] as const);
  await writeAll(page, "vstore_collection_", [...collectionFacts, ...collectionTimes], sources);
  await writeRequests(page, tally);
  await writeJobs(page, redis);
  return page.text;
}

async function writeAll<S>(
  page: Page,
  prefix: string,
  figures: readonly Figure<S>[],
  sources: readonly (readonly [Labels, S])[],
): Promise<void> {
  for (const { name, kind, help, read } of figures) {
    if (kind === "text") continue;
    const samples = sources.flatMap(([labels, source]): Sample[] => {
      const value = read(source);
      return typeof value === "number" ? [[labels, value]] : [];
    });
    await page.write(`${prefix}${name}${kind === "counter" ? "_total" : ""}`, kind, help, samples);
  }
}

async function writeRequests(page: Page, tally: Tally): Promise<void> {
  const counts: Sample[] = [];
  const durations: Sample[] = [];
  for (const [command, { outcomes, durations: classes, seconds }] of tally.commands) {
    for (const [outcome, count] of outcomes) counts.push([{ command, outcome }, count]);
    durations.push(...histogram({ command }, classes, seconds));
  }
  await page.write("vstore_requests_total", "counter", "requests that were answered", counts);
  const help = "time from reading a request to its answer";
  await page.write("vstore_request_duration_seconds", "histogram", help, durations);
}

function histogram(labels: Labels, classes: Float64Array, sum: number): Sample[] {
  let total = 0;
  const buckets = Array.from(classes, (count, i): Sample => {
    total += count;
    return [{ ...labels, le: String(durationBounds[i] ?? "+Inf") }, total, "_bucket"];
  });
  return [...buckets, [labels, sum, "_sum"], [labels, total, "_count"]];
}

async function writeJobs(page: Page, { queues }: RedisView): Promise<void> {
  const samples = queues.flatMap(({ name, counts }) =>
    Object.entries(counts).map(([state, count]): Sample => [{ queue: name, state }, count]),
  );
  await page.write("vstore_jobs", "gauge", "BullMQ jobs of vstore's queues, by state", samples);
}
