/** Curves of rate over recall: medians of rounds, and the rate that a curve reaches at a given recall. */
import { median } from "../harness.ts";
import type { Point } from "./measure.ts";

/** The same points measured in several rounds, as one curve. */
export function medianCurve(rounds: readonly (readonly Point[])[]): Point[] {
  return rounds[0]!.map((point, at) => {
    const of = (field: keyof Point) => median(rounds.map((points) => points[at]![field]));
    return {
      ef: point.ef,
      recall: of("recall"),
      qps: of("qps"),
      clientCores: of("clientCores"),
      p50Ms: of("p50Ms"),
      p99Ms: of("p99Ms"),
    };
  });
}

/**
 * What the curve reaches at the recall: between two points the logarithm of the value is taken to be linear in the
 * recall. undefined when no point reaches it; that of the first point when all do.
 */
export function atRecall(
  points: readonly Point[],
  wanted: number,
  value: (point: Point) => number,
): number | undefined {
  const above = points.findIndex(({ recall }) => recall >= wanted);
  if (above < 0) return undefined;
  const right = points[above]!;
  const left = points[above - 1];
  if (left === undefined) return value(right);
  const share = (wanted - left.recall) / (right.recall - left.recall);
  return Math.exp(Math.log(value(left)) * (1 - share) + Math.log(value(right)) * share);
}
