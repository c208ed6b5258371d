/**
 * The largest requests that there are, command by command, and how long the longest turn of the sidecar's event loop is
 * meanwhile: for so long all others have to wait.
 */
import { setTimeout as sleep } from "node:timers/promises";
import type { Redis } from "ioredis";
import { afterAll, beforeAll, expect, test } from "vitest";
import { largestRequests, prepare, TurnMeter } from "../../harness/largest-requests.ts";
import { startVstore, type Vstore } from "../../harness/sidecar.ts";
import type { ArgumentNode } from "../../src/commands/grammar/syntax.ts";
import { commands } from "../../src/commands/registry.ts";
import { limits } from "../../src/limits.ts";
import { connectClient } from "../harness/serving.ts";

/** Of work: what the loop's thread waits for a processor, on a busy machine, does not count. */
const turnMsMax = 50;
/** See slowness. */
const parsingMs = 3;
const slownessMax = 3;
/** A turn may end after its request was answered. */
const afterwardsMs = 20;
/** Tokens that are all the request is about, or that make it no larger. */
const withoutWork = new Set([
  "FP32",
  "RAW",
  "EF",
  "NX",
  "XX",
  "GT",
  "LT",
  "EX",
  "PX",
  "KEEPTTL",
  "NOWAIT",
  "ASOF",
  "WITHIN",
  "WITHSELF",
  // For collections with parts alone.
  "PARTIAL",
  "WITHVALUES",
  "FIELDS",
]);

const served = [...commands.values()].filter((command) => !command.internal);
const meter = new TurnMeter();
let vstore: Vstore;
let redis: Redis;

beforeAll(async () => {
  vstore = await startVstore({ args: ["--vstore.timeout", "120000"] }, { env: meter.env });
  redis = connectClient(vstore.url);
  await prepare(redis);
});

afterAll(async () => {
  redis?.disconnect();
  await vstore?.stop();
  meter.close();
});

/** How many times as long as on an idle machine the runtime takes for what most of the longest turns are about. */
function slowness(): number {
  const text = `${"[".repeat(30_000)}${"]".repeat(30_000)}`;
  const times = Array.from({ length: 9 }, () => {
    const began = performance.now();
    JSON.parse(text);
    return performance.now() - began;
  });
  return Math.min(times.sort((a, b) => a - b)[4]! / parsingMs, slownessMax);
}

const tokensOf = ({ token, arguments: inner = [] }: ArgumentNode): string[] => [
  ...(token === undefined ? [] : [token]),
  ...inner.flatMap(tokensOf),
];

test.each(served.map((command) => [command.name, command] as const))(
  "VSTORE.%s has its largest request, with all options that make work",
  (name, { args, route }) => {
    const requests = largestRequests.filter(({ command }) => command === name);
    const words = new Set(requests.flatMap((request) => request.words));
    const tokens = route === "control" ? [] : args.nodes.flatMap(tokensOf);
    expect(requests).not.toEqual([]);
    expect(tokens.filter((token) => !withoutWork.has(token) && !words.has(token))).toEqual([]);
  },
);

test("the thread of the event loop works no longer than 50 ms in one turn", async () => {
  const told: Record<string, number> = {};
  await sleep(afterwardsMs);
  meter.longestMs();
  const tooLong: [string, number][] = [];
  for (const { command, what, words } of largestRequests) {
    await redis.callBuffer(`VSTORE.${command}`, ...words);
    await sleep(afterwardsMs);
    const longest = meter.longestMs();
    told[`${command} ${what}`] = longest;
    if (longest > turnMsMax && longest > turnMsMax * slowness())
      tooLong.push([`${command} ${what}`, longest]);
  }
  console.log(
    Object.entries(told)
      .map(([what, ms]) => `${ms.toFixed(1).padStart(6)} ms  ${what}`)
      .join("\n"),
  );
  expect(tooLong).toEqual([]);
}, 180_000);

test("large writes of several collections that come at once have a turn each", async () => {
  const names = Array.from({ length: 16 }, (_, i) => `together${i}`);
  const keys = Array.from({ length: limits.keysMax }, (_, i) => `${i}:`.padEnd(20, "k"));
  const vectors = Buffer.alloc(4 * keys.length);
  for (const name of names) await redis.call("VSTORE.CREATE", name, "DIM", 1, "METRIC", "L2");
  const together = async (command: string, ...words: (string | number | Buffer)[]) => {
    await sleep(afterwardsMs);
    meter.longestMs();
    const all = redis.multi();
    for (const name of names) all.call(command, name, ...words);
    await all.exec();
    for (const name of names) await redis.call("VSTORE.WAIT", name);
    await sleep(afterwardsMs);
    return meter.longestMs();
  };
  expect(await together("VSTORE.MINSERT", keys.length, ...keys, "FP32", vectors)).toBeLessThan(turnMsMax);
  expect(await together("VSTORE.DEL", ...keys)).toBeLessThan(turnMsMax);
}, 60_000);
