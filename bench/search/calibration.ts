/**
 * Figures of the machine, not of any engine under test, so that runs on different machines can be compared: memory
 * bandwidth, and what hnswlib-node does on one thread with the 10,000 words of examples/.
 */
import * as os from "node:os";
import { loadWords } from "../../harness/words.ts";
import { median, rate } from "../harness.ts";
import { dataset } from "./datasets.ts";
import { hnswlib } from "./engines/hnswlib.ts";
import { type Matrix, matrix } from "./matrix.ts";
import { MEMORY_BYTES, readingRate } from "./reading.ts";
import { EF_TYPICAL } from "./settings.ts";

const ROUNDS = 5;

export interface Calibration {
  readonly cores: number;
  readonly cpu: string;
  /** Bytes copied; each is read once and written once. */
  readonly copyGBs: number;
  readonly readGBs: number;
  readonly readAllCoresGBs: number;
  readonly hnswlibBuildPerSecond: number;
  readonly hnswlibQps: number;
}

export async function calibrate(): Promise<Calibration> {
  const cores = os.availableParallelism();
  return {
    cores,
    cpu: os.cpus()[0]?.model.trim() ?? "unknown",
    copyGBs: (await copyRate()) / 1e9,
    readGBs: (await readingRate(MEMORY_BYTES, 1)) / 1e9,
    readAllCoresGBs: (await readingRate(MEMORY_BYTES, cores)) / 1e9,
    ...(await hnswlibRates()),
  };
}

async function copyRate(): Promise<number> {
  const from = Buffer.alloc(MEMORY_BYTES, 1);
  const to = Buffer.alloc(MEMORY_BYTES, 2);
  const rates: number[] = [];
  for (let i = 0; i < ROUNDS; i++) rates.push(await rate(MEMORY_BYTES, () => from.copy(to)));
  return median(rates);
}

async function hnswlibRates(): Promise<Pick<Calibration, "hnswlibBuildPerSecond" | "hnswlibQps">> {
  const words = loadWords();
  const pick = (rows: readonly number[]): Matrix =>
    matrix(Float32Array.from(rows.flatMap((row) => [...words.vector(row)])), words.vector(0).length);
  const [base, queries] = [pick(words.base), pick(words.queries)];
  const engine = await hnswlib.open({ set: dataset("glove-100"), directory: "" });
  const hnswlibBuildPerSecond = await rate(base.rows, () => engine.build(base));
  await engine.setEf(EF_TYPICAL);
  const rates: number[] = [];
  for (let i = 0; i < ROUNDS; i++) rates.push(queries.rows / (await engine.each(queries)).seconds);
  return { hnswlibBuildPerSecond, hnswlibQps: median(rates) };
}
