/** Waits for a condition, or for a sidecar that serves. */
import { setTimeout as sleep } from "node:timers/promises";
import { Redis } from "ioredis";

const patienceMs = 90_000;

/** A client that reconnects and keeps its errors to itself. */
export function connectClient(url: string): Redis {
  const client = new Redis(url, { protocol: 2, retryStrategy: () => 50, maxRetriesPerRequest: null });
  client.on("error", () => {});
  return client;
}

/** Reads again until the value is accepted. */
export async function until<T>(
  read: () => T | Promise<T>,
  accepts: (value: T) => boolean,
  ms = patienceMs,
): Promise<T> {
  for (const deadline = Date.now() + ms; ; await sleep(20)) {
    const value = await read();
    if (accepts(value)) return value;
    if (Date.now() > deadline) throw new Error(`waited in vain; last seen: ${String(value)}`);
  }
}

/** Sends the command again until a sidecar serves it. */
export async function served(
  redis: Redis,
  command: string,
  ...args: (string | number | Buffer)[]
): Promise<unknown> {
  for (const deadline = Date.now() + patienceMs; ; await sleep(50)) {
    try {
      return await redis.call(command, ...args);
    } catch (error) {
      const passes = /VSTOREDOWN|TIMEOUT|TRYAGAIN|BUSY|NOREPLICAS|closed|LOADING|OOM/.test(String(error));
      if (!passes || Date.now() > deadline) throw error;
    }
  }
}
