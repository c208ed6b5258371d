/**
 * A cache with MAXBYTES while ten times as much as it holds is set, again and again, for OVERLOAD seconds. The bytes of
 * its values are summed up in Redis itself meanwhile: they stay within 2 % of MAXBYTES, at the end as at the beginning.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { Redis } from "ioredis";
import { generator } from "../../../harness/random.ts";
import { startRedis } from "../../../harness/redis-server.ts";
import { startSidecar } from "../../../harness/sidecar.ts";
import { served, until } from "../../harness/serving.ts";

const maxBytes = 32 * 2 ** 20;
const excessMax = 0.02;
/** Of a value on average; the smallest has half of it, the largest one and a half. */
const valueBytes = 8_192;
const entries = (10 * maxBytes) / valueBytes;
const writers = 4;
/** Between two sums, which stop Redis for some milliseconds. */
const restMs = 250;
/** Parts of the run whose means are told one by one: a drift would show. */
const parts = 3;

const sumScript = `
local sum, cursor = 0, '0'
repeat
  local page = redis.call('SCAN', cursor, 'MATCH', '{c}:*', 'COUNT', 1000)
  cursor = page[1]
  for _, key in ipairs(page[2]) do sum = sum + redis.call('STRLEN', key) end
until cursor == '0'
return sum`;

export interface OverloadReport {
  sets: number;
  setBytes: number;
  seconds: number;
  evictions: number;
  /** Shares of MAXBYTES that the values had, from the moment on when the cache was full. */
  readonly held: number[];
}

/** @throws Error that names the seed, for values that are beyond the bound, or vectors without values */
export async function overload(
  seed: number,
  seconds: number,
  onSecond = (_: number) => {},
): Promise<OverloadReport> {
  const server = await startRedis();
  const sidecar = startSidecar({ redisUrl: server.url });
  const connections = Array.from({ length: writers + 1 }, () => new Redis(server.url, { protocol: 2 }));
  const [first, ...others] = connections as [Redis, ...Redis[]];
  const report: OverloadReport = { sets: 0, setBytes: 0, seconds, evictions: 0, held: [] };
  try {
    await sidecar.waitReady();
    await first.call("VSTORE.CACHE.CREATE", "c", "DIM", 2, "WITHIN", 0, "MAXBYTES", maxBytes);
    const end = performance.now() + seconds * 1_000;
    const random = generator(seed);
    await Promise.all([
      ...others.map((redis) => write(redis, random, end, report)),
      watch(first, end, report, onSecond),
    ]);
    await untilEven(first);
    report.evictions = await evictionsOf(first);
    return report;
  } catch (error) {
    throw new Error(`seed ${seed}: ${(error as Error).message}`, { cause: error });
  } finally {
    for (const redis of connections) redis.disconnect();
    await sidecar.kill();
    await server.stop();
  }
}

async function write(redis: Redis, random: () => number, end: number, report: OverloadReport): Promise<void> {
  while (performance.now() < end) {
    const entry = Math.floor(random() * entries);
    const bytes = valueBytes / 2 + Math.floor(random() * valueBytes);
    const vector = Buffer.from(Float32Array.of(Math.cos(entry), Math.sin(entry)).buffer);
    await served(redis, "VSTORE.CACHE.SET", "c", "FP32", vector, "VALUE", "v".repeat(bytes), "ID", entry);
    report.sets++;
    report.setBytes += bytes;
  }
}

async function watch(
  redis: Redis,
  end: number,
  { seconds, held }: OverloadReport,
  onSecond: (done: number) => void,
): Promise<void> {
  while (performance.now() < end) {
    const share = Number(await redis.eval(sumScript, 0)) / maxBytes;
    if (share > 1 + excessMax) throw new Error(`the values had ${percent(share)} of MAXBYTES`);
    if (held.length > 0 || share > 0.99) held.push(share);
    onSecond(Math.max(0, Math.floor(seconds - (end - performance.now()) / 1_000)));
    await sleep(restMs);
  }
}

/** Every vector has its value, and every value its vector. */
async function untilEven(redis: Redis): Promise<void> {
  const counts = async () => [
    Number(await served(redis, "VSTORE.CARD", "c")),
    (await redis.keys("{c}:*")).length,
  ];
  await until(counts, ([vectors, values]) => vectors === values);
}

async function evictionsOf(redis: Redis): Promise<number> {
  const flat = (await redis.call("VSTORE.CACHE.INFO", "c")) as (string | number)[];
  return Number(flat[flat.indexOf("evictions") + 1]);
}

const percent = (share: number) => `${(100 * share).toFixed(2)} %`;

const mean = (shares: readonly number[]) => shares.reduce((sum, share) => sum + share, 0) / shares.length;

export function describeOverload({ sets, setBytes, seconds, evictions, held }: OverloadReport): string {
  if (held.length < parts)
    return `MAXBYTES under overload: ${sets} SETs in ${seconds} s did not fill the cache`;
  const size = Math.ceil(held.length / parts);
  const means = Array.from({ length: parts }, (_, at) => mean(held.slice(at * size, (at + 1) * size)));
  return (
    `MAXBYTES under overload: ${sets} SETs of ${(setBytes / maxBytes).toFixed(0)} x MAXBYTES in ${seconds} s, ` +
    `${evictions} evictions; the values had ${percent(Math.max(...held))} at most, ` +
    `${means.map(percent).join(", ")} on average in the thirds of the run`
  );
}
