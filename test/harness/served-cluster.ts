/** A Redis Cluster with a sidecar for each node, whose files outlive it. */
import type { Cluster } from "ioredis";
import { type ClusterNode, RedisCluster } from "../../harness/cluster.ts";
import { ownDirectory, removeWithProcesses } from "../../harness/left-behind.ts";
import type { RedisOptions } from "../../harness/redis-server.ts";
import { type SidecarOptions, type SidecarProcess, startSidecar } from "../../harness/sidecar.ts";

export interface ServedOptions {
  readonly redis?: RedisOptions;
  /** Of each sidecar, but for the server and the files that it gets. */
  readonly sidecar?: SidecarOptions;
  /** Called with each node before its sidecar starts. */
  readonly prepare?: (node: ClusterNode) => Promise<unknown>;
  /** What a sidecar's URL has before its host. */
  readonly credentials?: string;
}

export class ServedCluster {
  readonly redis: RedisCluster;
  /** A client of all nodes, which goes where MOVED says. */
  readonly client: Cluster;
  readonly sidecars = new Map<ClusterNode, SidecarProcess>();
  readonly #options: ServedOptions;
  readonly #directories = new Map<ClusterNode, string>();
  /** Those whose place another one has taken, and their files. */
  readonly #others: SidecarProcess[] = [];
  readonly #leftDirectories: string[] = [];

  private constructor(redis: RedisCluster, options: ServedOptions) {
    this.redis = redis;
    this.client = redis.connect();
    this.#options = options;
  }

  /** Resolves when all nodes are served. */
  static async start(count: number, options: ServedOptions = {}): Promise<ServedCluster> {
    const cluster = new ServedCluster(await RedisCluster.start(count, options.redis), options);
    for (const node of cluster.redis.nodes) {
      await options.prepare?.(node);
      cluster.serve(node);
    }
    for (const sidecar of cluster.sidecars.values()) await sidecar.waitReady();
    return cluster;
  }

  /** Starts a sidecar with the node's files; does not wait for anything. */
  serve(node: ClusterNode, env: Record<string, string> = {}): SidecarProcess {
    const dataDir = this.#directories.get(node) ?? ownDirectory("data");
    this.#directories.set(node, dataDir);
    const { credentials = "", sidecar: options } = this.#options;
    const redisUrl = node.server.url.replace("redis://", `redis://${credentials}`);
    const sidecar = startSidecar({ ...options, redisUrl, dataDir, env: { ...options?.env, ...env } });
    this.sidecars.set(node, sidecar);
    return sidecar;
  }

  /** Starts one with files of its own, which is the node's sidecar from now on: it leads when the other has gone. */
  follow(node: ClusterNode): SidecarProcess {
    this.#others.push(this.sidecars.get(node)!);
    this.#leftDirectories.push(this.#directories.get(node)!);
    this.#directories.delete(node);
    return this.serve(node, { VSTORE_ROLE: "auto" });
  }

  /** The node of a name, and one that is not. */
  async homeAndOther(name: string): Promise<[home: ClusterNode, other: ClusterNode]> {
    const home = await this.redis.nodeOf(name);
    return [home, this.redis.nodes.find((node) => node !== home)!];
  }

  async stop(): Promise<void> {
    this.client.disconnect();
    for (const sidecar of [...this.sidecars.values(), ...this.#others]) await sidecar.kill();
    await this.redis.stop();
    for (const directory of [...this.#directories.values(), ...this.#leftDirectories])
      removeWithProcesses(directory);
  }
}
