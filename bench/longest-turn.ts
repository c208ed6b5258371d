/**
 * The longest turn of the sidecar's event loop: in the largest request of every command, each by itself, then over all
 * of them from several clients at the same time, in a random order. Only the work of the loop's thread counts, not what
 * it waits for a processor.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { Redis } from "ioredis";
import { type Largest, largestRequests, prepare, TurnMeter } from "../harness/largest-requests.ts";
import { generator } from "../harness/random.ts";
import { startVstore } from "../harness/sidecar.ts";
import { report } from "./harness.ts";

/** A turn may end after its request was answered. */
const afterwardsMs = 50;
const clients = 4;
const rounds = 3;
const seed = Number(process.env.SEED ?? 1);
/** What a second round would not find any more. */
const once = new Set(["CREATE", "DROP"]);

async function alone(): Promise<Record<string, number>> {
  const meter = new TurnMeter();
  const vstore = await startVstore({ args: ["--vstore.timeout", "60000"] }, { env: meter.env });
  const redis = new Redis(vstore.url, { protocol: 2 });
  await prepare(redis);
  const longest: Record<string, number> = {};
  await sleep(afterwardsMs);
  meter.longestMs();
  for (const request of largestRequests) {
    await send(redis, request);
    await sleep(afterwardsMs);
    longest[`${request.command} ${request.what}`] = meter.longestMs();
  }
  redis.disconnect();
  await vstore.stop();
  meter.close();
  return longest;
}

async function together(): Promise<number> {
  const meter = new TurnMeter();
  const vstore = await startVstore({ args: ["--vstore.timeout", "60000"] }, { env: meter.env });
  const redis = new Redis(vstore.url, { protocol: 2 });
  await prepare(redis);
  const random = generator(seed);
  const requests = largestRequests.filter(({ command }) => !once.has(command));
  const oneClient = async () => {
    const client = redis.duplicate();
    for (let i = 0; i < rounds * requests.length; i++)
      await send(client, requests[Math.floor(random() * requests.length)]!);
    client.disconnect();
  };
  await Promise.all(Array.from({ length: clients }, oneClient));
  const longest = meter.longestMs();
  redis.disconnect();
  await vstore.stop();
  meter.close();
  return longest;
}

/** In a random order a key or an attribute may be missing: an error is an answer too. */
async function send(redis: Redis, { command, words }: Largest): Promise<void> {
  await redis.callBuffer(`VSTORE.${command}`, ...words).catch(() => {});
}

const each = await alone();
report({
  workload: "longest-turn",
  aim: "no turn of the event loop longer than 50 ms on an idle machine",
  rows: [
    ...Object.entries(each).map(([request, ms]) => ({ request, "longest turn, ms": ms })),
    { request: `all of them, ${clients} clients, seed ${seed}`, "longest turn, ms": await together() },
  ],
});
