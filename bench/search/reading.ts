/**
 * How fast memory can be read, by the fastest plain reader that Node offers: comparing two equal halves, which is
 * memcmp of the C library (memchr and a JavaScript loop were slower). On one thread, or on several that each read a
 * part.
 */
import { Worker } from "node:worker_threads";
import { median } from "../harness.ts";

/** More than the caches of most machines hold. */
export const MEMORY_BYTES = 512 * 2 ** 20;

const ROUNDS = 5;
/** Of one measurement: small memory is read again and again. */
const BYTES_PER_ROUND = 4 * 2 ** 30;

/** Bytes per second out of `bytes` of memory. */
export async function readingRate(bytes: number, threads: number): Promise<number> {
  const shared = new SharedArrayBuffer(bytes);
  new Uint8Array(shared).fill(1);
  const readers = Array.from({ length: threads }, (_, i) => {
    const from = Math.floor((bytes * i) / threads);
    const to = Math.floor((bytes * (i + 1)) / threads);
    return new Worker(new URL("reader.mjs", import.meta.url), {
      workerData: { shared, from, to },
    });
  });
  const passes = Math.max(1, Math.round(BYTES_PER_ROUND / bytes));
  const rates: number[] = [];
  await readAll(readers, 1);
  for (let round = 0; round < ROUNDS; round++)
    rates.push((bytes * passes) / (await readAll(readers, passes)));
  await Promise.all(readers.map((reader) => reader.terminate()));
  return median(rates);
}

/** Seconds. */
async function readAll(readers: readonly Worker[], passes: number): Promise<number> {
  const start = performance.now();
  const done = readers.map((reader) => new Promise((resolve) => reader.once("message", resolve)));
  for (const reader of readers) reader.postMessage(passes);
  await Promise.all(done);
  return (performance.now() - start) / 1000;
}
