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

/** Every fail point comes once before one comes again: a few dozen crashes meet most of them, whatever the seed. */
export class CrashPlan {
  readonly #random: () => number;
  #left: FailPoint[] = [];

  constructor(random: () => number) {
    this.#random = random;
  }

  /** Only a new process can be told of a fail point, or die while it starts. */
  next(isRunning: boolean): Crash {
    const random = this.#random;
    const choice = random();
    const afterMs = Math.floor(random() * MOMENT_MS_MAX);
    if (choice < 0.15) return { kind: "redis", afterMs };
    if (choice < 0.25) return { kind: "both", afterMs };
    if (choice < 0.5 || isRunning) return { kind: "sidecar", afterMs };
    if (choice < 0.6) return { kind: "start", afterMs: Math.floor(random() * START_MS_MAX) };
    const name = this.#nextPoint();
    const pass = 1 + Math.floor(random() * (PASSES[name] ?? PASSES_ELSE));
    return { kind: "fail point", name, pass, afterMs: FAIL_POINT_MS_MAX };
  }

  #nextPoint(): FailPoint {
    if (this.#left.length === 0) this.#left = [...failPoints];
    return this.#left.splice(Math.floor(this.#random() * this.#left.length), 1)[0]!;
  }
}
