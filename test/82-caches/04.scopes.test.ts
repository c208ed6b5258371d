/**
 * Lookups of many tenants, whose questions are nearly the same, while entries are written, expire, are evicted and are
 * deleted by their tag: no answer is another tenant's, beyond its distance, expired, or of a deleted tag.
 */
import type { Redis } from "ioredis";
import { expect, onTestFinished, test } from "vitest";
import { generator, testSeed } from "../../harness/random.ts";
import { startRedis } from "../../harness/redis-server.ts";
import { startSidecar } from "../../harness/sidecar.ts";
import { type Answer, cacheGet, scopeWords } from "../harness/caches.ts";
import { connectClient, served } from "../harness/serving.ts";

const tenants = 40;
const prompts = 25;
const lookups = Number(process.env.CACHE_LOOKUPS ?? 6_000);
const dimensions = 16;
const within = 0.02;
const tags = ["red", "green", "blue"];
/** So that memory gets short: some of the entries are evicted. */
const padding = "x".repeat(4_000);

/** What a value says of its own entry. */
interface Said {
  readonly tenant: number;
  readonly prompt: number;
  readonly tag: string;
  readonly serial: number;
}

/** What is known of an entry once its SET was answered. */
interface Known {
  /** By this time it has expired. */
  readonly endsBefore: number;
  /** Deletions of its tag that were sent before: they may have missed it. */
  readonly deletions: number;
}

class Traffic {
  readonly #redis: Redis;
  readonly #random: () => number;
  readonly known = new Map<number, Known>();
  /** Of each tag, how many deletions were sent, and how many were answered. */
  readonly #sent = new Map(tags.map((tag) => [tag, 0]));
  readonly #answered = new Map(tags.map((tag) => [tag, 0]));
  #serial = 0;
  answers = 0;

  constructor(redis: Redis, random: () => number) {
    this.#redis = redis;
    this.#random = random;
  }

  /** The prompts of all tenants are alike, and two of one tenant are apart. */
  vectorOf(prompt: number, noise = 0): Buffer {
    const vector = new Float32Array(dimensions);
    vector[prompt % dimensions] = 1;
    vector[(prompt * 7 + 3) % dimensions]! += prompt < dimensions ? 0 : 0.8;
    for (let i = 0; i < dimensions; i++) vector[i]! += noise * (this.#random() - 0.5);
    return Buffer.from(vector.buffer);
  }

  pick(count: number): number {
    return Math.floor(this.#random() * count);
  }

  async set(tenant: number, prompt: number): Promise<void> {
    const serial = ++this.#serial;
    const tag = tags[this.pick(tags.length)]!;
    const said: Said = { tenant, prompt, tag, serial };
    const seconds = 1 + this.pick(3);
    await served(
      this.#redis,
      ...[
        "VSTORE.CACHE.SET",
        "c",
        "FP32",
        this.vectorOf(prompt),
        "VALUE",
        JSON.stringify({ ...said, padding }),
      ],
      ...[
        "PROMPT",
        `question ${prompt}`,
        ...scopeWords({ tenant: `t${tenant}` }),
        "TAGS",
        1,
        tag,
        "EX",
        seconds,
      ],
    );
    this.known.set(serial, { endsBefore: Date.now() + seconds * 1_000, deletions: this.#sent.get(tag)! });
  }

  async get(tenant: number, prompt: number): Promise<void> {
    const sentAt = Date.now();
    const deleted = new Map(this.#answered);
    const isExact = this.#random() < 0.3;
    const words = isExact ? ["PROMPT", ` question  ${prompt}`] : [];
    const vector = this.vectorOf(prompt, this.#random() < 0.5 ? 0.05 : 1);
    const scope = scopeWords({ tenant: `t${tenant}` });
    const answer = await cacheGet(this.#redis, "c", "FP32", vector, ...words, ...scope);
    if (answer !== undefined) this.#check(answer, tenant, sentAt, deleted);
  }

  async deleteTag(): Promise<void> {
    const tag = tags[this.pick(tags.length)]!;
    this.#sent.set(tag, this.#sent.get(tag)! + 1);
    await this.#redis.call("VSTORE.CACHE.DEL", "c", "TAG", tag);
    this.#answered.set(tag, this.#answered.get(tag)! + 1);
  }

  #check(answer: Answer, tenant: number, sentAt: number, deleted: ReadonlyMap<string, number>): void {
    this.answers++;
    const said = JSON.parse(answer.value) as Said;
    expect(said.tenant, "the scope").toBe(tenant);
    if (answer.status !== "exact") expect(answer.distance, "the distance").toBeLessThanOrEqual(within);
    const known = this.known.get(said.serial);
    if (known === undefined) return; // its SET was not answered yet
    expect(sentAt, "the expiry").toBeLessThanOrEqual(known.endsBefore);
    expect(deleted.get(said.tag), "deletions of its tag").toBeLessThanOrEqual(known.deletions);
  }
}

test("no wrong scope, none too far, none expired, none of a deleted tag; exact repeats are found", async () => {
  const seed = testSeed();
  const random = generator(seed);
  const server = await startRedis({ args: ["--maxmemory-policy", "volatile-lru"] });
  const sidecar = await startSidecar({ redisUrl: server.url });
  await sidecar.waitReady();
  const redis = connectClient(server.url);
  onTestFinished(async () => {
    redis.disconnect();
    await sidecar.stop();
    await server.stop();
  });
  await redis.call("VSTORE.CACHE.CREATE", "c", "DIM", dimensions, "SCOPE", 1, "tenant", "WITHIN", within);
  const used = Number(/used_memory:(\d+)/.exec(await redis.info("memory"))![1]);
  await redis.config("SET", "maxmemory", used + 6_000_000);
  const traffic = new Traffic(redis, random);
  let left = lookups;
  const reading = Array.from({ length: 8 }, async () => {
    while (left-- > 0) await traffic.get(traffic.pick(tenants), traffic.pick(prompts));
  });
  const writing = Array.from({ length: 3 }, async () => {
    while (left > 0) await traffic.set(traffic.pick(tenants), traffic.pick(prompts));
  });
  const deleting = (async () => {
    for (let last = left; left > 0; ) {
      await traffic.get(0, 0);
      if (last - left < lookups / 12) continue;
      last = left;
      await traffic.deleteTag();
    }
  })();
  await Promise.all([...reading, ...writing, deleting]);
  expect(traffic.answers).toBeGreaterThan(lookups / 100);
  await redis.config("SET", "maxmemory", 0);
  for (let i = 0; i < 100; i++) {
    const scope = scopeWords({ tenant: `t${i % tenants}` });
    const entry = ["FP32", traffic.vectorOf(0), "VALUE", `v${i}`, "PROMPT", `exactly ${i}`, ...scope];
    await redis.call("VSTORE.CACHE.SET", "c", ...entry);
  }
  for (let i = 0; i < 100; i++) {
    const scope = scopeWords({ tenant: `t${i % tenants}` });
    const found = await cacheGet(
      redis,
      "c",
      "FP32",
      traffic.vectorOf(1),
      "PROMPT",
      `exactly  ${i}`,
      ...scope,
    );
    expect(found).toMatchObject({ status: "exact", value: `v${i}` });
  }
});
