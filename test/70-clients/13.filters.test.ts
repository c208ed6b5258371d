/**
 * FILTER through Redis, in RESP2 and in RESP3: every case of the language, and attributes that come from followed
 * hashes.
 */
import { readFileSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { startVstore, type Vstore } from "../../harness/sidecar.ts";
import { createFollowing, untilVectors } from "../harness/following.ts";
import { fp32 } from "../harness/fp32.ts";
import { RespClient } from "../harness/resp.ts";
import { connectClient, until } from "../harness/serving.ts";

interface Case {
  readonly expr: string;
  readonly json: string;
  readonly match: boolean | "error";
}

const file = new URL("../15-filters/cases.json", import.meta.url);
const cases: Case[] = JSON.parse(readFileSync(file, "utf8"));
const documents = [...new Set(cases.map(({ json }) => json))];

let vstore: Vstore;

beforeAll(async () => {
  vstore = await startVstore();
});
afterAll(() => vstore.stop());

describe.each([2, 3] as const)("in RESP%i", (protocol) => {
  test("every case is answered as it should be", async () => {
    const client = await RespClient.connect(vstore.port, protocol);
    const name = `cases${protocol}`;
    await client.send("VSTORE.CREATE", name, "DIM", "2");
    await client.send("VSTORE.INSERT", name, "without", "FP32", fp32(1, 0));
    for (const [i, json] of documents.entries()) {
      await client.send("VSTORE.INSERT", name, `doc${i}`, "FP32", fp32(1, i + 1), "SETATTR", json);
    }
    for (const { expr, json, match } of cases) {
      const search = ["VSTORE.SEARCH", name, "FP32", fp32(1, 0)];
      const reply = await client.send(...search, "FILTER", expr);
      if (match === "error") {
        expect(reply, expr).toMatch(/^-ERR syntax error in FILTER expression at position \d+: /);
        continue;
      }
      expect(reply, expr).toMatch(/^\*/);
      expect(reply.includes(`doc${documents.indexOf(json)}\r\n`), expr).toBe(match);
      expect(reply.includes("without"), expr).toBe(false);
    }
    client.close();
  });
});

test("ATTRS of a followed hash are filtered as the text that they are", async () => {
  const redis = connectClient(vstore.url);
  await createFollowing(redis, "films", "FROM", "HASH", "FIELD", "v", "ATTRS", "year", "lang");
  await redis.hset("films:1", { v: fp32(1, 0), year: 1984, lang: "en" });
  await redis.hset("films:2", { v: fp32(0, 1), year: 2001, lang: "fr" });
  await redis.hset("films:3", { v: fp32(1, 1), lang: "fr" });
  await untilVectors(redis, "films", ["films:1", "films:2", "films:3"]);
  const found = async (filter: string) =>
    ((await redis.call("VSTORE.SEARCH", "films", "FP32", fp32(0, 0), "FILTER", filter)) as string[]).sort();
  expect(await found(".year > 1990")).toEqual(["films:2"]);
  expect(await found(".year == '1984' and .year == 1984")).toEqual(["films:1"]);
  expect(await found(".lang == 'fr'")).toEqual(["films:2", "films:3"]);
  expect(await found(".year? == null")).toEqual(["films:3"]);
  await redis.hset("films:3", { year: 1999 });
  await until(
    () => found(".year > 1990"),
    (keys) => keys.join() === "films:2,films:3",
  );
  await redis.hdel("films:2", "lang");
  await until(
    () => found(".lang == 'fr'"),
    (keys) => keys.join() === "films:3",
  );
  redis.disconnect();
});
