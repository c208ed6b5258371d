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
import { type Row, report } from "./harness.ts";

const column = "longest turn, ms";

/** A turn may end after its request was answered. */
const afterwardsMs = 50;
const clients = 4;
/** How long the clients send together: what is under way then is left. */
const seconds = Number(process.env.SECONDS ?? 60);
const seed = Number(process.env.SEED ?? 1);
/** What a second round would not find any more. */
const once = new Set(["CREATE", "DROP"]);
/** A client waits no longer, so that the whole ends in time. */
const timeouts = ["--vstore.timeout", "20000", "--vstore.wait-timeout", "20000"];

/** Has the work done with a sidecar whose turns are measured, and all collections. */
async function measured<T>(work: (redis: Redis, meter: TurnMeter) => Promise<T>): Promise<T> {
  const meter = new TurnMeter();
  const vstore = await startVstore({ args: timeouts }, { env: meter.env });
  const redis = new Redis(vstore.url, { protocol: 2 });
  try {
    await prepare(redis);
    await sleep(afterwardsMs);
    meter.longestMs();
    return await work(redis, meter);
  } finally {
    redis.disconnect();
    // Not in order: a last checkpoint of some gigabytes is not what is measured.
    await vstore.sidecar.kill();
    await vstore.redis.stop();
    meter.close();
  }
}

/** Of each request by itself. */
async function alone(redis: Redis, meter: TurnMeter): Promise<Row[]> {
  const rows: Row[] = [];
  for (const request of largestRequests) {
    await send(redis, request);
    await sleep(afterwardsMs);
    rows.push({ request: `${request.command} ${request.what}`, [column]: meter.longestMs() });
  }
  return rows;
}

/** Of all of them, each client in orders of its own, until the time is over. */
async function together(redis: Redis, meter: TurnMeter): Promise<Row> {
  const random = generator(seed);
  const requests = largestRequests.filter(({ command }) => !once.has(command));
  let [isOver, sent] = [false, 0];
  const each = Array.from({ length: clients }, () => redis.duplicate());
  const sending = each.map(async (client) => {
    while (!isOver) {
      for (const request of shuffled(requests, random)) {
        if (isOver) break;
        sent++;
        await send(client, request);
      }
    }
  });
  await sleep(1_000 * seconds);
  isOver = true;
  const longest = meter.longestMs();
  for (const client of each) client.disconnect();
  await Promise.all(sending);
  const request = `${sent} of them in ${seconds} s, ${clients} clients, seed ${seed}`;
  return { request, [column]: longest };
}

function shuffled<T>(values: readonly T[], random: () => number): T[] {
  const all = [...values];
  for (let i = all.length - 1; i > 0; i--) {
    const j = Math.floor(random() * (i + 1));
    [all[i], all[j]] = [all[j]!, all[i]!];
  }
  return all;
}

/** In a random order a key or an attribute may be missing: an error is an answer too. */
async function send(redis: Redis, { command, words }: Largest): Promise<void> {
  await redis.callBuffer(`VSTORE.${command}`, ...words).catch(() => {});
}

const rows = await measured(alone);
rows.push(await measured(together));
report({
  workload: "longest-turn",
  aim: "no turn of the event loop longer than 50 ms on an idle machine",
  rows,
});
