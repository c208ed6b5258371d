/** Glob patterns: by example, and beside Redis' own KEYS on the same keys and patterns. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { Redis } from "ioredis";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { serverProgram } from "../../harness/server-program.ts";
import { globMatches } from "../../src/commands/grammar/glob.ts";

const matches = (pattern: string, text: string) => globMatches(Buffer.from(pattern), Buffer.from(text));

describe("a pattern", () => {
  test.each([
    ["", "", true],
    ["", "a", false],
    ["*", "", true],
    ["*", "anything", true],
    ["a*c", "abbbc", true],
    ["a*c", "abbbd", false],
    ["a**c*", "ac", true],
    ["?", "", false],
    ["h?llo", "hello", true],
    ["h[ae]llo", "hallo", true],
    ["h[ae]llo", "hillo", false],
    ["h[^e]llo", "hello", false],
    ["h[a-c]llo", "hbllo", true],
    ["h[c-a]llo", "hbllo", true],
    ["h[\\]]llo", "h]llo", true],
    ["\\*", "*", true],
    ["\\*", "a", false],
    ["a\\", "a\\", true],
    ["[ab", "b", true],
  ])("%j on %j: %s", (pattern, text, expected) => {
    expect(matches(pattern, text)).toBe(expected);
  });

  test("matches bytes, not characters", () => {
    expect(matches("?", "é")).toBe(false);
    expect(matches("??", "é")).toBe(true);
  });

  test("of many stars ends", () => {
    expect(matches(`${"a*".repeat(500)}b`, "a".repeat(1024))).toBe(false);
  });
});

describe("beside Redis", () => {
  const directory = mkdtempSync(join(tmpdir(), "vstore-glob-"));
  const socket = join(directory, "redis.sock");
  let server: ChildProcess;
  let redis: Redis;

  beforeAll(async () => {
    const options = ["--port", "0", "--unixsocket", socket, "--dir", directory, "--save", ""];
    server = spawn(serverProgram, options, { stdio: "ignore" });
    redis = new Redis({ path: socket, retryStrategy: () => 50 });
    redis.on("error", () => {});
    await redis.ping();
  });

  afterAll(async () => {
    redis.disconnect();
    const ended = once(server, "exit");
    server.kill("SIGKILL");
    await ended;
    rmSync(directory, { recursive: true });
  });

  test("the same keys match", async () => {
    const unit = fc.constantFrom(..."ab]-^\\[*?c");
    const pattern = fc.string({ unit, maxLength: 8 });
    const key = fc.string({ unit, minLength: 1, maxLength: 8 });
    await fc.assert(
      fc.asyncProperty(pattern, fc.array(key, { minLength: 1, maxLength: 20 }), async (wanted, keys) => {
        const replies = await redis
          .multi()
          .flushall()
          .mset(keys.flatMap((key) => [key, ""]))
          .keys(wanted)
          .exec();
        const expected = (replies![2]![1] as string[]).sort();
        expect([...new Set(keys)].filter((key) => matches(wanted, key)).sort()).toEqual(expected);
      }),
      { seed: 40, numRuns: 2000 },
    );
  });
});
