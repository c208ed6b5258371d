/**
 * Of which primary a Redis is a replica. A follower beside a replica reads the logs, and acknowledges them, at the
 * primary; only clients are answered at the replica.
 */
import type { Redis } from "ioredis";
import { onServer } from "../redis/address.ts";
import { connect } from "../redis/connection.ts";
import { infoField } from "../redis/server.ts";

/** A replica may be one of another replica. */
const hopsMax = 4;

/** The address of the server that this one, at `url`, replicates; undefined when it is a primary. */
export async function sourceOf(redis: Redis, url: string): Promise<string | undefined> {
  const info = await redis.info("replication");
  if (infoField(info, "role") !== "slave") return undefined;
  return onServer(url, infoField(info, "master_host"), Number(infoField(info, "master_port")));
}

/** Whether the replica has the primary's data set, and hears from it. */
export async function isLinkUp(redis: Redis): Promise<boolean> {
  return infoField(await redis.info("replication"), "master_link_status") === "up";
}

export interface Place {
  /** What the server at the URL replicates; undefined when it is a primary. */
  readonly source: string | undefined;
  /** The primary behind it, as far as it can be seen. */
  readonly primary: string;
}

/** @throws Error when the server at the URL cannot be reached */
export async function placeInReplication(url: string): Promise<Place> {
  const source = await askSource(url);
  let primary = source ?? url;
  for (let hop = 1; source !== undefined && hop < hopsMax; hop++) {
    const next = await askSource(primary).catch(() => undefined);
    if (next === undefined) break;
    primary = next;
  }
  return { source, primary };
}

async function askSource(url: string): Promise<string | undefined> {
  const redis = await connect(url, "vstore-check");
  try {
    return await sourceOf(redis, url);
  } finally {
    redis.disconnect();
  }
}
