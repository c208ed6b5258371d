/**
 * Hundreds of connections of one user send costly reads as fast as they can; the only connection of another user does
 * not wait for its turn behind all of them.
 */
import { afterAll, beforeAll, expect, test } from "vitest";
import { generator, randomVector, testSeed } from "../../harness/random.ts";
import { startVstore, type Vstore } from "../../harness/sidecar.ts";
import { RespClient } from "../harness/resp.ts";
import { connectClient, until } from "../harness/serving.ts";

const connections = 600;
const dimensions = 32;
const vectors = 10_000;
const queries = 8;
const rounds = 15;

let vstore: Vstore;
let redis: ReturnType<typeof connectClient>;
const query = Buffer.from(randomVector(generator(testSeed()), dimensions).buffer);

beforeAll(async () => {
  // A starved client would hear of it; a slow machine is no reason for a timeout.
  vstore = await startVstore({ args: ["--vstore.timeout", "120000"] });
  redis = connectClient(vstore.url);
  await redis.call("VSTORE.CREATE", "c", "DIM", dimensions, "METRIC", "L2");
  const random = generator(testSeed());
  for (let at = 0; at < vectors; at += 1_000) {
    const keys = Array.from({ length: 1_000 }, (_, i) => `k${at + i}`);
    const rows = keys.map(() => Buffer.from(randomVector(random, dimensions).buffer));
    await redis.call("VSTORE.MINSERT", "c", keys.length, ...keys, "FP32", Buffer.concat(rows));
  }
  for (const user of ["crowd", "other"]) await redis.acl("SETUSER", user, "on", "nopass", "~*", "+@all");
});

afterAll(async () => {
  redis?.disconnect();
  await vstore?.sidecar.kill();
  await vstore?.redis.stop();
});

async function connectAs(user: string): Promise<RespClient> {
  const client = await RespClient.connect(vstore.port);
  expect(await client.send("AUTH", user, "any")).toBe("+OK\r\n");
  return client;
}

const all = Buffer.concat(Array.from({ length: queries }, () => query));
/** What the crowd sends: each connection one of them. */
const requests: (string | Buffer)[][] = [
  ["VSTORE.MSEARCH", "c", String(queries), "FP32", all, "COUNT", "10", "EXACT"],
  ["VSTORE.SEARCH", "c", "FP32", query, "COUNT", "10", "EXACT"],
  ["VSTORE.BUILD", "c", "WAIT"],
];

/** Sends its request again and again until the end, and counts the answers. */
class Crowd {
  readonly #clients: RespClient[] = [];
  #over = false;
  #done: Promise<unknown> = Promise.resolve();
  answered = 0;
  /** First bytes of the answers. */
  readonly kinds = new Set<string>();

  async begin(): Promise<void> {
    for (let i = 0; i < connections; i++) this.#clients.push(await connectAs("crowd"));
    this.#done = Promise.all(this.#clients.map((client, i) => this.#repeat(client, requests[i % 3]!)));
    await until(
      () => this.answered,
      (count) => count > connections,
    );
  }

  async #repeat(client: RespClient, request: (string | Buffer)[]): Promise<void> {
    while (!this.#over) {
      this.kinds.add((await client.send(...request)).slice(0, 2));
      this.answered++;
    }
  }

  /** Resolves when each of them has its last answer. */
  async end(): Promise<void> {
    this.#over = true;
    await this.#done;
    for (const client of this.#clients) client.close();
  }
}

test(`${connections} connections of one user: another one is answered before most of them`, async () => {
  const crowd = new Crowd();
  const other = await connectAs("other");
  await crowd.begin();
  const before: number[] = [];
  for (let i = 0; i < rounds; i++) {
    for (const request of [
      ["VSTORE.CARD", "c"],
      ["VSTORE.SEARCH", "c", "KEY", `k${i}`, "COUNT", "1"],
    ]) {
      const start = crowd.answered;
      const reply = await other.send(...request);
      before.push(crowd.answered - start);
      expect(reply).toBe(
        request[0] === "VSTORE.CARD" ? `:${vectors}\r\n` : `*1\r\n$${`k${i}`.length}\r\nk${i}\r\n`,
      );
    }
  }
  const start = crowd.answered;
  await until(
    () => crowd.answered,
    (count) => count > start,
  );
  await crowd.end();
  other.close();
  // Results of a search, and "+OK" of BUILD: no error at all.
  expect(crowd.kinds).toEqual(new Set(["*1", "*8", "+O"]));
  before.sort((a, b) => a - b);
  const median = before[rounds]!;
  console.log(`answers of the crowd before one of the other: ${median} (median), ${before.at(-1)} (most)`);
  // In the order of arrival it would be two thirds of the connections: those that do not build.
  expect(median).toBeLessThan(connections / 3);
}, 240_000);
