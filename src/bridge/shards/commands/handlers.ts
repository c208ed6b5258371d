/** Which commands a collection with parts has, and how each is answered. Any other is refused by name. */
import { parseArguments } from "../../../commands/grammar/arguments.ts";
import { commands } from "../../../commands/registry.ts";
import type { Reply } from "../../../commands/wire/reply.ts";
import type { Handler } from "./handler.ts";
import { readCard, readExists, readGet, readInfo, readMget } from "./reading.ts";
import { readMsearch, readSearch } from "./searching.ts";
import { readExplain, runBuild, runCheckpoint } from "./tending.ts";
import { readToken } from "./tokens.ts";
import { readWait } from "./waiting.ts";
import { readRandmember, readScan } from "./wandering.ts";
import { writeDel, writeMinsert } from "./writing.ts";

/** A command of one key, whose part checks the rest and answers a number, a text or nothing. */
function ofKey(name: string): Handler {
  const { args: grammar, route } = commands.get(name)!;
  return async (parts, args) => {
    const words = parts.wordsOf(args);
    const [key] = words;
    if (key === undefined) parseArguments(grammar, args); // it says what is missing
    const part = parts.of(key!);
    const reply = route === "log" ? parts.tell(part, name, words) : parts.ask(part, name, words);
    return (await reply) as Reply;
  };
}

const keyed = "INSERT SETATTR GETATTR EXPIRE PEXPIRE EXPIREAT PEXPIREAT PERSIST TTL PTTL".split(" ");

export const handlers: ReadonlyMap<string, Handler> = new Map([
  ...keyed.map((name) => [name, ofKey(name)] as const),
  ["MINSERT", writeMinsert],
  ["DEL", writeDel],
  ["GET", readGet],
  ["MGET", readMget],
  ["EXISTS", readExists],
  ["CARD", readCard],
  ["INFO", readInfo],
  ["SEARCH", readSearch],
  ["MSEARCH", readMsearch],
  ["EXPLAIN", readExplain],
  ["SCAN", readScan],
  ["RANDMEMBER", readRandmember],
  ["BUILD", runBuild],
  ["CHECKPOINT", runCheckpoint],
  ["TOKEN", readToken],
  ["WAIT", readWait],
]);
