/** Two sidecars on one Redis, each with a network of its own between. */
import { rmSync } from "node:fs";
import { Redis } from "ioredis";
import { type RedisServer, startRedis } from "../../../harness/redis-server.ts";
import type { SidecarProcess } from "../../../harness/sidecar.ts";
import { promote } from "../../../src/bridge/client/promote.ts";
import { until } from "../../harness/serving.ts";
import { Link } from "./link.ts";
import { halt, isReady, type Place, Sidecars } from "./place.ts";

/** Of a cut: some are over before the lease, and some are not. */
const cutMsMax = 9_000;
const patienceMs = 60_000;

export class OneRedis implements Place {
  /** None waits for longer than a lease. */
  readonly shortKinds = ["stop", "promote", "kill", "kill the follower", "break the connections"];
  readonly kinds = [
    ...this.shortKinds,
    "halt",
    "cut off",
    "cut off silently",
    "cut off the follower",
    "cut off the follower silently",
  ];
  readonly #server: RedisServer;
  readonly #watcher: Redis;
  /** The way of each sidecar to Redis, by its data directory. */
  readonly #links = new Map<string, Link>();
  readonly #sidecars = new Sidecars(async (directory) => {
    const link = this.#links.get(directory) ?? (await Link.to(this.#server.url));
    this.#links.set(directory, link);
    return link.url;
  });

  private constructor(server: RedisServer) {
    this.#server = server;
    this.#watcher = this.connect();
  }

  static async open(): Promise<OneRedis> {
    return new OneRedis(await startRedis({ appendonly: "everysec" }));
  }

  connect(): Redis {
    const redis = new Redis(this.#server.url, { protocol: 2 });
    redis.on("error", () => {});
    return redis;
  }

  async start(): Promise<void> {
    await (await this.#sidecars.start()).waitReady();
    await this.#sidecars.start();
  }

  async untilReady(): Promise<void> {
    await until(() => this.#watcher.info("vstore"), isReady, patienceMs);
  }

  async end(kind: string, random: () => number): Promise<void> {
    const sidecar = kind.includes("follower") ? this.#sidecars.follower : this.#sidecars.leader;
    if (kind === "promote") await promote(this.#server.url);
    else if (kind === "halt") await halt(sidecar.pid);
    else if (kind.startsWith("cut off") || kind.startsWith("break")) await this.#cut(kind, sidecar, random());
    else await this.#sidecars.replace(sidecar, kind === "stop");
  }

  logs(): string {
    return this.#sidecars.logs();
  }

  async close(): Promise<void> {
    this.#watcher.disconnect();
    await this.#sidecars.kill();
    for (const link of this.#links.values()) await link.close();
    await this.#server.stop();
    for (const directory of this.#sidecars.directories) rmSync(directory, { recursive: true, force: true });
  }

  async #cut(kind: string, { dataDir }: SidecarProcess, share: number): Promise<void> {
    const link = this.#links.get(dataDir)!;
    if (kind.endsWith("silently")) await link.standStill(cutMsMax * share);
    else await link.cut(kind.startsWith("break") ? 0 : cutMsMax * share);
  }
}
