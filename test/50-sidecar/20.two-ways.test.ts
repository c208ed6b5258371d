/** Plain requests take a short way: what it answers, the way of all other requests answers too. */
import { afterAll, beforeAll, expect, test } from "vitest";
import { testIndex } from "../../harness/index-choice.ts";
import { generator, testSeed } from "../../harness/random.ts";
import { startVstore, type Vstore } from "../../harness/sidecar.ts";
import { RespClient } from "../harness/resp.ts";
import { compareWays, fill, randomSearch } from "../torture/two-ways.ts";
import { compareWrites } from "../torture/two-ways-of-writes.ts";

const SEARCHES = 5_000;
const WRITES = 1_500;
const THROUGH_REDIS = 400;

test("searches and small reads of every form, many of them odd", async () => {
  let searches = 0;
  const short = await compareWays(testSeed(), SEARCHES, () => searches++);
  expect(searches).toBeGreaterThanOrEqual(SEARCHES);
  if (testIndex === "native") expect(short).toBeGreaterThan(SEARCHES / 4);
});

test("inserts of every form, many of them odd", async () => {
  expect(await compareWrites(testSeed(), WRITES)).toBeGreaterThan(WRITES / 4);
});

let ways: [on: Vstore, off: Vstore];

beforeAll(async () => {
  const start = (way: string) => startVstore({}, { env: { VSTORE_SHORT_WAY: way } });
  ways = [await start("on"), await start("off")];
});

afterAll(async () => {
  for (const vstore of ways ?? []) await vstore.stop();
});

test.each([2, 3] as const)(
  "the same searches through Redis, with the short way and without it, RESP%i",
  async (protocol) => {
    const seed = testSeed();
    const clients = await Promise.all(ways.map(({ port }) => RespClient.connect(port, protocol)));
    try {
      const send = (client: RespClient, name: string, words: Uint8Array[]) =>
        client.send(`VSTORE.${name}`, ...words.map((word) => Buffer.from(word)));
      if (protocol === 2)
        for (const client of clients)
          await fill(generator(seed), (name, ...words) => send(client, name, words), false);
      const random = generator(seed + 1);
      for (let i = 0; i < THROUGH_REDIS; i++) {
        const words = randomSearch(random);
        const [on, off] = await Promise.all(clients.map((client) => send(client, "SEARCH", words)));
        expect(on, `seed ${seed}, ${words.map(String).join(" ")}`).toBe(off);
      }
    } finally {
      for (const client of clients) client.close();
    }
  },
);
