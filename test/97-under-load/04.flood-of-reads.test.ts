/** Thousands of slow reads of one collection by one caller: the reads and writes of others are answered promptly. */
import { afterAll, beforeAll, expect, test } from "vitest";
import { freePort } from "../../harness/free-port.ts";
import { startVstore, type Vstore } from "../../harness/sidecar.ts";
import { fp32 } from "../harness/fp32.ts";
import { RespClient } from "../harness/resp.ts";
import { connectClient, until } from "../harness/serving.ts";

const flood = 3_000;
const floodReplies = "vstore:reply:flood";
const keys = Array.from({ length: 3_000 }, (_, i) => `k${i}`);
const rounds = 20;
/** Each is another expression, which has to be evaluated over all keys. */
const slowFilter = (i: number) =>
  Array.from({ length: 40 }, (_, at) => `(.n + .m) != ${i}${at}`).join(" and ");

let vstore: Vstore;
let httpPort: number;
let redis: ReturnType<typeof connectClient>;

beforeAll(async () => {
  httpPort = await freePort();
  vstore = await startVstore(
    { args: ["--vstore.timeout", "60000"] },
    { args: ["--http-port", String(httpPort)] },
  );
  redis = connectClient(vstore.url);
  for (const name of ["big", "small"]) await redis.call("VSTORE.CREATE", name, "DIM", 1, "METRIC", "L2");
  const attributes = keys.map((_, i) => `{"n":${i},"m":1}`);
  const vectors = Buffer.alloc(4 * keys.length);
  await redis.call("VSTORE.MINSERT", "big", keys.length, ...keys, "FP32", vectors, "SETATTR", ...attributes);
});

afterAll(async () => {
  redis?.disconnect();
  await vstore?.sidecar.kill();
  await vstore?.redis.stop();
});

/** Has a stream client, which is one caller, send slow reads, and waits until it gets answers. */
async function beginFlood(): Promise<void> {
  const pipeline = redis.pipeline();
  for (let i = 0; i < flood; i++) {
    const request = ["cmd", "CARD", "reply", floodReplies, "0", "big", "1", "FILTER", "2", slowFilter(i)];
    pipeline.xadd("vstore:{big}:queries", "*", ...request);
  }
  await pipeline.exec();
  await until(answered, (count) => count > 0);
}

/** How many of the flood have their answer. */
async function answered(): Promise<number> {
  return flood - (await redis.xlen("vstore:{big}:queries"));
}

test("a caller that sends 3,000 of them leaves the places of others alone", async () => {
  await beginFlood();
  for (let i = 0; i < rounds; i++) {
    await redis.call("VSTORE.INSERT", "small", `k${i}`, "FP32", fp32(i));
    expect(await redis.call("VSTORE.SEARCH", "small", "KEY", `k${i}`, "COUNT", 1)).toEqual([`k${i}`]);
    expect(await redis.call("VSTORE.EXISTS", "big", "k1"), "of the same collection").toBe(1);
  }
  const during = await answered();
  console.log(`${during} of ${flood} were answered when ${3 * rounds} requests of others were`);
  expect(during).toBeLessThan(flood / 3);
}, 120_000);

test("reads whose clients have gone are dropped before they begin", async () => {
  const clients = await Promise.all(Array.from({ length: 200 }, () => RespClient.connect(vstore.port)));
  for (const [i, client] of clients.entries())
    client.write("VSTORE.CARD", "big", "FILTER", slowFilter(flood + i));
  const pending = async () => Number(/vstore_pending:(\d+)/.exec(await redis.info("vstore"))![1]);
  await until(pending, (count) => count === clients.length);
  // The sidecar reads requests in their order, so it has theirs when it answers this one.
  expect(await redis.call("VSTORE.EXISTS", "small", "k1")).toBe(1);
  for (const client of clients) client.close();
  await until(pending, (count) => count === 0);
  const dropped = () => outcomes("CARD", "TRYAGAIN");
  // Those that had begun are finished; the others are never evaluated.
  expect(await until(dropped, (count) => count > clients.length / 2)).toBeGreaterThan(clients.length / 2);
}, 120_000);

async function outcomes(command: string, outcome: string): Promise<number> {
  const page = await (await fetch(`http://127.0.0.1:${httpPort}/metrics`)).text();
  const line = `vstore_requests_total\\{command="${command}",outcome="${outcome}"\\} (\\d+)`;
  return Number(new RegExp(line).exec(page)?.[1] ?? 0);
}
