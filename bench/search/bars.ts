/** The aims, each as a ratio or a figure within one run. An aim whose engines did not run is left open. */
import { atRecall } from "./curve.ts";
import type { Point } from "./measure.ts";
import type { Bar, Entry } from "./results.ts";
import type { Scanned } from "./scan.ts";
import { RECALL_COMPARED } from "./settings.ts";

/** As CREATE makes it, when it is told nothing else. */
const OURS = "vstore-int8";
/** The set that engines are compared on, and the one that RAM is measured on. */
const SET = "glove-100";
const WIDE_SET = "clustered-768";

type Curve = "oneCore" | "allCores";
type Figure = number | undefined;

const IN_WORDS: Readonly<Record<Curve, string>> = { oneCore: "one core", allCores: "all cores" };

export function bars(entries: readonly Entry[], size: number, scan: Scanned | undefined): Bar[] {
  const on = (set: string, engine: string) =>
    entries.find((entry) => entry.set === set && entry.engine === engine);
  const [ours, redis, hnswlib] = [OURS, "vstore-redis", "hnswlib-node"].map((name) => on(SET, name));
  const quantized = entries.filter(
    ({ set, engine }) => set === SET && engine.startsWith("usearch-") && engine !== "usearch-f32",
  );
  const usearch = (curve: Curve) => [
    atLeast(
      1.2,
      `${IN_WORDS[curve]}: of usearch f32`,
      quotient(qps(ours, curve), qps(on(SET, "usearch-f32"), curve)),
    ),
    atLeast(
      1,
      `${IN_WORDS[curve]}: of usearch's best quantization`,
      quotient(qps(ours, curve), best(quantized, curve)),
    ),
  ];
  const inProcess = qps(ours, "allCores");
  return [
    atLeast(2, "one core: of hnswlib-node", quotient(qps(ours, "oneCore"), qps(hnswlib, "oneCore"))),
    atLeast(1.8, "all cores: of one core", quotient(inProcess, qps(ours, "oneCore"))),
    ...usearch("oneCore"),
    ...usearch("allCores"),
    atLeast(1.5, "build on one core: of hnswlib-node", quotient(buildRate(ours), buildRate(hnswlib))),
    atLeast(0.7, "through Redis: of in-process, all cores", quotient(qps(redis, "allCores"), inProcess)),
    atMost(1, "one SEARCH: of in-process p50 + 5 PING p50", latencyRatio(ours, redis)),
    atMost(1.2, "RAM KB per vector at 768 d", ramKB(on(WIDE_SET, OURS), size)),
    atLeast(0.5, "exact scan: of plain reading of memory", ofReading(scan?.exactBeyondCache)),
    atLeast(
      0.5,
      `exact scan of ${scan?.exact.vectors ?? size} vectors: of plain reading`,
      ofReading(scan?.exact),
    ),
    atMost(10, `SEARCH p50 ms with ${scan?.tail.vectors ?? size} vectors in the tail`, scan?.tail.p50Ms),
  ];
}

/** Queries per second at the recall that is compared at. */
export function qps(entry: Entry | undefined, curve: Curve): Figure {
  return figure(entry?.[curve], (point) => point.qps);
}

function figure(curve: readonly Point[] | undefined, value: (point: Point) => number): Figure {
  return curve && atRecall(curve, RECALL_COMPARED, value);
}

function best(entries: readonly Entry[], curve: Curve): Figure {
  const rates = entries.map((entry) => qps(entry, curve)).filter((rate) => rate !== undefined);
  return rates.length === 0 ? undefined : Math.max(...rates);
}

const buildRate = (entry: Entry | undefined): Figure => entry?.build.oneCore?.vectorsPerSecond;

function latencyRatio(ours: Entry | undefined, redis: Entry | undefined): Figure {
  const [inProcess, through] = [ours, redis].map((each) => figure(each?.allCores, (point) => point.p50Ms));
  if (inProcess === undefined || redis?.ping === undefined) return undefined;
  return quotient(through, inProcess + 5 * redis.ping.p50Ms);
}

function ramKB(entry: Entry | undefined, size: number): Figure {
  const memory = entry?.warm.memory;
  return memory && memory.anonymous / size / 1000;
}

const ofReading = (exact: Scanned["exact"] | undefined): Figure => quotient(exact?.GBs, exact?.readGBs);

function quotient(a: Figure, b: Figure): Figure {
  return a === undefined || b === undefined ? undefined : a / b;
}

function atLeast(least: number, name: string, measured: Figure): Bar {
  return {
    name,
    aim: `>= ${least}`,
    measured,
    isMet: measured === undefined ? undefined : measured >= least,
  };
}

function atMost(most: number, name: string, measured: Figure): Bar {
  return { name, aim: `<= ${most}`, measured, isMet: measured === undefined ? undefined : measured <= most };
}
