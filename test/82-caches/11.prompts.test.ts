/** Which prompts are the same question: compared with what JavaScript's own normalize("NFC") says. */
import { createHash } from "node:crypto";
import type { Redis } from "ioredis";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { ownDirectory, removeWithProcesses } from "../../harness/left-behind.ts";
import { generator, testSeed } from "../../harness/random.ts";
import { type RedisServer, startRedis } from "../../harness/redis-server.ts";
import { type SidecarProcess, startSidecar } from "../../harness/sidecar.ts";
import { keyOf } from "../../src/commands/cache/cache.ts";
import { changedEntry, readEntry } from "../../src/commands/cache/entry.ts";
import { Catalog } from "../../src/engine/catalog.ts";
import { limits } from "../../src/limits.ts";
import { cacheGet } from "../harness/caches.ts";
import { fp32 } from "../harness/fp32.ts";
import { connectClient } from "../harness/serving.ts";

const dataDir = ownDirectory("test");
let server: RedisServer;
let sidecar: SidecarProcess;
let redis: Redis;
const east = fp32(1, 0);
const north = fp32(0, 1);

beforeAll(async () => {
  server = await startRedis();
  await startServing();
  redis = connectClient(server.url);
  await redis.call("VSTORE.CACHE.CREATE", "c", "DIM", 2, "WITHIN", 0);
});
afterAll(async () => {
  redis.disconnect();
  await sidecar.stop();
  await server.stop();
  removeWithProcesses(dataDir);
});

async function startServing(): Promise<void> {
  sidecar = startSidecar({ redisUrl: server.url, dataDir });
  await sidecar.waitReady();
}

const set = (prompt: string | Buffer, value = "v") =>
  redis.call("VSTORE.CACHE.SET", "c", "FP32", east, "VALUE", value, "PROMPT", prompt) as Promise<string>;
const get = (prompt: string | Buffer) => cacheGet(redis, "c", "FP32", north, "PROMPT", prompt);

/** Of a cache without a scope: the name of an entry that was set with the prompt. */
function digestOf(counted: string | Buffer): string {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64LE(6n);
  return createHash("sha256").update(bytes).update("prompt").update(counted).digest("hex").slice(0, 32);
}

const whiteSpace = /\p{White_Space}+/gu;
const countedOf = (prompt: string) =>
  prompt.normalize("NFC").replaceAll(whiteSpace, " ").replace(/^ | $/g, "");

/** Blocks whose characters all systems know for long. */
const blocks = [
  [0x20, 0x24f],
  [0x300, 0x36f],
  [0x370, 0x52f],
  [0x591, 0x6ff],
  [0x900, 0xdff],
  [0xf00, 0xfd4],
  [0x1100, 0x11ff],
  [0x1e00, 0x1fff],
  [0x2000, 0x206f],
  [0x2100, 0x214f],
  [0x2190, 0x22ff],
  [0x3000, 0x30ff],
  [0xac00, 0xd7a3],
  [0xf900, 0xfaff],
  [0xfb1d, 0xfb4f],
  [0x11080, 0x110c2],
  [0x1d15e, 0x1d1ad],
  [0x2f800, 0x2fa1d],
] as const;
const isAssigned = (code: number) => /\P{Cn}/u.test(String.fromCodePoint(code));
const range = ([first, last]: readonly [number, number]) =>
  Array.from({ length: last - first + 1 }, (_, at) => first + at).filter(isAssigned);

describe("the same question", () => {
  test.each<[string, string, string]>([
    ["typed on a Mac and on Linux", "Was ist ein A\u0308quinoktium?", "Was ist ein Äquinoktium?"],
    ["with two marks in either order", "a\u0302\u0323", "\u1ead"],
    ["of Hangul in parts", "\u1112\u1161\u11ab", "한"],
    ["with a no-break space", "50\u00a0km", "50 km"],
    ["with ideographic spaces around it", "\u3000東京\u3000", "東京"],
    ["with the Kelvin sign", "0 \u212a", "0 K"],
    ["in lines", "a\r\n\u2028 b\n", "a b"],
  ])("%s", async (_, one, other) => {
    const id = await set(one, one);
    expect(id).toBe(digestOf(other));
    expect(await get(other)).toMatchObject({ status: "exact", value: one });
  });

  test("each character of many scripts, alone and in its parts", async () => {
    const all = blocks.flatMap(range).map((code) => String.fromCodePoint(code));
    const text = all.join(" x");
    const wanted = digestOf(countedOf(text));
    for (const form of [text, text.normalize("NFC"), text.normalize("NFD")])
      expect(await set(form)).toBe(wanted);
  });

  test("any characters after each other", async () => {
    const random = generator(testSeed());
    const codes = blocks.map(range);
    for (let round = 0; round < 300; round++) {
      const few = Array.from({ length: 3 }, () => codes[Math.floor(random() * codes.length)]!);
      const letters = Array.from({ length: 200 }, () => {
        const block = few[Math.floor(random() * few.length)]!;
        return block[Math.floor(random() * block.length)]!;
      });
      // No character has more marks than vstore looks at.
      const text = letters
        .map((code, at) => `${at % 8 === 0 ? "a" : ""}${String.fromCodePoint(code)}`)
        .join("");
      expect(await set(text), JSON.stringify(text)).toBe(digestOf(countedOf(text)));
    }
  });
});

describe("another question", () => {
  test.each<[string, string, string]>([
    ["in another case", "us?", "US?"],
    ["of a power", "x²", "x2"],
    ["with a ligature", "ﬁn", "fin"],
    ["without its accent", "où?", "ou?"],
    ["in full width", "Ａ", "A"],
    ["with a joiner", "a\u200db", "ab"],
  ])("%s", async (_, one, other) => {
    await set(one);
    expect(await get(one)).toMatchObject({ status: "exact" });
    expect(await get(other)).toBeUndefined();
  });
});

describe("what is no text counts as its bytes", () => {
  test.each<[string, Buffer]>([
    ["latin-1", Buffer.from("caf\xe9", "latin1")],
    ["cut off", Buffer.from("café").subarray(0, -1)],
    ["too long a form", Buffer.from([0xc0, 0xaf])],
    ["half of a pair", Buffer.from([0xed, 0xa0, 0x80])],
    ["beyond Unicode", Buffer.from([0xf4, 0x90, 0x80, 0x80])],
    ["a byte that begins nothing", Buffer.from([0xff])],
    ["more marks than any language has", Buffer.from(`a${"\u0301\u0323".repeat(40)}`)],
  ])("%s", async (_, prompt) => {
    expect(await set(Buffer.concat([Buffer.from(" "), prompt, Buffer.from(" \n")]))).toBe(digestOf(prompt));
  });

  test("the most that a prompt may have, all of marks, and all of letters with one", async () => {
    const half = "\u0301".repeat(limits.cachePromptBytesMax / 2);
    expect(await set(half)).toBe(digestOf(half));
    const letters = "é".repeat(limits.cachePromptBytesMax / 2);
    expect(await set(letters)).toBe(digestOf(letters));
  });
});

/** Of a prompt that earlier versions knew by other bytes: an entry under that name, as they have left it. */
test("an entry of an earlier version is found, and ends with the next SET of its question", async () => {
  const prompt = "Wo ist der\u00a0U\u0308bergang?";
  const former = digestOf(prompt);
  const words = ["FP32", east, "VALUE", "old", "PROMPT", "x", "ID", former];
  await redis.call("VSTORE.CACHE.SET", "c", ...words);
  await sidecar.stop();
  const catalog = await Catalog.open(dataDir);
  const collection = catalog.get("c");
  const key = keyOf("c", former);
  const { attributes, facts } = readEntry(collection.getAttributes(key))!;
  collection.setAttributes(key, changedEntry(attributes, { ...facts, question: former }));
  await catalog.checkpoint();
  await catalog.close();
  await startServing();
  expect(await get(prompt)).toMatchObject({ status: "exact", id: former, value: "old" });
  const id = await set(prompt, "new");
  expect(id).toBe(digestOf(countedOf(prompt)));
  expect(await get(prompt)).toMatchObject({ status: "exact", id, value: "new" });
  expect(await redis.exists(`{c}:${former}`)).toBe(0);
});
