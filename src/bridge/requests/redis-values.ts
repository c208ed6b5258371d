/**
 * What the keys that a search has found hold in Redis itself, for WITHVALUES: one round trip for all results of a search.
 *
 * A read-only script and not a pipeline of GETs and HGETALLs: it sees all keys at one moment, needs no answer from one
 * command to choose the next, and stops when the values get too many, before they fill anybody's memory. It reads on a
 * connection of its own, as the user of the sidecar's URL and in its database.
 */
import { once } from "node:events";
import type { Redis } from "ioredis";
import type { RedisValue } from "../../commands/command.ts";
import { VstoreError } from "../../errors.ts";
import { limits } from "../../limits.ts";
import { connect } from "../redis/connection.ts";
import { codeOf } from "../redis/error-code.ts";
import { Limiter } from "./limiter.ts";

/** Searches whose values are being read: what they hold in memory at most is so many times valuesBytesMax. */
const callsMax = 8;
const answerMsMax = 5_000;

/** Anything but a string or a hash is nil. The last value may be beyond the limit, which is why it is an error then. */
const script = `
local left = tonumber(ARGV[1])
local fields = {unpack(ARGV, 2)}
local values = {}
for i, key in ipairs(KEYS) do
  local kind = redis.call('TYPE', key).ok
  local value = false
  if kind == 'string' then value = redis.call('GET', key)
  elseif kind == 'hash' and #fields > 0 then value = redis.call('HMGET', key, unpack(fields))
  elseif kind == 'hash' then value = redis.call('HGETALL', key) end
  for _, part in ipairs(type(value) == 'table' and value or {value}) do left = left - #(part or '') end
  if left < 0 then return redis.error_reply('LIMIT too many bytes') end
  values[i] = value
end
return values`;

type RawValue = Buffer | (Buffer | null)[] | null;

export class Values {
  readonly #url: string;
  readonly #calls = new Limiter(callsMax);
  readonly #ended: AbortSignal;
  #connection: Promise<Redis> | undefined;

  constructor(url: string, ended: AbortSignal) {
    this.#url = url;
    this.#ended = ended;
    void once(ended, "abort").then(() => this.#disconnect(this.#connection));
  }

  /**
   * The value of each key: of a hash all fields, or those that are named.
   *
   * @throws {VstoreError} LIMIT; TRYAGAIN when the connection is lost; ERR when Redis refuses
   */
  async read(keys: readonly Uint8Array[], fields: readonly Uint8Array[]): Promise<RedisValue[]> {
    if (keys.length === 0) return [];
    return new Promise((resolve, reject) => {
      void this.#calls.start(() => this.#read(keys, fields).then(resolve, reject));
    });
  }

  async #read(keys: readonly Uint8Array[], fields: readonly Uint8Array[]): Promise<RedisValue[]> {
    if (this.#ended.aborted) throw new VstoreError("TRYAGAIN", "the values could not be read any more");
    this.#connection ??= connect(this.#url, "vstore-values", {
      socketTimeout: undefined,
      commandTimeout: answerMsMax,
    });
    const connection = this.#connection;
    let redis: Redis | undefined;
    try {
      redis = await connection;
      const args = [...keys, limits.valuesBytesMax, ...fields] as (Buffer | number)[];
      const values = await redis.callBuffer("EVAL_RO", script, keys.length, ...args);
      return (values as RawValue[]).map((value) => decode(value, fields));
    } catch (error) {
      const refusal = asRefusal(error as Error, redis);
      if (refusal.code === "TRYAGAIN") this.#disconnect(connection);
      throw refusal;
    }
  }

  /** The next search connects anew, if none has since. */
  #disconnect(connection: Promise<Redis> | undefined): void {
    void connection?.then((redis) => redis.disconnect()).catch(() => {});
    if (this.#connection === connection) this.#connection = undefined;
  }
}

function decode(value: RawValue, fields: readonly Uint8Array[]): RedisValue {
  if (!Array.isArray(value)) return value;
  if (fields.length > 0) return new Map(fields.map((field, i) => [field, value[i] ?? null]));
  return new Map(value.flatMap((field, i) => (i % 2 === 0 ? [[field!, value[i + 1] ?? null]] : [])));
}

/** An answer of Redis is an error with its code in front; anything else says that there was none. */
function asRefusal(error: Error, redis: Redis | undefined): VstoreError {
  if (codeOf(error) === "LIMIT") {
    const what = `the values of the results are more than ${limits.valuesBytesMax} bytes`;
    return new VstoreError("LIMIT", `${what}; ask for fewer results, or for FIELDS of them`);
  }
  const isAnswer = redis?.status === "ready" && codeOf(error) !== undefined;
  return new VstoreError(isAnswer ? "ERR" : "TRYAGAIN", `the values could not be read: ${error.message}`);
}
