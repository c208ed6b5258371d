/**
 * Clients write through Redis while the sidecar, Redis, or both are killed again and again, at random moments and at
 * the fail points. After each restart everything that is there is compared with what was acknowledged.
 *
 * The seed repeats what is written and what dies, where, and when; how the processes are scheduled in between it cannot
 * repeat. A failure may take several runs to come back.
 */
import { mkdirSync, rmSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import type { Redis } from "ioredis";
import { generator } from "../../harness/random.ts";
import { type RedisServer, startRedis } from "../../harness/redis-server.ts";
import { type SidecarProcess, startSidecar } from "../../harness/sidecar.ts";
import { Client, connectOnce } from "./client.ts";
import { type Crash, CrashPlan } from "./crashes.ts";
import { type Contents, Oracle, type Write } from "./oracle.ts";
import { readContents, shapeOf } from "./reading.ts";
import { scratchDirectory } from "./scratch.ts";
import { createCommand, kinds, Workload } from "./workload.ts";

const CLIENTS = 8;
/** A program that takes longer hangs. */
const SERVING_MS_MAX = 30_000;
/** For answers that the restarted sidecar still gives; then the waiting clients are released. */
const LATE_ANSWER_MS = 50;
/** Between the commands that disturb: CHECKPOINT, BUILD. */
const DISTURB_MS = 40;

export interface TortureReport {
  readonly cycles: number;
  /** How often each kind of crash happened; fail points by name, where the process did die there. */
  readonly crashes: ReadonlyMap<string, number>;
  readonly counts: Oracle["counts"];
}

/** The sidecar has come to its fail point. */
class Died extends Error {}

function ignoreDeath(error: unknown): void {
  if (!(error instanceof Died)) throw error;
}

export class Torture {
  /** Of the crashes alone, so that nothing which depends on time shifts them. */
  readonly #plan: CrashPlan;
  readonly #random: () => number;
  readonly #directory: string;
  readonly #oracle = new Oracle();
  readonly #crashes = new Map<string, number>();
  readonly #server: RedisServer;
  readonly #clients: readonly Client[];
  /** For what Redis itself answers; never blocked. */
  #admin: Redis;
  /** For what the sidecar answers, which may never come; each cycle has its own. */
  #asking: Redis;
  #sidecar: SidecarProcess | undefined;
  /** Rejects when the sidecar has ended. */
  #death: Promise<never> | undefined;
  #cycles = 0;

  private constructor(seed: number, directory: string, server: RedisServer) {
    this.#directory = directory;
    this.#plan = new CrashPlan(generator(seed));
    this.#random = generator(~seed);
    this.#server = server;
    this.#admin = connectOnce(server.url);
    this.#asking = connectOnce(server.url);
    this.#clients = Array.from({ length: CLIENTS }, (_, i) => {
      return new Client(server.url, new Workload(i, generator(seed + 1 + i), this.#oracle), this.#oracle);
    });
  }

  /**
   * Goes through `cycles` crashes and a last, orderly stop.
   *
   * @param onCycle called after each one
   * @throws Error that names seed, cycle and loss; the data directory stays then
   */
  static async run(seed: number, cycles: number, onCycle = () => {}): Promise<TortureReport> {
    const directory = scratchDirectory("torture");
    for (const part of ["redis", "data"]) mkdirSync(`${directory}/${part}`);
    const server = await startRedis({ appendonly: "always", directory: `${directory}/redis` });
    const torture = new Torture(seed, directory, server);
    try {
      for (; torture.#cycles < cycles; onCycle()) await torture.#cycle();
      await torture.#end();
    } catch (error) {
      await torture.#cleanUp();
      throw new Error(torture.#describe(seed, error as Error), { cause: error });
    }
    await torture.#cleanUp();
    rmSync(directory, { recursive: true });
    return { cycles, crashes: torture.#crashes, counts: torture.#oracle.counts };
  }

  async #cycle(): Promise<void> {
    const crash = this.#plan.next(this.#sidecar !== undefined);
    if (this.#sidecar === undefined) this.#startSidecar(crash);
    if (crash.kind === "start") await sleep(crash.afterMs);
    else await this.#write(crash).catch(ignoreDeath);
    await this.#strike(crash);
    this.#asking.disconnect();
    this.#asking = connectOnce(this.#server.url);
    this.#cycles++;
  }

  /** Everything is checked first, then the clients write until the moment has come. */
  async #write(crash: Crash): Promise<void> {
    await this.#serves();
    await this.#check();
    await this.#prepareCollections();
    for (const client of this.#clients) client.start();
    const until = Date.now() + crash.afterMs;
    const disturbing = this.#disturb(until);
    while (Date.now() < until && this.#sidecar!.isRunning) await sleep(Math.min(5, until - Date.now()));
    await disturbing;
  }

  async #strike(crash: Crash): Promise<void> {
    const sidecar = this.#sidecar!;
    const diedThere = crash.kind === "fail point" && !sidecar.isRunning;
    this.#count(diedThere ? crash.name : crash.kind === "fail point" ? "sidecar" : crash.kind);
    if (!sidecar.isRunning && !diedThere) throw new Error(`the sidecar ended by itself:\n${sidecar.stderr}`);
    if (sidecar.stderr.includes("unexpected error")) throw new Error(sidecar.stderr);
    if (crash.kind !== "redis") {
      await sidecar.kill();
      this.#sidecar = undefined;
    }
    for (const client of this.#clients) client.stop();
    if (crash.kind === "redis" || crash.kind === "both") await this.#restartRedis();
    // The next one would have to wait until the lease of the killed one expires: 5 s that nothing is learnt from.
    if (this.#sidecar === undefined) await this.#admin.del("vstore:leader");
  }

  async #restartRedis(): Promise<void> {
    await this.#server.kill();
    this.#admin.disconnect();
    await this.#server.restart();
    this.#admin = connectOnce(this.#server.url);
  }

  #startSidecar(crash?: Crash): void {
    const env = crash?.kind === "fail point" ? { FAIL_POINT: `${crash.name}:${crash.pass}` } : {};
    const args = ["--checkpoint-interval-ms", "1000"];
    const dataDir = `${this.#directory}/data`;
    const sidecar = startSidecar({ redisUrl: this.#server.url, dataDir, args, env });
    this.#sidecar = sidecar;
    this.#death = sidecar.exit().then(() => Promise.reject(new Died()));
    this.#death.catch(() => {});
  }

  /** Resolves when clients are served. */
  async #serves(): Promise<void> {
    const deadline = Date.now() + SERVING_MS_MAX;
    for (;;) {
      const asked = this.#asking.call("VSTORE.LIST").catch((error: Error) => error.message);
      const answer = await this.#whileAlive(asked);
      if (Array.isArray(answer)) return;
      if (Date.now() > deadline) throw new Error(`hangs: ${answer}\n${this.#sidecar!.stderr}`);
      await sleep(10);
    }
  }

  /** What the sidecar was asked for. @throws Died when a fail point ends it before it answers */
  #whileAlive<T>(asked: Promise<T>): Promise<T> {
    asked.catch(() => {}); // it may fail when no code awaits it any more
    return Promise.race([asked, this.#death!]);
  }

  /** Once clients are served, what is in the logs is applied: nothing that is still in doubt can come later. */
  async #check(): Promise<void> {
    await this.#releaseClients();
    for (const client of this.#clients) await client.settled();
    this.#oracle.settle(await this.#read());
  }

  /**
   * Redis may have taken the first request because the killed sidecar still counted as attached: the new one answers it
   * before it attaches itself, and in between no client is served.
   */
  async #read(): Promise<Contents> {
    try {
      return await this.#whileAlive(readContents(this.#asking, this.#random));
    } catch (error) {
      if (!/^VSTOREDOWN/.test((error as Error).message)) throw error;
    }
    await this.#serves();
    return this.#whileAlive(readContents(this.#asking, this.#random));
  }

  async #releaseClients(): Promise<void> {
    for (;;) {
      const waiting = this.#clients.filter((client) => !client.isIdle);
      if (waiting.length === 0) return;
      await sleep(LATE_ANSWER_MS);
      for (const { isIdle, connectionId } of waiting) {
        // With TIMEOUT, a client whose answer is on its way in this very turn of Redis' loop would get nothing at all.
        if (!isIdle && connectionId !== undefined) await this.#admin.client("UNBLOCK", connectionId, "ERROR");
      }
    }
  }

  async #prepareCollections(): Promise<void> {
    for (const { name, dimensions, metric, slotsMax } of kinds) {
      if (this.#oracle.contents.has(name)) {
        if ((await this.#whileAlive(shapeOf(this.#asking, name))).slots <= slotsMax) continue;
        await this.#change(name, ["VSTORE.DROP", name], false);
      }
      await this.#change(name, createCommand(name, dimensions, metric), true);
    }
  }

  async #change(collection: string, command: Write["command"], exists: boolean): Promise<void> {
    const write = { command, collection, exists, changes: new Map(), answer: "OK" };
    try {
      await this.#whileAlive(this.#asking.call(...(command as [string])));
      this.#oracle.acknowledge(write);
    } catch (error) {
      this.#oracle.doubt(write);
      throw error;
    }
  }

  /** What goes on in the background comes more often than it would by itself. Its answers do not matter here. */
  async #disturb(until: number): Promise<void> {
    const redis = connectOnce(this.#server.url);
    while (Date.now() + DISTURB_MS < until && this.#sidecar!.isRunning) {
      await sleep(DISTURB_MS);
      const command = this.#random() < 0.7 ? ["VSTORE.CHECKPOINT"] : ["VSTORE.BUILD", "indexed"];
      redis.call(...(command as [string])).catch(() => {});
    }
    redis.disconnect();
  }

  /** The last state, and that an orderly stop keeps it. */
  async #end(): Promise<void> {
    for (const isLast of [false, true]) {
      if (this.#sidecar === undefined) this.#startSidecar();
      await this.#serves();
      await this.#check();
      if (!isLast) await this.#sidecar!.stop();
      if (!isLast) this.#sidecar = undefined;
    }
  }

  async #cleanUp(): Promise<void> {
    await this.#sidecar?.kill();
    for (const client of this.#clients) client.close();
    this.#admin.disconnect();
    this.#asking.disconnect();
    await this.#server.stop();
  }

  #count(kind: string): void {
    this.#crashes.set(kind, (this.#crashes.get(kind) ?? 0) + 1);
  }

  #describe(seed: number, error: Error): string {
    return `seed ${seed}, cycle ${this.#cycles}: ${error.message}\nthe files are in ${this.#directory}`;
  }
}
