/** The results as tables: one line per engine, every point of every curve, the bars. */
import type { Row } from "../harness.ts";
import { qps } from "./bars.ts";
import { atRecall } from "./curve.ts";
import type { Point } from "./measure.ts";
import { bestCurve, type Entry, type Results } from "./results.ts";
import { RECALL_COMPARED } from "./settings.ts";

export function summary(results: Results): Row[] {
  return results.entries.map((entry) => ({
    set: entry.set,
    engine: entry.engine,
    "build/s 1 core": whole(entry.build.oneCore?.vectorsPerSecond),
    "build/s all": whole(entry.build.allCores?.vectorsPerSecond),
    [`qps@${RECALL_COMPARED} 1 core`]: whole(qps(entry, "oneCore")),
    [`qps@${RECALL_COMPARED} all`]: whole(qps(entry, "allCores")),
    "p50 ms": digits(latency(entry, "p50Ms"), 2),
    "p99 ms": digits(latency(entry, "p99Ms"), 2),
    "PING ms": digits(entry.ping?.p50Ms, 3),
    "PINGs/s": whole(entry.ping?.qps),
    "RAM B/vector": whole(perVector(entry, results, "anonymous")),
    "mapped B/vector": whole(perVector(entry, results, "files")),
    "ready cold s": digits(entry.cold.seconds, 2),
    "ready warm s": digits(entry.warm.seconds, 2),
    "first p50 ms cold": digits(entry.cold.firstP50Ms, 2),
    "first p50 ms warm": digits(entry.warm.firstP50Ms, 2),
  }));
}

/** Every configuration that ran. */
export function curves({ entries }: Results): Row[] {
  return entries.flatMap((entry) => [
    ...points(entry, "1 core", entry.oneCore),
    ...points(entry, "all", entry.allCores),
  ]);
}

export function barRows({ bars }: Results): Row[] {
  return bars.map(({ name, aim, measured, isMet }) => ({
    bar: name,
    aim,
    measured: digits(measured, 2),
    met: isMet === undefined ? "-" : isMet ? "yes" : "NO",
  }));
}

function points(entry: Entry, cores: string, curve: readonly Point[] | undefined): Row[] {
  return (curve ?? []).map((point) => ({
    set: entry.set,
    engine: entry.engine,
    cores,
    ef: point.ef,
    "recall@10": digits(point.recall, 4),
    qps: whole(point.qps),
    "p50 ms": digits(point.p50Ms, 3),
    "p99 ms": digits(point.p99Ms, 3),
    "cores used by this process": digits(point.clientCores, 2),
  }));
}

function latency(entry: Entry, field: "p50Ms" | "p99Ms"): number | undefined {
  return atRecall(bestCurve(entry), RECALL_COMPARED, (point) => point[field]);
}

function perVector(entry: Entry, { settings }: Results, kind: "anonymous" | "files"): number | undefined {
  const memory = entry.warm.memory;
  return memory && memory[kind] / settings.size!;
}

const whole = (value: number | undefined): string =>
  value === undefined ? "-" : Math.round(value).toLocaleString("en");

const digits = (value: number | undefined, count: number): string =>
  value === undefined ? "-" : value.toFixed(count);
