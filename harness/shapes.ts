/**
 * Data of the shapes that people store and that indexes find hard: near-duplicates, duplicates, zeros, offsets, extreme
 * magnitudes. Each is drawn from a seed. Shared by `npm run bench shapes` and the tests.
 */
import type { Metric } from "../src/engine/options.ts";

export interface Shape {
  readonly name: string;
  readonly metrics: readonly Metric[];
  /** At most so many dimensions are worth trying. */
  readonly dimensionsMax?: number;
  /** Row after row, in the order in which they are stored. */
  make(random: () => number, dimensions: number, rows: number): Float32Array[];
}

const ALL: readonly Metric[] = ["COSINE", "L2", "IP"];
/** Of near-duplicates. */
const CLUSTERS = 10;

/** Numbers of the standard normal distribution (Box & Muller 1958). */
export function normal(random: () => number): () => number {
  return () => Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
}

const vectorOf = (dimensions: number, component: (i: number) => number): Float32Array =>
  Float32Array.from({ length: dimensions }, (_, i) => component(i));

const times = <T>(count: number, each: (i: number) => T): T[] =>
  Array.from({ length: count }, (_, i) => each(i));

/** Independent rows whose components are made of a normal number and their place. */
function independent(of: (x: number, component: number) => number): Shape["make"] {
  return (random, dimensions, rows) => {
    const x = normal(random);
    return times(rows, () => vectorOf(dimensions, (i) => of(x(), i)));
  };
}

/** Rows around a few others, whose components they multiply by 1 + N(0, noise). */
function nearDuplicates(noise: number): Shape["make"] {
  return (random, dimensions, rows) => {
    const x = normal(random);
    const templates = times(CLUSTERS, () => vectorOf(dimensions, x));
    return times(rows, (at) =>
      vectorOf(dimensions, (i) => templates[at % CLUSTERS]![i]! * (1 + noise * x())),
    );
  };
}

/** A fifth of the rows are one and the same; `isCopy` says which. */
function duplicates(isCopy: (share: number, random: () => number) => boolean, copy?: number): Shape["make"] {
  return (random, dimensions, rows) => {
    const x = normal(random);
    const same = vectorOf(dimensions, copy === undefined ? x : () => copy);
    return times(rows, (at) => (isCopy(at / rows, random) ? same.slice() : vectorOf(dimensions, x)));
  };
}

const first = (share: number) => share < 0.2;

function scaled(scaleOf: (random: () => number) => number): Shape["make"] {
  return (random, dimensions, rows) => {
    const x = normal(random);
    return times(rows, () => {
      const scale = scaleOf(random);
      return vectorOf(dimensions, () => x() * scale);
    });
  };
}

/** Clusters as embeddings have them: their members differ about as much as their centres do. */
const clustered: Shape["make"] = (random, dimensions, rows) => {
  const x = normal(random);
  const centres = times(50, () => vectorOf(dimensions, x));
  return times(rows, () => {
    const centre = centres[Math.floor(random() * centres.length)]!;
    return vectorOf(dimensions, (i) => centre[i]! + 0.7 * x());
  });
};

export const shapes: readonly Shape[] = [
  ...[0.1, 0.01, 0.001, 0.0005].map((noise) => ({
    name: `near-duplicates, noise ${noise * 100}%`,
    metrics: ALL,
    make: nearDuplicates(noise),
  })),
  { name: "duplicates first", metrics: ALL, make: duplicates(first) },
  {
    name: "duplicates in the middle",
    metrics: ALL,
    make: duplicates((share) => share >= 0.4 && share < 0.6),
  },
  { name: "duplicates mixed in", metrics: ALL, make: duplicates((_, random) => random() < 0.2) },
  { name: "zero vectors first", metrics: ["L2", "IP"], make: duplicates(first, 0) },
  {
    name: "one far outlier",
    metrics: ALL,
    make: (random, dimensions, rows) => {
      const all = independent((x) => x)(random, dimensions, rows);
      all[0]!.fill(1e6);
      return all;
    },
  },
  ...[1, 100, 1_000, 10_000].map((offset) => ({
    name: `offset ${offset}`,
    metrics: ALL,
    make: independent((x) => offset + x),
  })),
  { name: "one component of 500", metrics: ALL, make: independent((x, i) => (i === 0 ? 500 + x : x)) },
  {
    name: "one component 500 times as wide",
    metrics: ALL,
    make: independent((x, i) => (i === 0 ? 500 * x : x)),
  },
  ...[1e-30, 1e-8, 1e6, 1e20, 1e30].map((scale) => ({
    name: `magnitude ${scale}`,
    metrics: ALL,
    make: scaled(() => scale),
  })),
  {
    name: "magnitudes 1e-30 to 1e30 mixed",
    metrics: ["COSINE", "L2"] as const,
    make: scaled((random) => 10 ** (60 * random() - 30)),
  },
  {
    name: "nine of ten components zero",
    metrics: ALL,
    make: (random, dimensions, rows) => {
      const x = normal(random);
      return times(rows, () => vectorOf(dimensions, (i) => (i === 0 || random() < 0.1 ? x() : 0)));
    },
  },
  { name: "clustered", metrics: ALL, make: clustered },
];
