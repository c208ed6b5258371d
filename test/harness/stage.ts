/** One Redis and the sidecars that join it, new for every test of a file. */
import type { Redis } from "ioredis";
import { afterEach, beforeEach } from "vitest";
import { type RedisOptions, type RedisServer, startRedis } from "../../harness/redis-server.ts";
import { type SidecarOptions, type SidecarProcess, startSidecar } from "../../harness/sidecar.ts";
import { temporaryDirectory } from "./directory.ts";
import { connectClient } from "./serving.ts";

/** A checkpoint interval within which no test ends. */
export const NO_CHECKPOINTS = 3_600_000;

interface JoinOptions extends Pick<SidecarOptions, "dataDir" | "redisUrl" | "through" | "env"> {
  readonly checkpointIntervalMs?: number;
}

export class Stage {
  server!: RedisServer;
  /** An ordinary client; it reconnects. */
  redis!: Redis;
  #sidecars: SidecarProcess[] = [];

  async open(options: RedisOptions): Promise<void> {
    this.server = await startRedis(options);
    this.redis = connectClient(this.server.url);
  }

  async close(): Promise<void> {
    this.redis.disconnect();
    await this.killSidecars();
    await this.server.stop();
  }

  /** Starts a sidecar, on files of its own unless they are named; does not wait for anything. */
  join({
    checkpointIntervalMs,
    dataDir = temporaryDirectory(),
    ...options
  }: JoinOptions = {}): SidecarProcess {
    const interval = checkpointIntervalMs && ["--checkpoint-interval-ms", String(checkpointIntervalMs)];
    const sidecar = startSidecar({ redisUrl: this.server.url, dataDir, args: interval || [], ...options });
    this.#sidecars.push(sidecar);
    return sidecar;
  }

  async killSidecars(): Promise<void> {
    for (const sidecar of this.#sidecars) await sidecar.kill();
    this.#sidecars = [];
  }
}

/** @param options of the Redis that every test of the file gets; its sidecars are for the tests to start */
export function eachTestOnStage(options: RedisOptions = {}): Stage {
  const stage = new Stage();
  beforeEach(() => stage.open(options));
  afterEach(() => stage.close());
  return stage;
}
