/**
 * Two sidecars with --role auto and --sync-followers 1 on one Redis: one of them is killed, stopped, promoted, halted
 * or cut off at random, again and again, while clients write and read. All that they have seen of a key has to be
 * linearizable, so no acknowledged write is lost and no read is older than what its client has seen.
 */
import { rmSync } from "node:fs";
import { Redis } from "ioredis";
import { generator } from "../../../harness/random.ts";
import { startRedis } from "../../../harness/redis-server.ts";
import { type SidecarProcess, startSidecar } from "../../../harness/sidecar.ts";
import { promote } from "../../../src/bridge/client/promote.ts";
import { fp32 } from "../../harness/fp32.ts";
import { until } from "../../harness/serving.ts";
import { scratchDirectory } from "../scratch.ts";
import { absent, faultOf, type Operation } from "./linearizable.ts";
import { Link } from "./link.ts";

const clients = 4;
const keys = 16;
/** Longer than a lease, so that the other one leads when it goes on. */
const haltMs = 8_000;
/** Of a cut: some are over before the lease, and some are not. */
const cutMsMax = 9_000;
const patienceMs = 60_000;

/** How a leader ends, or a follower. */
const kinds = [
  "stop",
  "promote",
  "kill",
  "kill the follower",
  "halt",
  "break the connections",
  "cut off",
  "cut off silently",
  "cut off the follower",
  "cut off the follower silently",
] as const;
type Kind = (typeof kinds)[number];
/** Of a short run: none waits for longer than a lease. */
export const shortKinds: readonly Kind[] = [
  "stop",
  "promote",
  "kill",
  "kill the follower",
  "break the connections",
];

export interface FailOverReport {
  readonly failOvers: Readonly<Record<string, number>>;
  readonly acknowledged: number;
  readonly reads: number;
  /** Writes whose client does not know what became of them. */
  readonly inDoubt: number;
}

export class FailOvers {
  readonly #url: string;
  readonly #random: () => number;
  readonly #watcher: Redis;
  readonly #sidecars: SidecarProcess[] = [];
  /** The way of each sidecar to Redis, by its data directory. */
  readonly #links = new Map<string, Link>();
  readonly #directories: string[] = [];
  readonly #histories = Array.from({ length: keys }, (): Operation[] => []);
  readonly #counts: Record<string, number> = {};
  #acknowledged = 0;
  #inDoubt = 0;
  #value = absent;
  #isOver = false;

  /** @throws Error that says what was lost, with the logs of the sidecars */
  static async run(
    seed: number,
    count: number,
    done: () => void = () => {},
    chosen: readonly Kind[] = kinds,
  ): Promise<FailOverReport> {
    const server = await startRedis({ appendonly: "everysec" });
    const run = new FailOvers(server.url, seed);
    try {
      return await run.#run(count, chosen, done);
    } catch (error) {
      const logs = run.#sidecars.map(({ stderr }) => stderr).join("\n\n");
      throw new Error(`fail-overs, seed ${seed}: ${(error as Error).message}\n${logs}`);
    } finally {
      run.#isOver = true;
      run.#watcher.disconnect();
      for (const sidecar of run.#sidecars) await sidecar.kill();
      for (const link of run.#links.values()) await link.close();
      await server.stop();
      for (const directory of run.#directories) rmSync(directory, { recursive: true, force: true });
    }
  }

  private constructor(url: string, seed: number) {
    this.#url = url;
    this.#random = generator(seed);
    this.#watcher = connect(url);
  }

  async #run(count: number, chosen: readonly Kind[], done: () => void): Promise<FailOverReport> {
    await this.#start(this.#directory());
    await this.#sidecars[0]!.waitReady();
    await this.#start(this.#directory());
    await this.#untilReady();
    await this.#watcher.call("VSTORE.CREATE", "c", "DIM", 2, "METRIC", "L2");
    const work = Array.from({ length: clients }, () => this.#client());
    for (let i = 0; i < count; i++) {
      const kind = chosen[i < chosen.length ? i : Math.floor(this.#random() * chosen.length)]!;
      await this.#failOver(kind);
      this.#counts[kind] = (this.#counts[kind] ?? 0) + 1;
      done();
    }
    this.#isOver = true;
    await Promise.all(work);
    await this.#readAll();
    for (const [key, history] of this.#histories.entries()) {
      const fault = faultOf(history);
      if (fault !== undefined) throw new Error(`key k${key}: ${fault}`);
    }
    const reads = this.#histories.flat().filter(({ kind }) => kind === "read").length;
    return { failOvers: this.#counts, acknowledged: this.#acknowledged, reads, inDoubt: this.#inDoubt };
  }

  #directory(): string {
    const directory = scratchDirectory("fail-overs");
    this.#directories.push(directory);
    return directory;
  }

  async #start(dataDir: string): Promise<void> {
    const link = this.#links.get(dataDir) ?? (await Link.to(this.#url));
    this.#links.set(dataDir, link);
    const env = { VSTORE_ROLE: "auto", VSTORE_SYNC_FOLLOWERS: "1", VSTORE_CHECKPOINT_INTERVAL_MS: "2000" };
    this.#sidecars.push(startSidecar({ redisUrl: link.url, dataDir, env }));
  }

  /** Ends when the other one serves, and has a follower again, which may lead next. */
  async #failOver(kind: Kind): Promise<void> {
    const [leader, follower] = await this.#untilReady();
    const before = this.#acknowledged;
    await this.#end(kind, kind.includes("follower") ? follower : leader);
    await this.#untilReady();
    await until(
      () => this.#acknowledged,
      (now) => now > before + clients,
      patienceMs,
    );
  }

  async #end(kind: Kind, sidecar: SidecarProcess): Promise<void> {
    const link = this.#links.get(sidecar.dataDir)!;
    const cutMs = cutMsMax * this.#random();
    if (kind === "promote") await promote(this.#url);
    else if (kind === "halt") await halt(sidecar);
    else if (kind === "break the connections") await link.cut(0);
    else if (kind.endsWith("silently")) await link.standStill(cutMs);
    else if (kind.startsWith("cut off")) await link.cut(cutMs);
    else {
      if (kind === "stop") await sidecar.stop();
      else await sidecar.kill();
      this.#sidecars.splice(this.#sidecars.indexOf(sidecar), 1);
      await this.#start(sidecar.dataDir);
    }
  }

  /** @returns the one that leads, and the one that is ready to */
  async #untilReady(): Promise<[SidecarProcess, SidecarProcess]> {
    const facts = () => this.#watcher.info("vstore");
    const isReady = (text: string) =>
      /vstore_attached:1\r/.test(text) && /vstore_followers_ready:1\r/.test(text);
    await until(facts, isReady, patienceMs);
    const leads = ({ stderr }: SidecarProcess) =>
      stderr.lastIndexOf("serving redis:") > stderr.lastIndexOf("following redis:");
    const sorted = [...this.#sidecars].sort((a, b) => Number(leads(b)) - Number(leads(a)));
    return [sorted[0]!, sorted.at(-1)!];
  }

  async #client(): Promise<void> {
    const redis = connect(this.#url);
    let token: string | undefined;
    while (!this.#isOver) {
      const key = Math.floor(this.#random() * keys);
      if (this.#random() < 0.5) await this.#write(redis, key);
      else if (token === undefined || this.#random() < 0.2)
        token = await redis.call("VSTORE.TOKEN", "c").then(String, () => undefined);
      else await this.#read(redis, key, this.#random() < 0.5 ? ["ASOF", token] : []);
    }
    redis.disconnect();
  }

  async #write(redis: Redis, key: number): Promise<void> {
    const value = ++this.#value;
    const called = performance.now();
    const write = (returned: number) =>
      this.#histories[key]!.push({ kind: "write", value, called, returned });
    try {
      await redis.call("VSTORE.INSERT", "c", `k${key}`, "FP32", fp32(value, 1));
      write(performance.now());
      this.#acknowledged++;
    } catch (error) {
      if (/^(VSTOREDOWN|NOREPLICAS|BUSY|TRYAGAIN)/.test((error as Error).message)) return;
      write(Number.POSITIVE_INFINITY);
      this.#inDoubt++;
    }
  }

  async #read(redis: Redis, key: number, asOf: readonly string[] = []): Promise<boolean> {
    const called = performance.now();
    try {
      const found = (await redis.call("VSTORE.GET", "c", `k${key}`, ...asOf)) as string[] | null;
      const value = found === null ? absent : Number(found[0]);
      this.#histories[key]!.push({ kind: "read", value, called, returned: performance.now() });
      return true;
    } catch {
      return false;
    }
  }

  /** Each key once at the end, so that a write that was lost at last shows too. */
  async #readAll(): Promise<void> {
    for (let key = 0; key < keys; key++) {
      const isRead = () => this.#read(this.#watcher, key);
      await until(isRead, (wasRead) => wasRead, patienceMs);
    }
  }
}

/** Stands still for longer than its lease. */
async function halt(sidecar: SidecarProcess): Promise<void> {
  process.kill(sidecar.pid, "SIGSTOP");
  await new Promise((resolve) => setTimeout(resolve, haltMs));
  process.kill(sidecar.pid, "SIGCONT");
}

function connect(url: string): Redis {
  const redis = new Redis(url, { protocol: 2 });
  redis.on("error", () => {});
  return redis;
}

export function describeFailOvers({ failOvers, acknowledged, reads, inDoubt }: FailOverReport): string {
  const ends = Object.entries(failOvers).map(([kind, count]) => `${count} x ${kind}`);
  return (
    `fail-overs: ${ends.join(", ")}; ${acknowledged} acknowledged writes and ${reads} reads, ` +
    `${inDoubt} writes in doubt: all linearizable`
  );
}
