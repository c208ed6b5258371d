/** The shape of bench/results/search.json: everything that ran, and what was skipped and why. */
import type { Calibration } from "./calibration.ts";
import type { Built, Ping, Point, Ready } from "./measure.ts";
import type { Scanned } from "./scan.ts";

/** One engine on one set. */
export interface Entry {
  readonly set: string;
  readonly engine: string;
  readonly settings: string;
  /** undefined where the engine cannot be measured so. */
  readonly build: { readonly oneCore: Built | undefined; readonly allCores: Built | undefined };
  readonly cold: Ready;
  readonly warm: Ready;
  readonly oneCore: readonly Point[] | undefined;
  readonly allCores: readonly Point[] | undefined;
  /** Of servers; nothing confined. */
  readonly ping: Ping | undefined;
}

export interface Skipped {
  readonly set: string;
  readonly engine: string;
  readonly reason: string;
}

export interface Bar {
  readonly name: string;
  readonly aim: string;
  /** undefined: not in this run. */
  readonly measured: number | undefined;
  readonly isMet: boolean | undefined;
}

export interface Results {
  readonly date: string;
  readonly node: string;
  readonly settings: Readonly<Record<string, number>>;
  readonly calibration: { readonly before: Calibration; readonly after: Calibration };
  readonly entries: readonly Entry[];
  readonly skipped: readonly Skipped[];
  readonly scan: Scanned | undefined;
  readonly bars: readonly Bar[];
}

/** The curve that says most about the engine: on all cores, or on the one it can use. */
export function bestCurve({ allCores, oneCore }: Entry): readonly Point[] {
  return allCores ?? oneCore ?? [];
}
