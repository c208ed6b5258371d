/**
 * Shared by all workloads: a clock, medians of alternating rounds, and a result that prints as a table and is written
 * as JSON.
 */
import * as fs from "node:fs";
import * as os from "node:os";

export interface Row {
  readonly [column: string]: string | number;
}

export interface Result {
  readonly workload: string;
  /** What is aimed at, in words. */
  readonly aim: string;
  readonly rows: readonly Row[];
}

/** Operations per second of `work`, which does `operations` of them. */
export async function rate(operations: number, work: () => unknown): Promise<number> {
  const start = performance.now();
  await work();
  return (operations / (performance.now() - start)) * 1000;
}

export interface Compared {
  readonly ours: number;
  readonly ceiling: number;
  /** Median of the rounds' own ratios: what slows the machine down for a while slows both halves of a round. */
  readonly ratio: number;
}

/** Medians of `rounds` rounds, each of which measures the one and then the other; an earlier one only warms up. */
export async function alternate(
  rounds: number,
  ours: () => Promise<number>,
  ceiling: () => Promise<number>,
): Promise<Compared> {
  await ours();
  await ceiling();
  const measured: { ours: number; ceiling: number }[] = [];
  for (let round = 0; round < rounds; round++)
    measured.push({ ours: await ours(), ceiling: await ceiling() });
  return {
    ours: median(measured.map((round) => round.ours)),
    ceiling: median(measured.map((round) => round.ceiling)),
    ratio: median(measured.map((round) => round.ours / round.ceiling)),
  };
}

/** The middle one of an odd number of measurements. */
export function median(values: readonly number[]): number {
  return percentile(values, 50);
}

export function percentile(values: readonly number[], p: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor((sorted.length * p) / 100))]!;
}

const machine = (): string =>
  `${os.cpus().length} x ${os.cpus()[0]?.model ?? "unknown"}, ${Math.round(os.totalmem() / 2 ** 30)} GiB, Node ${process.version}`;

/** Prints the result and writes it to bench/results/<workload>.json. */
export function report(result: Result): void {
  console.log(`\n${result.workload} (${result.aim})`);
  console.table(result.rows);
  const path = new URL(`results/${result.workload}.json`, import.meta.url);
  const text = JSON.stringify(
    { date: new Date().toISOString(), machine: machine(), ...result },
    undefined,
    2,
  );
  fs.writeFileSync(path, `${text}\n`);
}

/** 1,234,567 → "1,235 K" */
export const thousands = (value: number): string => `${Math.round(value / 1000).toLocaleString("en")} K`;
