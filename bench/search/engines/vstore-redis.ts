/**
 * vstore as its users meet it: Redis with the module, the sidecar, and clients on loopback connections in a process of
 * their own, which is this one; its share of the CPU is reported beside the rates.
 */
import * as fs from "node:fs";
import { Redis } from "ioredis";
import { startVstore, type Vstore } from "../../../harness/sidecar.ts";
import { abreast, type Engine, type EngineKind, oneByOne, type Pass, type Place } from "../engine.ts";
import { bytesOf, type Matrix, slice } from "../matrix.ts";
import { CLIENTS, EF_CONSTRUCTION, K, M } from "../settings.ts";
import { keyOf, rowOf } from "./row-keys.ts";

const COLLECTION = "bench";
/** Vectors of one MINSERT. */
const BATCH_VECTORS = 100;

export const vstoreRedis: EngineKind = {
  name: "vstore-redis",
  settings: `VSTORE.SEARCH over loopback, ${CLIENTS} clients, native index, QUANT INT8, AOF everysec`,
  cores: "server",
  open: async (place) => new VstoreRedisEngine(place),
};

class VstoreRedisEngine implements Engine {
  readonly #place: Place;
  #server: Vstore | undefined;
  #clients: readonly Redis[] = [];
  #ef = 0;

  constructor(place: Place) {
    this.#place = place;
  }

  async build(base: Matrix): Promise<void> {
    await this.load();
    const [client] = this.#clients;
    const { dimensions, metric } = this.#place.set;
    const graph = ["M", M, "EF_CONSTRUCTION", EF_CONSTRUCTION];
    await client!.call("VSTORE.CREATE", COLLECTION, "DIM", dimensions, "METRIC", metric, ...graph);
    let next = 0;
    const insert = async (each: Redis) => {
      for (let from = next; from < base.rows; from = next) {
        next = Math.min(from + BATCH_VECTORS, base.rows);
        await insertRows(each, base, from, next);
      }
    };
    await Promise.all(this.#clients.map(insert));
    await client!.call("VSTORE.BUILD", COLLECTION, "WAIT");
  }

  async save(): Promise<void> {
    await this.close();
  }

  async load(): Promise<void> {
    const { directory } = this.#place;
    const [redisDirectory, dataDir] = [`${directory}/redis`, `${directory}/data`];
    fs.mkdirSync(redisDirectory, { recursive: true });
    this.#server = await startVstore(
      { appendonly: "everysec", directory: redisDirectory },
      { dataDir, env: { VSTORE_INDEX: "native" } },
    );
    this.#clients = Array.from({ length: CLIENTS }, () => new Redis(this.#server!.url, { protocol: 2 }));
  }

  setEf(ef: number): void {
    this.#ef = ef;
  }

  each(queries: Matrix): Promise<Pass> {
    return oneByOne(queries, (query) => this.#search(query, 0));
  }

  flood(queries: Matrix): Promise<Pass> {
    return abreast(queries, CLIENTS, (query, lane) => this.#search(query, lane));
  }

  processes(): readonly number[] {
    return this.#server === undefined ? [] : [this.#server.redis.pid, this.#server.sidecar.pid];
  }

  ping(lane: number): Promise<unknown> {
    return this.#clients[lane]!.ping();
  }

  async close(): Promise<void> {
    for (const client of this.#clients) client.disconnect();
    this.#clients = [];
    await this.#server?.stop();
    this.#server = undefined;
  }

  async #search(query: Float32Array, client: number): Promise<number[]> {
    const blob = Buffer.from(query.buffer, query.byteOffset, query.byteLength);
    const options = ["COUNT", K, "EF", this.#ef];
    const keys = await this.#clients[client]!.callBuffer(
      "VSTORE.SEARCH",
      COLLECTION,
      "FP32",
      blob,
      ...options,
    );
    return (keys as Buffer[]).map(rowOf);
  }
}

async function insertRows(client: Redis, base: Matrix, from: number, to: number): Promise<void> {
  const keys = Array.from({ length: to - from }, (_, i) => keyOf(from + i));
  await client.call(
    "VSTORE.MINSERT",
    COLLECTION,
    keys.length,
    ...keys,
    "FP32",
    bytesOf(slice(base, from, to)),
  );
}
