/**
 * Entries of caches are set and deleted while the sidecar, Redis, or both are killed, and while Redis loses the end of
 * its append-only file, as in a power cut. Each value says which question and version it belongs to: the very vector of
 * a version must get that value or none, and what was acknowledged is there, unless it was lost or evicted.
 */
import { mkdirSync, rmSync, statSync, truncateSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { Redis } from "ioredis";
import { generator } from "../../../harness/random.ts";
import { type RedisServer, startRedis } from "../../../harness/redis-server.ts";
import { type SidecarProcess, startSidecar } from "../../../harness/sidecar.ts";
import { cacheGet } from "../../harness/caches.ts";
import { connectClient, served, until } from "../../harness/serving.ts";
import { scratchDirectory } from "../scratch.ts";

const strikes = ["sidecar", "redis", "both", "power cut"] as const;
type Strike = (typeof strikes)[number];

const questions = 32;
const writers = 4;
const caches = ["plain", "bounded"] as const;
type Cache = (typeof caches)[number];
/** Of a value. */
const valueBytes: Readonly<Record<Cache, number>> = { plain: 2_000, bounded: 100_000 };
/** A third of the second cache's questions, and as little as a cache may have. */
const maxBytes = 2 ** 20;
/** Clients write so long before something dies. */
const writingMsMax = 400;
/** Of the append-only file, lost by a power cut at most. */
const lostBytesMax = 512 * 1024;

export interface KillsReport {
  readonly kills: Map<Strike, number>;
  acknowledged: number;
  inDoubt: number;
  hits: number;
}

/** Shares of writes: SET, then DEL of the string; the rest is CACHE.DEL. */
const setShare = 0.75;
const delShare = 0.875;
const inScript = "return redis.call('VSTORE.CACHE.SET', unpack(ARGV))";

/** What may be stored for a question: the versions that are possible, `none` for no entry. */
const none = -1;

class Entry {
  readonly cache: Cache;
  readonly question: number;
  possible = new Set([none]);
  /** Strings of entries that CACHE.DEL has ended may be left; no GET finds them. */
  ended = new Set<number>();
  /** All that were written since the last check. */
  readonly written = new Set<number>();
  #versions = 0;

  constructor(cache: Cache, question: number) {
    this.cache = cache;
    this.question = question;
  }

  get key(): string {
    return `{${this.cache}}:${this.question}`;
  }

  /** Redis may have lost its last writes: any version may be there. */
  reopen(): void {
    this.ended.clear();
    for (let version = 1; version <= this.#versions; version++) this.possible.add(version);
    this.possible.add(none);
  }

  /** @param isString whether the string went with the entry, or came with it */
  settle(version: number, isString: boolean): void {
    this.ended = isString ? new Set() : new Set([...this.ended, ...this.possible]);
    this.ended.delete(version);
    this.possible = new Set([version]);
  }

  nextVersion(): number {
    this.written.add(++this.#versions);
    return this.#versions;
  }

  vectorOf(version: number): Buffer {
    const angles = [this.question, version / 1_000];
    return Buffer.from(new Float32Array(angles.flatMap((a) => [Math.cos(a), Math.sin(a)])).buffer);
  }

  valueOf(version: number): string {
    return `${this.question}/${version}/`.padEnd(valueBytes[this.cache], "v");
  }

  /** @throws Error for a value that no SET of this entry stored */
  versionIn(value: string | null): number {
    if (value === null) return none;
    const version = Number(value.split("/")[1]);
    if (value !== this.valueOf(version)) throw new Error(`${this.key} holds ${value.slice(0, 20)}`);
    return version;
  }
}

export class CacheKills {
  readonly report: KillsReport = { kills: new Map(), acknowledged: 0, inDoubt: 0, hits: 0 };
  readonly #random: () => number;
  readonly #server: RedisServer;
  readonly #directory: string;
  readonly #writers: readonly Redis[];
  /** For what has to be answered. */
  readonly #admin: Redis;
  readonly #entries = caches.flatMap((cache) =>
    Array.from({ length: questions }, (_, q) => new Entry(cache, q)),
  );
  #sidecar: SidecarProcess;
  #writes = false;

  private constructor(seed: number, server: RedisServer, directory: string) {
    this.#random = generator(seed);
    this.#server = server;
    this.#directory = directory;
    this.#writers = Array.from({ length: writers }, () => connectWriter(server.url));
    this.#admin = connectClient(server.url);
    this.#sidecar = this.#startSidecar();
  }

  /** @throws Error that names seed, cycle and fault; the files stay then */
  static async run(seed: number, cycles: number, onCycle = () => {}): Promise<KillsReport> {
    const directory = scratchDirectory("cache-kills");
    for (const part of ["redis", "data"]) mkdirSync(`${directory}/${part}`);
    // Only the end of the last file may be lost, and of one that is never rewritten that is always the same file.
    const args = ["--auto-aof-rewrite-percentage", "0"];
    const server = await startRedis({ appendonly: "always", directory: `${directory}/redis`, args });
    const kills = new CacheKills(seed, server, directory);
    let cycle = 0;
    try {
      await kills.#create();
      for (; cycle < cycles; cycle++, onCycle()) await kills.#cycle(strikes[cycle % strikes.length]!);
    } catch (error) {
      const said = `seed ${seed}, cycle ${cycle} (${strikes[cycle % strikes.length]}): ${(error as Error).message}`;
      throw new Error(`${said}\nthe files are in ${directory}`, { cause: error });
    } finally {
      await kills.#cleanUp();
    }
    rmSync(directory, { recursive: true });
    return kills.report;
  }

  async #create(): Promise<void> {
    await this.#sidecar.waitReady();
    const shape = ["DIM", 4, "WITHIN", 0] as const;
    await this.#admin.call("VSTORE.CACHE.CREATE", "plain", ...shape);
    await this.#admin.call("VSTORE.CACHE.CREATE", "bounded", ...shape, "MAXBYTES", maxBytes);
  }

  async #cycle(strike: Strike): Promise<void> {
    this.#writes = true;
    const writing = Array.from({ length: writers }, (_, writer) => this.#write(writer));
    await sleep(this.#random() * writingMsMax);
    await this.#strike(strike);
    await this.#sidecar.waitReady();
    await served(this.#admin, "VSTORE.CARD", "plain");
    this.#writes = false;
    await Promise.all(writing);
    for (const cache of caches) await served(this.#admin, "VSTORE.WAIT", cache);
    for (const entry of this.#entries) await this.#check(entry);
    for (const cache of caches) await this.#untilVectorsHaveValues(cache);
    this.report.kills.set(strike, (this.report.kills.get(strike) ?? 0) + 1);
  }

  async #strike(strike: Strike): Promise<void> {
    if (strike !== "redis") await this.#sidecar.kill();
    if (strike !== "sidecar") await this.#server.kill();
    if (strike === "power cut") this.#cutPower();
    if (strike !== "sidecar") await this.#server.run();
    if (strike === "redis") return;
    // The lease of the killed one: 5 s that nothing is learnt from.
    await this.#admin.del("vstore:leader");
    this.#sidecar = this.#startSidecar();
  }

  /** The last writes are gone, acknowledged or not. */
  #cutPower(): void {
    const path = this.#server.aofPath;
    const bytes = statSync(path).size;
    truncateSync(path, Math.max(0, bytes - Math.floor(this.#random() * Math.min(lostBytesMax, bytes / 2))));
    for (const entry of this.#entries) entry.reopen();
  }

  async #write(writer: number): Promise<void> {
    const redis = this.#writers[writer]!;
    const own = this.#entries.filter((_, at) => at % writers === writer);
    while (this.#writes) {
      const entry = own[Math.floor(this.#random() * own.length)]!;
      const way = this.#random();
      const version = way < setShare ? entry.nextVersion() : none;
      entry.possible.add(version);
      try {
        await (way < setShare
          ? this.#set(redis, entry, version)
          : this.#delete(redis, entry, way < delShare));
        entry.settle(version, way < delShare);
        this.report.acknowledged++;
      } catch {
        this.report.inDoubt++;
        await sleep(5);
      }
    }
  }

  #set(redis: Redis, entry: Entry, version: number): Promise<unknown> {
    const words = [entry.cache, "FP32", entry.vectorOf(version), "VALUE", entry.valueOf(version)] as const;
    const id = ["ID", entry.question] as const;
    const way = this.#random();
    if (way < 0.2) return redis.call("VSTORE.CACHE.SET", ...words, ...id, "NOWAIT");
    // Also taken where no sidecar is there.
    if (way < 0.4) return redis.call("EVAL", inScript, 0, ...words, ...id);
    return redis.call("VSTORE.CACHE.SET", ...words, ...id);
  }

  #delete(redis: Redis, entry: Entry, isString: boolean): Promise<unknown> {
    if (isString) return redis.del(entry.key);
    return redis.call("VSTORE.CACHE.DEL", entry.cache, "ID", entry.question);
  }

  /** Of the value, that it is one of the possible; of each version's vector, that it gets its own value or none. */
  async #check(entry: Entry): Promise<void> {
    const stored = entry.versionIn(await this.#admin.get(entry.key));
    const isEvicted = entry.cache === "bounded" && stored === none;
    const isLeft = !entry.possible.has(stored) && entry.ended.has(stored);
    if (!isEvicted && !isLeft && !entry.possible.has(stored))
      throw new Error(`${entry.key} holds version ${stored}, of ${[...entry.possible].join(", ")}`);
    const isCertain = entry.possible.size === 1;
    for (const version of new Set([...entry.written, ...entry.possible, stored])) {
      if (version === none) continue;
      const answer = await cacheGet(this.#admin, entry.cache, "FP32", entry.vectorOf(version));
      const found = answer === undefined ? none : entry.versionIn(answer.value);
      if (found !== none && (found !== version || found !== stored || isLeft))
        throw new Error(`${entry.key}: ${found} for the vector of ${version}, ${stored} is stored`);
      if (isCertain && version === stored && found === none && entry.cache === "plain")
        throw new Error(`${entry.key}: version ${version} is stored and was acknowledged, and is not found`);
      if (found !== none) this.report.hits++;
    }
    entry.possible = new Set([isLeft ? none : stored]);
    entry.written.clear();
  }

  /** No vector is left without a value. Where a deletion was cut short, a value may be left that no GET finds. */
  async #untilVectorsHaveValues(cache: Cache): Promise<void> {
    const read = async () => [
      Number(await served(this.#admin, "VSTORE.CARD", cache)),
      (await this.#admin.keys(`{${cache}}:*`)).length,
    ];
    await until(read, ([vectors, values]) => vectors! <= values!, 10_000);
  }

  #startSidecar(): SidecarProcess {
    const args = ["--checkpoint-interval-ms", "1000"];
    return startSidecar({ redisUrl: this.#server.url, dataDir: `${this.#directory}/data`, args });
  }

  async #cleanUp(): Promise<void> {
    this.#writes = false;
    for (const client of [...this.#writers, this.#admin]) client.disconnect();
    await this.#sidecar.kill();
    await this.#server.stop();
  }
}

/** What is on its way when the connection breaks fails, and is not sent again. */
function connectWriter(url: string): Redis {
  const redis = new Redis(url, { protocol: 2, retryStrategy: () => 20, maxRetriesPerRequest: 0 });
  redis.on("error", () => {});
  return redis;
}

export function describeKills({ kills, acknowledged, inDoubt, hits }: KillsReport): string {
  const kinds = [...kills].map(([strike, count]) => `${strike} ${count}`).join(", ");
  return (
    `writes of caches beside kills (${kinds}): ${acknowledged} acknowledged, ${inDoubt} not taken or in doubt, ` +
    `${hits} hits, 0 wrong`
  );
}
