/** Clients that write and read some keys, each write with a value of its own, and what they saw. */
import type { Redis } from "ioredis";
import { fp32 } from "../../harness/fp32.ts";
import { until } from "../../harness/serving.ts";
import { absent, faultOf, type Operation } from "./linearizable.ts";

const clients = 4;
const keys = 16;
const patienceMs = 60_000;
/** Refused before it was written. */
const isRefusal = (error: unknown) =>
  /^(VSTOREDOWN|NOREPLICAS|BUSY|TRYAGAIN|READONLY|LOADING|MASTERDOWN)/.test((error as Error).message);

export class Clients {
  acknowledged = 0;
  /** Writes whose client does not know what became of them. */
  inDoubt = 0;
  readonly #connect: () => Redis;
  readonly #random: () => number;
  readonly #histories = Array.from({ length: keys }, (): Operation[] => []);
  #value = absent;
  #isOver = false;
  #working: Promise<void>[] = [];

  constructor(connect: () => Redis, random: () => number) {
    this.#connect = connect;
    this.#random = random;
  }

  /** Creates the collection, and begins. */
  async start(): Promise<void> {
    const redis = this.#connect();
    await redis.call("VSTORE.CREATE", "c", "DIM", 2, "METRIC", "L2");
    redis.disconnect();
    this.#working = Array.from({ length: clients }, () => this.#work());
  }

  /** Resolves when each of them has written once more, on average. */
  async untilWritten(): Promise<void> {
    const wanted = this.acknowledged + clients;
    await until(
      () => this.acknowledged,
      (now) => now > wanted,
      patienceMs,
    );
  }

  /** @throws Error where what they saw of a key is not linearizable */
  async finish(): Promise<void> {
    this.stop();
    await Promise.all(this.#working);
    await this.#readAll();
    for (const [key, history] of this.#histories.entries()) {
      const fault = faultOf(history);
      if (fault !== undefined) throw new Error(`key k${key}: ${fault}`);
    }
  }

  stop(): void {
    this.#isOver = true;
  }

  get reads(): number {
    return this.#histories.flat().filter(({ kind }) => kind === "read").length;
  }

  async #work(): Promise<void> {
    const redis = this.#connect();
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
      this.acknowledged++;
    } catch (error) {
      if (isRefusal(error)) return;
      write(Number.POSITIVE_INFINITY);
      this.inDoubt++;
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
    const redis = this.#connect();
    for (let key = 0; key < keys; key++) {
      const isRead = () => this.#read(redis, key);
      await until(isRead, (wasRead) => wasRead, patienceMs);
    }
    redis.disconnect();
  }
}
