/** The seeded choice of what dies next, and when. */
import { type FailPoint, failPoints } from "../../src/engine/fail-point.ts";

/** Those from outside; the others are the fail points. */
export const crashKinds = ["sidecar", "redis", "both", "start"] as const;

export type Crash =
  /** While clients write. */
  | { readonly kind: Exclude<(typeof crashKinds)[number], "start">; readonly afterMs: number }
  /** While it starts. */
  | { readonly kind: "start"; readonly afterMs: number }
  /** At the n-th pass of a place in the code; from outside if it does not come there in time. */
  | {
      readonly kind: "fail point";
      readonly name: FailPoint;
      readonly pass: number;
      readonly afterMs: number;
    };

/** Its collections are no caches: at the points of those, test/82-caches/09 kills the sidecar. */
export const writePoints: readonly FailPoint[] = failPoints.filter((name) => !name.startsWith("values-"));

const MOMENT_MS_MAX = 300;
const START_MS_MAX = 500;
/** Long enough for the schedule of checkpoints and the trimming of logs to come around. */
const FAIL_POINT_MS_MAX = 2_500;

/** How often a place is passed in that time, where it is not a few times. */
const PASSES: Partial<Record<FailPoint, number>> = {
  "write-before-apply": 300,
  "write-before-answer": 300,
  "compaction-before-switch": 1,
  "compaction-before-manifest": 1,
  "compaction-before-removal": 1,
};
const PASSES_ELSE = 4;

/** How many of twenty crashes are of each kind. */
const SHARES: readonly [Crash["kind"], number][] = [
  ["redis", 3],
  ["both", 2],
  ["sidecar", 5],
  ["start", 2],
  ["fail point", 8],
];

/**
 * Kinds and fail points are dealt like cards, each one before one comes again: a few dozen crashes meet every kind and
 * most of the points, whatever the seed.
 */
export class CrashPlan {
  readonly #random: () => number;
  #kinds: Crash["kind"][] = [];
  #points: FailPoint[] = [];

  constructor(random: () => number) {
    this.#random = random;
  }

  next(isRunning: boolean): Crash {
    const random = this.#random;
    const kind = this.#nextKind(isRunning);
    if (kind === "start") return { kind, afterMs: Math.floor(random() * START_MS_MAX) };
    if (kind !== "fail point") return { kind, afterMs: Math.floor(random() * MOMENT_MS_MAX) };
    const name = this.#nextPoint();
    const pass = 1 + Math.floor(random() * (PASSES[name] ?? PASSES_ELSE));
    return { kind, name, pass, afterMs: FAIL_POINT_MS_MAX };
  }

  /** Only a new process can be told of a fail point, or die while it starts. */
  #nextKind(isRunning: boolean): Crash["kind"] {
    if (this.#kinds.length === 0) this.#kinds = SHARES.flatMap(([kind, share]) => Array(share).fill(kind));
    const isFit = (kind: Crash["kind"]) => !isRunning || (kind !== "start" && kind !== "fail point");
    const fit = [...this.#kinds.keys()].filter((at) => isFit(this.#kinds[at]!));
    if (fit.length === 0) return "sidecar";
    return this.#kinds.splice(fit[Math.floor(this.#random() * fit.length)]!, 1)[0]!;
  }

  #nextPoint(): FailPoint {
    if (this.#points.length === 0) this.#points = [...writePoints];
    return this.#points.splice(Math.floor(this.#random() * this.#points.length), 1)[0]!;
  }
}
