/**
 * How the bridge connects to Redis. RESP2 is chosen on purpose: every reply that the bridge reads then is a plain
 * array, on every server version. A connection never reconnects by itself, because it would skip what each new one has
 * to do first (lease, reconciliation, attach). The sidecar opens a new session instead.
 */
import { Redis, type RedisOptions } from "ioredis";
import { namesCluster, type Place, placeOf } from "./address.ts";
import { primaryInCluster } from "./cluster/primary.ts";

/** A connection that answers nothing for this long is given up. The reader asks at least every second. */
export const silenceMsMax = 15_000;
const connectMsMax = 5_000;
/** How long to wait for an orderly end of the socket; ioredis' own 2 s would hold the process up. */
const disconnectMsMax = 100;

/** ioredis says so to what was under way, before it tells that the connection is closed. */
export const closedMessage = "Connection is closed.";

const options = {
  protocol: 2,
  lazyConnect: true,
  retryStrategy: () => null,
  sentinelRetryStrategy: () => null,
  sentinelCommandTimeout: connectMsMax,
  enableOfflineQueue: false,
  autoResendUnfulfilledCommands: false,
  maxRetriesPerRequest: null,
  connectTimeout: connectMsMax,
  socketTimeout: silenceMsMax,
  disconnectTimeout: disconnectMsMax,
} satisfies RedisOptions;

type Extra = Pick<RedisOptions, "enableOfflineQueue" | "socketTimeout" | "commandTimeout">;

/** @throws Error that says why, when Redis cannot be reached. */
export async function connect(url: string, name: string, extra: Extra = {}): Promise<Redis> {
  return connectTo(placeOf(await serverOf(url)), name, extra);
}

/** The address of the server itself where `url` is one of a cluster, whose nodes are asked. */
export async function serverOf(url: string): Promise<string> {
  if (!namesCluster(url)) return url;
  const ask = { commandTimeout: connectMsMax };
  return primaryInCluster(url, (seed) => connectTo(placeOf(seed), "vstore-cluster", ask));
}

/** The same where no URL names the server. */
export async function connectTo(place: Place, name: string, extra: Extra = {}): Promise<Redis> {
  const redis = new Redis({ ...options, ...place, connectionName: name, ...extra });
  let cause: Error | undefined;
  // Without a listener ioredis prints errors itself. The "close" event is what ends a session.
  redis.on("error", (error: Error) => {
    cause = error;
  });
  try {
    await redis.connect();
    await chooseDatabase(redis);
  } catch (error) {
    redis.disconnect();
    throw error instanceof NoSuchDatabase ? error : (cause ?? error);
  }
  return redis;
}

/** ioredis would go on in database 0. @throws Error that names the database */
async function chooseDatabase(redis: Redis): Promise<void> {
  const { db = 0 } = redis.options;
  if (db === 0) return;
  await redis.select(db).catch((error: Error) => {
    throw error.message.includes("out of range") ? new NoSuchDatabase(db) : error;
  });
}

/** Trying again does not help. */
export class NoSuchDatabase extends Error {
  constructor(db: number) {
    super(`that Redis has no database ${db}: its setting 'databases' is smaller`);
  }
}

/** Connects and leaves again, to report at once a fault that never gets better. @throws NoSuchDatabase */
export async function checkDatabase(url: string): Promise<void> {
  try {
    (await connect(url, "vstore-check")).disconnect();
  } catch (error) {
    if (error instanceof NoSuchDatabase) throw error;
  }
}

/** Sends the commands of `send` in one write: each wakes Redis, and that takes longer than a short command. */
export function inOneWrite<T>({ stream }: Redis, send: () => T): T {
  stream.cork();
  try {
    return send();
  } finally {
    stream.uncork();
  }
}
