/**
 * One thread of reading.ts: reads its part of the memory as often as it is told. Plain JavaScript, because a worker
 * thread does not get the loader that runs TypeScript.
 */
import { parentPort, workerData } from "node:worker_threads";

const { shared, from, to } = workerData;
const half = Math.floor((to - from) / 2);
const [first, second] = [Buffer.from(shared, from, half), Buffer.from(shared, from + half, half)];

parentPort.on("message", (passes) => {
  for (let pass = 0; pass < passes; pass++) {
    if (!first.equals(second)) throw new Error("the memory has changed");
  }
  parentPort.postMessage("read");
});
