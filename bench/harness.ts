/** What every workload needs: a clock, percentiles, and a result that prints as a table and is written as JSON. */
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
export async function rate(operations: number, work: () => Promise<void> | void): Promise<number> {
  const start = performance.now();
  await work();
  return (operations / (performance.now() - start)) * 1000;
}

/** The middle one of an odd number of measurements. */
export function median(values: readonly number[]): number {
  return percentile(values, 50);
}

export function percentile(values: readonly number[], p: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor((sorted.length * p) / 100))]!;
}

export const machine = (): string =>
  `${os.cpus().length} x ${os.cpus()[0]?.model ?? "unknown"}, ${Math.round(os.totalmem() / 2 ** 30)} GiB, Node ${process.version}`;

/** Prints the result and writes it to bench/results/<workload>.json. */
export function report(result: Result): void {
  console.log(`\n${result.workload} (${result.aim})`);
  console.table(result.rows);
  const path = new URL(`results/${result.workload}.json`, import.meta.url);
  const text = JSON.stringify({ date: new Date().toISOString(), machine: machine(), ...result }, undefined, 2);
  fs.writeFileSync(path, `${text}\n`);
}

/** 1,234,567 → "1,235 K" */
export const thousands = (value: number): string => `${Math.round(value / 1000).toLocaleString("en")} K`;
