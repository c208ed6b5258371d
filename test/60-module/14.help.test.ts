/** VSTORE.HELP: lines of text from the declarations, whether a sidecar is there or not. */
import type { Redis } from "ioredis";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type RedisServer, startRedis } from "../../harness/redis-server.ts";
import { syntaxLine } from "../../src/commands/grammar/syntax.ts";
import { commands } from "../../src/commands/registry.ts";
import { connectClient } from "../harness/serving.ts";

let server: RedisServer;
let redis: Redis;

beforeAll(async () => {
  server = await startRedis();
  redis = connectClient(server.url);
});

afterAll(async () => {
  redis?.disconnect();
  await server?.stop();
});

const shown = [...commands.values()].filter(({ internal }) => !internal);

test("without a sidecar, HELP says syntax and purpose of every command, as Redis' own HELP does", async () => {
  const lines = (await redis.call("VSTORE.HELP")) as string[];
  expect(lines[0]).toMatch(/Commands are:$/);
  const expected = shown.flatMap(({ name, args, summary }) => [
    syntaxLine(name, args.nodes),
    `    ${summary}`,
  ]);
  expect(lines.slice(1, -2)).toEqual(expected);
  expect(lines.at(-2)).toBe("VSTORE.HELP [command]");
});

test.each(["search", "VSTORE.Search"])("HELP %s says everything about one command", async (name) => {
  const lines = (await redis.call("VSTORE.HELP", name)) as string[];
  expect(lines[0]).toMatch(/^VSTORE\.SEARCH collection /);
  expect(lines).toContain("    COUNT count: an integer from 1 to 10000; default: 10");
  expect(lines.at(-2)).toMatch(/^ {4}Reply: /);
  expect(lines.at(-1)).toMatch(/^ {4}Complexity: /);
});

test("every command has a page, and an unknown one is refused", async () => {
  for (const { name } of shown)
    expect((await redis.call("VSTORE.HELP", name)) as string[]).not.toHaveLength(2);
  await expect(redis.call("VSTORE.HELP", "SEARHC")).rejects.toThrow(
    "ERR 'command' is unknown, see VSTORE.HELP",
  );
  await expect(redis.call("VSTORE.HELP", "a", "b")).rejects.toThrow("wrong number of arguments");
});

test("HELP works inside MULTI, and COMMAND DOCS knows it", async () => {
  const [[, lines]] = (await redis.multi([["call", "VSTORE.HELP", "card"]]).exec()) as [[null, string[]]];
  expect(lines[0]).toBe("VSTORE.CARD collection [FILTER expression] [ASOF token]");
  expect(JSON.stringify(await redis.call("COMMAND", "DOCS", "VSTORE.HELP"))).toContain("in lines of text");
});
