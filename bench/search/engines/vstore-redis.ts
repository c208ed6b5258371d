/**
 * vstore as its users meet it: Redis with the module, the sidecar, and clients on loopback connections in a process of
 * their own, which is this one; its share of the CPU is reported beside the rates.
 */
import * as fs from "node:fs";
import type { Redis } from "ioredis";
import { startVstore, type Vstore } from "../../../harness/sidecar.ts";
import type { EngineKind } from "../engine.ts";
import { bytesOf, type Matrix, slice } from "../matrix.ts";
import { CLIENTS, EF_CONSTRUCTION, K, M } from "../settings.ts";
import { EngineOverRedis } from "./over-redis.ts";
import { keyOf } from "./row-keys.ts";

const COLLECTION = "bench";
/** Vectors of one MINSERT. */
const BATCH_VECTORS = 100;

export const vstoreRedis: EngineKind = {
  name: "vstore-redis",
  settings: `VSTORE.SEARCH over loopback, ${CLIENTS} clients, native index, QUANT INT8, AOF everysec`,
  cores: "server",
  open: async (place) => new VstoreRedisEngine(place),
};

class VstoreRedisEngine extends EngineOverRedis {
  #server: Vstore | undefined;

  async build(base: Matrix): Promise<void> {
    await this.load();
    const [client] = this.clients;
    const { dimensions, metric } = this.place.set;
    const graph = ["M", M, "EF_CONSTRUCTION", EF_CONSTRUCTION];
    await client!.call("VSTORE.CREATE", COLLECTION, "DIM", dimensions, "METRIC", metric, ...graph);
    await this.insertAll(base.rows, BATCH_VECTORS, (each, from, to) => insertRows(each, base, from, to));
    await client!.call("VSTORE.BUILD", COLLECTION, "WAIT");
  }

  processes(): readonly number[] {
    return this.#server === undefined ? [] : [this.#server.redis.pid, this.#server.sidecar.pid];
  }

  protected async start(directory: string): Promise<string> {
    const [redisDirectory, dataDir] = [`${directory}/redis`, `${directory}/data`];
    fs.mkdirSync(redisDirectory, { recursive: true });
    this.#server = await startVstore(
      { appendonly: "everysec", directory: redisDirectory },
      { dataDir, env: { VSTORE_INDEX: "native" } },
    );
    return this.#server.url;
  }

  protected async stop(): Promise<void> {
    await this.#server?.stop();
    this.#server = undefined;
  }

  protected searching(blob: Buffer, ef: number): [string, ...(string | number | Buffer)[]] {
    return ["VSTORE.SEARCH", COLLECTION, "FP32", blob, "COUNT", K, "EF", ef];
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
