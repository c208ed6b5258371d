/**
 * The connection that an application has already, of ioredis or node-redis, as one function: words in, reply out.
 * Both types are structural, so that neither package is needed at run time.
 *
 * Replies come as bytes, and maps as flat arrays. Then ioredis and node-redis, RESP2 and RESP3, differ only in doubles,
 * which are numbers in node-redis under RESP3 and text elsewhere.
 */

/** Bytes of a key, or a text that is sent as UTF-8. */
export type Text = string | Uint8Array;
export type Word = string | Buffer;
export type Reply = Buffer | string | number | boolean | null | Reply[];

/** ioredis: `new Redis()`, `new Cluster()`. */
export interface IoredisConnection {
  callBuffer(command: string, ...words: Word[]): Promise<unknown>;
  readonly options?: {
    enableAutoPipelining?: boolean | undefined;
    autoPipeliningIgnoredCommands?: string[] | undefined;
  };
}

/** node-redis since 5: `createClient()`, `createSentinel()`, `createClientPool()`. */
export interface NodeRedisConnection {
  sendCommand(words: Word[], options?: { typeMapping?: Record<number, unknown> }): Promise<unknown>;
}

export type Connection = IoredisConnection | NodeRedisConnection;

export type Send = (words: Word[]) => Promise<Reply>;

/** First bytes of RESP values: `$` as bytes, `%` as a flat array. */
const typeMapping = { 36: Buffer, 37: Array };

/** Of `call`, ioredis' pipelines of its own making lose the name of the command. */
function leaveOut(command: string, options: NonNullable<IoredisConnection["options"]>): void {
  const ignored = options.autoPipeliningIgnoredCommands ?? [];
  // Another list, because ioredis gives the same empty one to all connections.
  if (!ignored.includes(command)) options.autoPipeliningIgnoredCommands = [...ignored, command];
}

/** @throws TypeError when `redis` is neither client */
export function sendOver(redis: Connection): Send {
  if ("callBuffer" in redis)
    return ([command, ...words]) => {
      if (redis.options?.enableAutoPipelining) leaveOut(String(command), redis.options);
      return redis.callBuffer(String(command), ...words) as Promise<Reply>;
    };
  if (typeof redis.sendCommand === "function")
    return (words) => redis.sendCommand(words, { typeMapping }) as Promise<Reply>;
  throw new TypeError("a Vstore needs a connection of ioredis or node-redis");
}
