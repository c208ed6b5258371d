/** The vector sets of Redis 8, over the same kind of connections as vstore-redis. */
import { setTimeout as sleep } from "node:timers/promises";
import { type RedisServer, startRedis } from "../../../harness/redis-server.ts";
import { isRedis8 } from "../../../harness/server-program.ts";
import type { EngineKind } from "../engine.ts";
import { type Matrix, row } from "../matrix.ts";
import { CLIENTS, EF_CONSTRUCTION, K, M } from "../settings.ts";
import { EngineOverRedis } from "./over-redis.ts";
import { keyOf } from "./row-keys.ts";

const KEY = "bench";
/** VADDs under way for each client. */
const PIPELINED = 32;

export const redisVectorSets: EngineKind = {
  name: "redis-vector-sets",
  settings: `VSIM over loopback, ${CLIENTS} clients, Q8, AOF everysec`,
  cores: "server",
  open: async (place) => {
    if (!isRedis8()) throw new Error("needs a Redis 8: REDIS_SERVER=<its redis-server>");
    if (place.set.metric !== "COSINE") throw new Error("vector sets know COSINE alone");
    return new VectorSetEngine(place);
  },
};

class VectorSetEngine extends EngineOverRedis {
  #server: RedisServer | undefined;

  async build(base: Matrix): Promise<void> {
    await this.load();
    const graph = ["Q8", "EF", EF_CONSTRUCTION, "M", M];
    const add = (at: number) => {
      const vector = row(base, at);
      const blob = Buffer.from(vector.buffer, vector.byteOffset, vector.byteLength);
      return ["FP32", blob, keyOf(at), ...graph];
    };
    await this.insertAll(base.rows, PIPELINED, (client, from, to) =>
      Promise.all(Array.from({ length: to - from }, (_, i) => client.call("VADD", KEY, ...add(from + i)))),
    );
  }

  /** Before it is started again its AOF has to hold the graph: from the commands it would be built anew. */
  override async save(): Promise<void> {
    const [client] = this.clients;
    await client!.bgrewriteaof();
    while (/^aof_rewrite_(in_progress|scheduled):1/m.test(await client!.info("persistence"))) await sleep(50);
    await super.save();
  }

  processes(): readonly number[] {
    return this.#server === undefined ? [] : [this.#server.pid];
  }

  protected async start(directory: string): Promise<string> {
    this.#server = await startRedis({ module: false, appendonly: "everysec", directory });
    return this.#server.url;
  }

  protected async stop(): Promise<void> {
    await this.#server?.stop();
    this.#server = undefined;
  }

  protected searching(blob: Buffer, ef: number): [string, ...(string | number | Buffer)[]] {
    return ["VSIM", KEY, "FP32", blob, "COUNT", K, "EF", Math.max(ef, K)];
  }
}
