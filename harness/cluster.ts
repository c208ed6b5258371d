/** A Redis Cluster on 127.0.0.1: so many primaries, which share the slots evenly, and the replicas that are added. */
import { setTimeout as sleep } from "node:timers/promises";
import { Cluster, Redis } from "ioredis";
import { freePort } from "./free-port.ts";
import { type RedisOptions, type RedisServer, startRedis } from "./redis-server.ts";
import { movesSlotsAtOnce, strictSlots } from "./server-program.ts";

const slots = 16_384;
const patienceMs = 60_000;
/** Ports are chosen again when another process has taken one of them. */
const attemptsMax = 5;

export interface ClusterNode {
  readonly server: RedisServer;
  readonly busPort: number;
  /** A client of this node alone. */
  readonly redis: Redis;
  /** By which the cluster knows it. */
  readonly id: string;
}

export async function startNode(options: RedisOptions = {}): Promise<ClusterNode> {
  for (let attempt = 1; ; attempt++) {
    const [port, busPort] = [await freePort(), await freePort()];
    const args = ["--cluster-enabled", "yes", "--cluster-port", String(busPort)];
    const timeout = ["--cluster-node-timeout", "5000"];
    try {
      const server = await startRedis({
        ...options,
        port,
        args: [...args, ...timeout, ...strictSlots(), ...(options.args ?? [])],
      });
      const redis = new Redis(server.url, {
        protocol: 2,
        retryStrategy: () => 50,
        maxRetriesPerRequest: null,
      });
      redis.on("error", () => {});
      return { server, busPort, redis, id: String(await redis.call("CLUSTER", "MYID")) };
    } catch (error) {
      if (attempt === attemptsMax) throw error;
    }
  }
}

export class RedisCluster {
  /** The primaries that it began with. */
  readonly nodes: readonly ClusterNode[];
  readonly #replicas: ClusterNode[] = [];

  private constructor(nodes: readonly ClusterNode[]) {
    this.nodes = nodes;
  }

  static async start(count: number, options: RedisOptions = {}): Promise<RedisCluster> {
    const nodes: ClusterNode[] = [];
    for (let i = 0; i < count; i++) nodes.push(await startNode(options));
    for (const [i, { redis }] of nodes.entries()) {
      const [first, end] = [Math.floor((slots * i) / count), Math.floor((slots * (i + 1)) / count)];
      await redis.call("CLUSTER", "ADDSLOTSRANGE", first, end - 1);
      for (const { server, busPort } of nodes.slice(i + 1))
        await redis.call("CLUSTER", "MEET", "127.0.0.1", server.port, busPort);
    }
    const cluster = new RedisCluster(nodes);
    await cluster.untilWhole();
    return cluster;
  }

  /** Resolves when every node serves, and knows who has which slots. */
  async untilWhole(): Promise<void> {
    for (const { redis } of this.nodes) {
      const isWhole = async () => {
        const info = String(await redis.call("CLUSTER", "INFO"));
        return /cluster_state:ok/.test(info) && info.includes(`cluster_size:${this.nodes.length}`);
      };
      for (const deadline = Date.now() + patienceMs; !(await isWhole()); await sleep(50))
        if (Date.now() > deadline)
          throw new Error(`the cluster is not whole: ${await redis.call("CLUSTER", "NODES")}`);
    }
  }

  /** Resolves when it has the primary's data, and all nodes know it. */
  async addReplica(primary: ClusterNode, options: RedisOptions = {}): Promise<ClusterNode> {
    const replica = await startNode(options);
    this.#replicas.push(replica);
    await replica.redis.call("CLUSTER", "MEET", "127.0.0.1", primary.server.port, primary.busPort);
    const knows = async (redis: Redis, words: RegExp) => {
      for (const deadline = Date.now() + patienceMs; ; await sleep(50)) {
        const nodes = String(await redis.call("CLUSTER", "NODES"));
        if (words.test(nodes)) return;
        if (Date.now() > deadline) throw new Error(`the replica is not known: ${nodes}`);
      }
    };
    await knows(replica.redis, new RegExp(`^${primary.id} \\S+ master .* connected \\d`, "m"));
    await replica.redis.call("CLUSTER", "REPLICATE", primary.id);
    for (const { redis } of this.nodes)
      await knows(redis, new RegExp(`^${replica.id} \\S+ slave ${primary.id} .* connected`, "m"));
    for (const deadline = Date.now() + patienceMs; ; await sleep(50)) {
      if (/master_link_status:up/.test(await replica.redis.info("replication"))) return replica;
      if (Date.now() > deadline) throw new Error("the replica does not get the primary's data");
    }
  }

  /** A client of all of them, which goes where MOVED says. */
  connect(): Cluster {
    const places = this.nodes.map(({ server }) => ({ host: "127.0.0.1", port: server.port }));
    const options = { protocol: 2, maxRetriesPerRequest: null } as const;
    const client = new Cluster(places, { redisOptions: options, clusterRetryStrategy: () => 50 });
    client.on("error", () => {});
    return client;
  }

  async slotOf(key: string): Promise<number> {
    return Number(await this.nodes[0]!.redis.call("CLUSTER", "KEYSLOT", key));
  }

  /** The node that has the slot of this key. */
  async nodeOf(key: string): Promise<ClusterNode> {
    const slot = await this.slotOf(key);
    for (const node of this.nodes) if ((await slotsOf(node)).has(slot)) return node;
    throw new Error(`no node has the slot ${slot}`);
  }

  /** Moves a slot with all of its keys, at once where the server can. */
  async moveSlot(slot: number, from: ClusterNode, to: ClusterNode): Promise<void> {
    if (movesSlotsAtOnce()) await this.#migrateSlot(slot, from, to);
    else await this.#moveKeys(slot, from, to);
  }

  async #migrateSlot(slot: number, from: ClusterNode, to: ClusterNode): Promise<void> {
    await from.redis.call("CLUSTER", "MIGRATESLOTS", "SLOTSRANGE", slot, slot, "NODE", to.id);
    for (const { redis } of this.nodes) {
      while (!(await slotsOf({ redis, id: to.id })).has(slot)) {
        const [last] = (await from.redis.call("CLUSTER", "GETSLOTMIGRATIONS")) as string[][];
        if (/failed|cancelled/.test(String(last))) throw new Error(`slot ${slot} does not move: ${last}`);
        await sleep(20);
      }
    }
  }

  /** In the order in which redis-cli does it. */
  async #moveKeys(slot: number, from: ClusterNode, to: ClusterNode): Promise<void> {
    await to.redis.call("CLUSTER", "SETSLOT", slot, "IMPORTING", from.id);
    await from.redis.call("CLUSTER", "SETSLOT", slot, "MIGRATING", to.id);
    for (;;) {
      const keys = (await from.redis.call("CLUSTER", "GETKEYSINSLOT", slot, 100)) as string[];
      if (keys.length === 0) break;
      await from.redis.call("MIGRATE", "127.0.0.1", to.server.port, "", 0, 5_000, "REPLACE", "KEYS", ...keys);
    }
    for (const { redis } of [to, from, ...this.nodes])
      await redis.call("CLUSTER", "SETSLOT", slot, "NODE", to.id);
  }

  async stop(): Promise<void> {
    for (const { redis, server } of [...this.#replicas, ...this.nodes]) {
      redis.disconnect();
      await server.stop();
    }
  }
}

/** The slots that the node itself has. */
export async function slotsOf({ redis, id }: Pick<ClusterNode, "redis" | "id">): Promise<Set<number>> {
  const ranges = (await redis.call("CLUSTER", "SLOTS")) as [number, number, [string, number, string]][];
  const own = ranges.filter(([, , primary]) => primary[2] === id);
  return new Set(
    own.flatMap(([first, last]) => Array.from({ length: last - first + 1 }, (_, i) => first + i)),
  );
}
