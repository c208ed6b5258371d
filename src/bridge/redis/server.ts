/** Checks a Redis server before the sidecar works with it. */
import type { Redis } from "ioredis";

const majorVersionMin = 7;
/** @throws Error that says what to do: the server is too old, or has no module */
export async function checkServer(redis: Redis): Promise<void> {
  const version = await serverVersion(redis);
  if (Number.parseInt(version, 10) < majorVersionMin) {
    throw new Error(`Redis ${version} is too old: vstore needs Redis 7.0 or Valkey 7.2, or newer`);
  }
  if (!(await hasModule(redis))) {
    throw new Error(
      "the Redis server has not loaded the vstore module; `vstore module` builds it and says how to load it",
    );
  }
}

export async function hasModule(redis: Redis): Promise<boolean> {
  const [attach] = (await redis.call("COMMAND", "INFO", "VSTORE.ATTACH")) as unknown[];
  return attach !== null;
}

async function serverVersion(redis: Redis): Promise<string> {
  return infoField(await redis.info("server"), "redis_version");
}

export async function isClusterNode(redis: Redis): Promise<boolean> {
  return infoField(await redis.info("cluster"), "cluster_enabled") === "1";
}

/** Names the process of a server, and no other one. */
export async function runIdOf(redis: Redis): Promise<string> {
  return infoField(await redis.info("server"), "run_id");
}

/** @throws Error when the connection reaches another server than the one with this run id */
export async function assertServer(redis: Redis, runId: string): Promise<void> {
  if ((await runIdOf(redis)) === runId) return;
  throw new Error(
    "the connections of this sidecar reach different Redis servers: a balancer must lead all of them to the one that is primary",
  );
}

/** One value of INFO's text; empty when it is not there. */
export function infoField(info: string, field: string): string {
  return new RegExp(`^${field}:(.*?)\\r?$`, "m").exec(info)?.[1] ?? "";
}
