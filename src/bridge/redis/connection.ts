/**
 * How the bridge connects to Redis. RESP2 is chosen on purpose: every reply that the bridge reads then is a plain
 * array, on every server version. A connection never repairs itself, because a repaired one would skip what each
 * new one has to do first (lease, reconciliation, attach); the sidecar opens a new session instead.
 */
import { Redis, type RedisOptions } from "ioredis";

/** A connection that answers nothing for this long is given up. The reader asks at least every second. */
const silenceMsMax = 15_000;
const connectMsMax = 5_000;
/** How long an orderly end of the socket is waited for; ioredis' own 2 s would hold the process up. */
const disconnectMsMax = 100;

const options = {
  protocol: 2,
  lazyConnect: true,
  retryStrategy: () => null,
  enableOfflineQueue: false,
  autoResendUnfulfilledCommands: false,
  maxRetriesPerRequest: null,
  connectTimeout: connectMsMax,
  socketTimeout: silenceMsMax,
  disconnectTimeout: disconnectMsMax,
} satisfies RedisOptions;

/** @throws Error that says why, when Redis cannot be reached. */
export async function connect(
  url: string,
  name: string,
  extra: Pick<RedisOptions, "enableOfflineQueue" | "socketTimeout" | "commandTimeout"> = {},
): Promise<Redis> {
  const redis = new Redis(url, { ...options, connectionName: name, ...extra });
  let cause: Error | undefined;
  // Without a listener ioredis prints errors itself. The "close" event is what ends a session.
  redis.on("error", (error: Error) => {
    cause = error;
  });
  try {
    await redis.connect();
  } catch (error) {
    redis.disconnect();
    throw cause ?? error;
  }
  await selectDatabase(redis);
  return redis;
}

/** ioredis goes on in database 0 where Redis does not have the one that the URL names. */
async function selectDatabase(redis: Redis): Promise<void> {
  const database = redis.options.db ?? 0;
  if (database === 0) return;
  await redis.select(database).catch((error: Error) => {
    redis.disconnect();
    throw new Error(`Redis does not let this connection use database ${database}: ${error.message}`);
  });
}

/** The URL without its password, for people to read. */
export function publicUrl(url: string): string {
  const parsed = new URL(url);
  if (parsed.password !== "") parsed.password = "***";
  return parsed.href.replace(/\/$/, "");
}
