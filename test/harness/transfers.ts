/** What the tests of `vstore import` and `vstore export` share: a served Redis, a directory, and what is printed. */
import type { Redis } from "ioredis";
import { afterAll, beforeAll, beforeEach, vi } from "vitest";
import { startVstore, type Vstore } from "../../harness/sidecar.ts";
import { temporaryDirectory } from "./directory.ts";
import { connectClient } from "./serving.ts";

export class Transfers {
  server!: Vstore;
  redis!: Redis;
  /** A new one for each test. */
  place = "";
  /** What the test has printed. */
  stderr = "";
  stdout: string[] = [];
  #collections = 0;

  /** To be called at the top of a test file. */
  static begin(): Transfers {
    const transfers = new Transfers();
    beforeAll(() => transfers.#start());
    afterAll(() => transfers.#stop());
    beforeEach(() => transfers.#listen());
    return transfers;
  }

  url(): { redisUrl: string } {
    return { redisUrl: this.server.url };
  }

  /** The name of a collection that is not there yet. */
  fresh(): string {
    return `to:${this.#collections++}`;
  }

  async insert(to: string, key: string | Buffer, vector: Float32Array, attributes?: string): Promise<void> {
    const set = attributes === undefined ? [] : ["SETATTR", attributes];
    await this.redis.call("VSTORE.INSERT", to, key, "FP32", Buffer.from(vector.buffer), ...set);
  }

  /** Every key with the bytes of its vector and the text of its attributes. */
  async contents(collection: string): Promise<Record<string, [string, string | null]>> {
    const scanned = await this.redis.callBuffer("VSTORE.SCAN", collection, 0, "COUNT", 1_000);
    const [, keys] = scanned as [Buffer, Buffer[]];
    const found: Record<string, [string, string | null]> = {};
    for (const key of keys) {
      const vector = (await this.redis.callBuffer("VSTORE.GET", collection, key, "RAW")) as Buffer;
      const attributes = (await this.redis.call("VSTORE.GETATTR", collection, key)) as string | null;
      found[key.toString()] = [vector.toString("hex"), attributes?.replaceAll("\n", " ") ?? null];
    }
    return found;
  }

  async #start(): Promise<void> {
    this.server = await startVstore();
    this.redis = connectClient(this.server.url);
  }

  async #stop(): Promise<void> {
    this.redis?.disconnect();
    await this.server?.stop();
  }

  #listen(): () => void {
    this.place = temporaryDirectory();
    [this.stderr, this.stdout] = ["", []];
    vi.spyOn(process.stderr, "write").mockImplementation((text) => {
      this.stderr += text;
      return true;
    });
    vi.spyOn(console, "log").mockImplementation((line) => void this.stdout.push(line));
    return () => vi.restoreAllMocks();
  }
}
