/**
 * Ports for servers that others have to know before they listen. None that the system gives to a connection of its own
 * accord, as Linux does from 32,768 on, and no port of another test file: each of vitest's workers has its own share.
 */
import { createServer } from "node:net";

const [first, end] = [10_000, 30_000];
const workers = 10;
const perWorker = (end - first) / workers;
const worker = Number(process.env.VITEST_POOL_ID ?? process.pid) % workers;
let next = Math.floor(Math.random() * perWorker);

/** A port on which nothing listens, and that this process has not been given lately. */
export async function freePort(): Promise<number> {
  for (let tried = 0; tried < perWorker; tried++) {
    const port = first + worker * perWorker + next;
    next = (next + 1) % perWorker;
    if (await isFree(port)) return port;
  }
  throw new Error(`none of ${perWorker} ports is free`);
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = createServer();
    probe.once("error", () => resolve(false));
    probe.listen(port, "127.0.0.1", () => probe.close(() => resolve(true)));
  });
}
