/**
 * LOOKUPS scoped lookups of many tenants whose questions are nearly the same, while entries are written, expire, are
 * evicted and are deleted by their tags. Each value says which entry it belongs to, so an oracle tells of every answer
 * whether it is of its tenant, near enough, and not ended. What no one ends is found again each time.
 */
import { Redis } from "ioredis";
import { generator } from "../../../harness/random.ts";
import { startRedis } from "../../../harness/redis-server.ts";
import { startSidecar } from "../../../harness/sidecar.ts";
import { readAnswer, scopeWords } from "../../harness/caches.ts";
import { served } from "../../harness/serving.ts";

const dimensions = 16;
const within = 0.02;
const tags = ["red", "green", "blue", "black"];
/** Entries that one deletion by tag takes at most. */
const deletedMax = 2_500;
/** Commands that one connection sends together. */
const pipelined = 32;
/** One in so many commands is a SET, and one in so many lookups is of an entry that nothing ends. */
const setShare = 8;
const keptShare = 10;
/** For how long entries live: half of them expire soon, and the others, however slow the machine is, are too many. */
const shortSecondsMax = 20;
const longSeconds = 3_600;
/** So many lookups between two deletions of a tag. */
const deletionShare = 20_000;

export interface LookupsPlan {
  readonly lookups: number;
  readonly tenants: number;
  /** Of each tenant. */
  readonly prompts: number;
  readonly connections: number;
  /** Of a value on average, and what Redis may take beyond what it has at the beginning: entries are evicted. */
  readonly valueBytes: number;
  readonly memoryBytes: number;
}

export interface LookupsReport {
  lookups: number;
  sets: number;
  deletions: number;
  hits: number;
  exact: number;
  /** Entries that were evicted, that Redis found expired, and that a deletion of their tag took. */
  evicted: number;
  expired: number;
  deleted: number;
  /** Lookups of entries that nothing ends; all of them were found. */
  repeats: number;
  seconds: number;
}

/** What a value says of its own entry. */
interface Said {
  readonly tenant: number;
  readonly tag: string | null;
  readonly serial: number;
  /** When it was set, by the clock of this process, and for how long; 0: for ever. */
  readonly at: number;
  readonly seconds: number;
}

/** Of the answer to a SET on, until which it must not have been seen as ended by a deletion. */
interface Known {
  readonly endsBefore: number;
  readonly deletions: number;
}

class Lookups {
  readonly report: LookupsReport = {
    lookups: 0,
    sets: 0,
    deletions: 0,
    hits: 0,
    exact: 0,
    evicted: 0,
    expired: 0,
    deleted: 0,
    repeats: 0,
    seconds: 0,
  };
  readonly #plan: LookupsPlan;
  readonly #random: () => number;
  readonly #known = new Map<number, Known>();
  /** Of each tag, how many deletions were sent, and how many were answered. */
  readonly #sent = new Map(tags.map((tag) => [tag, 0]));
  readonly #answered = new Map(tags.map((tag) => [tag, 0]));
  #serial = 0;

  constructor(plan: LookupsPlan, random: () => number) {
    this.#plan = plan;
    this.#random = random;
  }

  pick(count: number): number {
    return Math.floor(this.#random() * count);
  }

  /** Those of all tenants are alike, and two of one tenant are apart. */
  vectorOf(prompt: number, noise = 0): Buffer {
    const vector = new Float32Array(dimensions);
    vector[prompt % dimensions] = 1;
    vector[(prompt * 7 + 3) % dimensions]! += prompt < dimensions ? 0 : 0.8;
    for (let i = 0; i < dimensions; i++) vector[i]! += noise * (this.#random() - 0.5);
    return Buffer.from(vector.buffer);
  }

  /** An entry that nothing ends: no expiry under a policy that evicts only what has one, and no tag. */
  async keep(redis: Redis, tenant: number): Promise<void> {
    const said: Said = { tenant, tag: null, serial: -1, at: 0, seconds: 0 };
    const words = ["PROMPT", "the kept one", ...scopeWords({ tenant: `t${tenant}` })];
    const vector = this.vectorOf(this.#plan.prompts);
    await redis.call("VSTORE.CACHE.SET", "c", "FP32", vector, "VALUE", JSON.stringify(said), ...words);
  }

  /** @throws Error for an answer that must not be */
  async work(redis: Redis): Promise<void> {
    const { lookups, tenants } = this.#plan;
    while (this.report.lookups < lookups) {
      const sent = Array.from({ length: pipelined }, () => {
        if (this.pick(setShare) === 0) return this.#set(redis);
        this.report.lookups++;
        return this.pick(keptShare) === 0 ? this.#getKept(redis, this.pick(tenants)) : this.#get(redis);
      });
      await Promise.all(sent);
    }
  }

  async deleteTags(redis: Redis): Promise<void> {
    const { lookups } = this.#plan;
    const step = Math.min(deletionShare, lookups / 8);
    for (let next = step; this.report.lookups < lookups; ) {
      await this.#get(redis);
      if (this.report.lookups < next) continue;
      next = this.report.lookups + step;
      const tag = tags[this.pick(tags.length)]!;
      this.#sent.set(tag, this.#sent.get(tag)! + 1);
      // Entries that are set meanwhile may be deleted or not; those before are gone with the last reply.
      for (let deleted = deletedMax; deleted === deletedMax; this.report.deleted += deleted)
        deleted = Number(await served(redis, "VSTORE.CACHE.DEL", "c", "TAG", tag));
      this.#answered.set(tag, this.#answered.get(tag)! + 1);
      this.report.deletions++;
    }
  }

  async #set(redis: Redis): Promise<void> {
    const { tenants, prompts, valueBytes } = this.#plan;
    const [tenant, prompt, serial] = [this.pick(tenants), this.pick(prompts), ++this.#serial];
    const tag = tags[this.pick(tags.length)]!;
    const seconds = this.pick(2) === 0 ? longSeconds : 1 + this.pick(shortSecondsMax);
    const said: Said = { tenant, tag, serial, at: Date.now(), seconds };
    const words = ["PROMPT", `question ${prompt}`, ...scopeWords({ tenant: `t${tenant}` })];
    const options = ["TAGS", 1, tag, "EX", seconds];
    const value = JSON.stringify(said).padEnd(valueBytes / 2 + this.pick(valueBytes));
    const vector = this.vectorOf(prompt);
    await redis
      .call("VSTORE.CACHE.SET", "c", "FP32", vector, "VALUE", value, ...words, ...options)
      .catch(passOverFull);
    this.report.sets++;
    this.#known.set(serial, {
      endsBefore: Date.now() + seconds * 1_000,
      deletions: this.#sent.get(tag)!,
    });
  }

  async #get(redis: Redis): Promise<void> {
    const { tenants, prompts } = this.#plan;
    const [tenant, prompt, sentAt] = [this.pick(tenants), this.pick(prompts), Date.now()];
    const deleted = tags.map((tag) => this.#answered.get(tag)!);
    const words = this.pick(3) === 0 ? ["PROMPT", ` question  ${prompt} `] : [];
    const vector = this.vectorOf(prompt, this.pick(2) === 0 ? 0.05 : 1);
    const scope = scopeWords({ tenant: `t${tenant}` });
    const answer = readAnswer(await redis.call("VSTORE.CACHE.GET", "c", "FP32", vector, ...words, ...scope));
    if (answer === undefined) return;
    this.report.hits++;
    const said = JSON.parse(answer.value) as Said;
    if (said.tenant !== tenant) throw new Error(`the answer of tenant ${said.tenant} for tenant ${tenant}`);
    if (answer.status === "exact") this.report.exact++;
    else if (!(answer.distance <= within))
      throw new Error(`an answer at ${answer.distance}, beyond ${within}`);
    const known = this.#known.get(said.serial);
    if (known === undefined || said.tag === null) return; // its SET was not answered yet
    if (sentAt > known.endsBefore)
      throw new Error(`an answer that had expired ${sentAt - known.endsBefore} ms ago`);
    if (deleted[tags.indexOf(said.tag)]! > known.deletions)
      throw new Error(`an answer of deleted tag ${said.tag}`);
  }

  async #getKept(redis: Redis, tenant: number): Promise<void> {
    const words = ["PROMPT", "the  kept one ", ...scopeWords({ tenant: `t${tenant}` })];
    const vector = this.vectorOf(0, 1);
    const answer = readAnswer(await redis.call("VSTORE.CACHE.GET", "c", "FP32", vector, ...words));
    const found = answer?.status === "exact" && (JSON.parse(answer.value) as Said).tenant === tenant;
    if (!found)
      throw new Error(`an exact repeat of tenant ${tenant} was not found: ${JSON.stringify(answer)}`);
    this.report.repeats++;
  }
}

/** Where memory is short and nothing can be evicted at the moment. */
function passOverFull(error: Error): void {
  if (!/^(OOM|BUSY|TRYAGAIN)/.test(error.message)) throw error;
}

const infoNumber = async (redis: Redis, name: string) =>
  Number(new RegExp(`${name}:(\\d+)`).exec(await redis.info())![1]);

/** @throws Error that names the seed and the answer that must not be */
export async function lookUp(
  seed: number,
  plan: LookupsPlan,
  onProgress?: (done: number) => void,
): Promise<LookupsReport> {
  const server = await startRedis({ args: ["--maxmemory-policy", "volatile-lru"] });
  const sidecar = startSidecar({ redisUrl: server.url });
  const connections = Array.from(
    { length: plan.connections + 1 },
    () => new Redis(server.url, { protocol: 2 }),
  );
  const [first, ...others] = connections as [Redis, ...Redis[]];
  const traffic = new Lookups(plan, generator(seed));
  const shown = setInterval(() => onProgress?.(Math.min(traffic.report.lookups, plan.lookups)), 1_000);
  try {
    await sidecar.waitReady();
    const scope = ["SCOPE", 1, "tenant", "WITHIN", within];
    await first.call("VSTORE.CACHE.CREATE", "c", "DIM", dimensions, ...scope);
    for (let tenant = 0; tenant < plan.tenants; tenant++) await traffic.keep(first, tenant);
    await first.config("SET", "vstore.timeout", 60_000);
    const used = await infoNumber(first, "used_memory");
    await first.config("SET", "maxmemory", used + plan.memoryBytes);
    const began = performance.now();
    await Promise.all([...others.map((redis) => traffic.work(redis)), traffic.deleteTags(first)]);
    traffic.report.seconds = Math.round((performance.now() - began) / 1_000);
    traffic.report.evicted = await infoNumber(first, "evicted_keys");
    traffic.report.expired = await infoNumber(first, "expired_keys");
    return traffic.report;
  } catch (error) {
    throw new Error(`seed ${seed}: ${(error as Error).message}`, { cause: error });
  } finally {
    clearInterval(shown);
    for (const redis of connections) redis.disconnect();
    await sidecar.kill();
    await server.stop();
  }
}

/** The ways in which no entry ended: a run that is to prove something has all of them. */
export function neverEnded({ evicted, expired, deleted }: LookupsReport): string[] {
  return Object.entries({ evicted, expired, deleted }).flatMap(([how, entries]) =>
    entries === 0 ? [how] : [],
  );
}

export function describeLookups(report: LookupsReport): string {
  const { lookups, sets, deletions, deleted, evicted, expired, hits, exact, repeats, seconds } = report;
  return [
    `${lookups} lookups of caches in ${seconds} s, beside ${sets} SETs: ${hits} hits (${exact} exact), 0 wrong; ` +
      `${repeats} exact repeats, all found`,
    `entries that ended meanwhile: ${evicted} evicted, ${expired} expired, ${deleted} by ${deletions} deletions of a tag`,
  ].join("\n");
}
