/**
 * Value and vector of an entry agree, whatever happens to either: each value says which question it belongs to, and a
 * GET by the very vector of a question must not get the value of another.
 */
import type { Redis } from "ioredis";
import { expect, onTestFinished, test } from "vitest";
import { generator, testSeed } from "../../harness/random.ts";
import { cacheGet, startCache } from "../harness/caches.ts";
import { fp32 } from "../harness/fp32.ts";
import { served, until } from "../harness/serving.ts";
import { CacheKills, describeKills } from "../torture/caches/kills.ts";

const questions = 40;
/** Of a question: each version of its entry has another vector, and all are apart. */
const vectorOf = (question: number, version: number) => {
  const angle = (question + version / 7) * ((2 * Math.PI) / questions);
  return fp32(Math.cos(angle), Math.sin(angle));
};

/** Every answer is of the question and of the version whose vector was asked for. Returns how many there were. */
async function assertAgreement(redis: Redis, versions: number): Promise<number> {
  let answers = 0;
  for (let question = 0; question < questions; question++) {
    for (let version = 0; version < versions; version++) {
      const answer = await cacheGet(redis, "c", "FP32", vectorOf(question, version));
      if (answer === undefined) continue;
      expect(answer.value).toBe(`${question}/${version}`);
      expect(answer.id).toBe(String(question));
      answers++;
    }
  }
  return answers;
}

const setWords = (question: number, version: number) =>
  ["c", "FP32", vectorOf(question, version), "VALUE", `${question}/${version}`, "ID", question] as const;

test("while entries are set again, deleted, expired, overwritten and refused at the same time", async () => {
  const seed = testSeed();
  const random = generator(seed);
  const { sidecar, redis } = await startCache(["WITHIN", 0]);
  onTestFinished(() => sidecar.stop());
  const versions = 6;
  const acts = [
    (q: number, v: number) => redis.call("VSTORE.CACHE.SET", ...setWords(q, v)),
    (q: number, v: number) => redis.call("VSTORE.CACHE.SET", ...setWords(q, v), "NOWAIT"),
    (q: number, v: number) =>
      redis
        .multi()
        .call("VSTORE.CACHE.SET", ...setWords(q, v))
        .exec(),
    (q: number) =>
      redis.call("VSTORE.CACHE.SET", "c", "FP32", fp32(1), "VALUE", "wrong", "ID", q).catch(() => {}),
    (q: number) => redis.set(`{c}:${q}`, "overwritten"),
    (q: number) => redis.del(`{c}:${q}`),
    (q: number) => redis.pexpire(`{c}:${q}`, 1),
    (q: number) => redis.call("VSTORE.CACHE.DEL", "c", "ID", q),
    (q: number) => redis.call("VSTORE.DEL", "c", `{c}:${q}`),
  ];
  const writing = Array.from({ length: 4 }, async () => {
    for (let i = 0; i < 150; i++) {
      const act = random() < 0.4 ? acts[0]! : acts[Math.floor(random() * acts.length)]!;
      await act(Math.floor(random() * questions), Math.floor(random() * versions));
    }
  });
  await Promise.all([...writing, assertAgreement(redis, versions), assertAgreement(redis, versions)]);
  await redis.call("VSTORE.WAIT", "c");
  const found = await assertAgreement(redis, versions);
  // Every vector that is left has its value, unless a plain SET has overwritten it.
  const values = await Promise.all(Array.from({ length: questions }, (_, q) => redis.get(`{c}:${q}`)));
  expect(found, `seed ${seed}`).toBeLessThanOrEqual(values.filter((value) => value?.includes("/")).length);
  expect(found).toBeGreaterThan(0);
});

test("after the sidecar or Redis was killed, and after Redis has lost its last writes", async () => {
  const seed = testSeed();
  console.log(describeKills(await CacheKills.run(seed, 4)));
}, 180_000);

test("after Redis has evicted values to stay below maxmemory", async () => {
  const { sidecar, redis } = await startCache(["WITHIN", 0], {
    args: ["--maxmemory-policy", "volatile-lru"],
  });
  onTestFinished(() => sidecar.stop());
  const value = "x".repeat(20_000);
  const count = 300;
  const angle = (i: number) => fp32(Math.cos(i / 100), Math.sin(i / 100));
  const used = Number(/used_memory:(\d+)/.exec(await redis.info("memory"))![1]);
  await redis.config("SET", "maxmemory", used + 4_000_000);
  for (let i = 0; i < count; i++) {
    const words = ["c", "FP32", angle(i), "VALUE", `${i}:${value}`, "ID", i, "EX", 10_000] as const;
    await served(redis, "VSTORE.CACHE.SET", ...words);
  }
  const keys = await redis.keys("{c}:*");
  expect(keys.length).toBeLessThan(count);
  for (let i = 0; i < count; i++) {
    const answer = await cacheGet(redis, "c", "FP32", angle(i));
    if (answer !== undefined) expect(answer.value).toBe(`${i}:${value}`);
  }
  await until(
    async () => [Number(await redis.call("VSTORE.CARD", "c")), (await redis.keys("{c}:*")).length],
    ([vectors, values]) => vectors === values,
  );
});
