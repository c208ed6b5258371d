/**
 * The timelines of the logs. As long as one process of Redis holds them, an id names one entry. When another one does,
 * a new primary or one that was started again, it may lack the last entries of a log, and what comes then has later ids
 * all the same. So each leader that finds another process begins a new timeline, and notes of every log up to where it
 * still has the one before. A token names its timeline: what it names beyond that was lost.
 *
 * Up to where that is: what the files had before the replay is of the timeline before, and so is every entry of the log
 * up to the last one that a client waits for, because the module takes those only while a leader serves.
 */
import { randomBytes } from "node:crypto";
import type { Redis } from "ioredis";
import type { Timelines } from "../../commands/token.ts";
import type { Catalog } from "../../engine/catalog.ts";
import { laterId } from "../../engine/log-id.ts";
import { typeFunction } from "../redis/key-state.ts";
import { logStream, timelinesKey } from "../redis/keys.ts";
import { readByScript, runScript } from "../redis/script.ts";
import { infoField } from "../redis/server.ts";

/** Of one log; tokens of older ones are refused. */
const timelinesMax = 32;
/** Holds the current timeline and the process that it is of. No collection has this name. */
const markField = "/";

/** Looks at the last 100 entries behind an id: nearly always the last one is of a client. */
const lastOfClientScript = `${typeFunction}
if typeOf(KEYS[1]) ~= 'stream' then return '' end
local at = '+'
for _ = 1, 100 do
  local entry = redis.call('XREVRANGE', KEYS[1], at, '(' .. ARGV[1], 'COUNT', 1)[1]
  if not entry then return '' end
  local fields = entry[2]
  for i = 3, #fields, 2 do
    if fields[i] == 'client' then return entry[1] end
    if fields[i] == '0' then break end
  end
  at = '(' .. entry[1]
end
return ''`;

const replaceScript = `
redis.call('DEL', KEYS[1])
for i = 1, #ARGV, 2 do redis.call('HSET', KEYS[1], ARGV[i], ARGV[i + 1]) end
return 1`;

export class LogTimelines implements Timelines {
  current = "";
  /** Of each collection and earlier timeline the last id that is kept. */
  readonly #ends = new Map<string, ReadonlyMap<string, string>>();

  endOf(collection: string, timeline: string): string | undefined {
    return this.#ends.get(collection)?.get(timeline);
  }

  /** What the leader has noted, for a follower. */
  async read(reads: Redis): Promise<void> {
    const { [markField]: mark = "", ...known } = await reads.hgetall(timelinesKey);
    this.current = mark.split(" ")[0]!;
    this.#ends.clear();
    for (const [name, text] of Object.entries(known)) this.#ends.set(name, decode(text));
  }

  /** Must be called when the logs belong to the files, and before what they have beyond them is applied. */
  async begin(redis: Redis, reads: Redis, catalog: Catalog, runId: string): Promise<void> {
    const { [markField]: mark = "", ...known } = await reads.hgetall(timelinesKey);
    const [last, process] = mark.split(" ");
    const now = `${runId}:${infoField(await reads.info("replication"), "master_replid")}`;
    for (const [name, text] of Object.entries(known)) this.#ends.set(name, decode(text));
    this.current = last ?? "";
    if (process === now) return;
    this.current = randomBytes(4).toString("hex");
    if (last) for (const name of catalog.names()) await this.#noteEnd(reads, catalog, name, last);
    const ends = catalog.names().map((name) => [name, encode(this.#ends.get(name))]);
    const words = [markField, `${this.current} ${now}`, ...ends.flat()];
    await runScript(redis, replaceScript, [timelinesKey], ...words);
  }

  async #noteEnd(reads: Redis, catalog: Catalog, name: string, timeline: string): Promise<void> {
    const position = catalog.find(name)?.position;
    if (position === undefined) return; // damaged
    const last = (await readByScript(reads, lastOfClientScript, [logStream(name)], position)) as string;
    const end = last === "" ? position : laterId(last, position);
    const ends = [...(this.#ends.get(name) ?? []), [timeline, end] as const];
    this.#ends.set(name, new Map(ends.slice(-timelinesMax)));
  }
}

const encode = (ends: ReadonlyMap<string, string> = new Map()): string =>
  [...ends].map(([timeline, end]) => `${timeline}:${end}`).join(" ");

function decode(text: string): Map<string, string> {
  const pairs = text.split(" ").map((each) => each.split(":") as [string, string]);
  return new Map(pairs.filter(([, end]) => end !== undefined));
}
