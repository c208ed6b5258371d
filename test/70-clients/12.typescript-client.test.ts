/** vstore/client over the connections that applications have: ioredis and node-redis, in both protocols. */
import { Redis } from "ioredis";
import { createClient } from "redis";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import {
  ArgumentError,
  CollectionExistsError,
  type Connection,
  LimitError,
  NoCollectionError,
  NoKeyError,
  UnreadableReplyError,
  Vstore,
} from "../../client/index.ts";
import { type Vstore as Server, startVstore } from "../../harness/sidecar.ts";
import { errorCodes } from "../../src/errors.ts";

interface Film {
  title: string;
  year: number;
}

/** A connection, what it was asked to send, and its end. */
interface Connected {
  readonly redis: Connection;
  readonly sent: string[];
  readonly send: (...words: string[]) => Promise<unknown>;
  close(): void;
}

let server: Server;

beforeAll(async () => {
  server = await startVstore();
});

afterAll(() => server?.stop());

test("ioredis with enableAutoPipelining, whose pipelines lose the names of commands that it does not know", async () => {
  const [redis, other] = [new Redis(server.url, { enableAutoPipelining: true }), new Redis(server.url)];
  const vstore = new Vstore(redis);
  await vstore.create("piped", { dim: 1, metric: "L2" });
  const inserted = ["a", "b"].map((key, i) => vstore.insert("piped", key, Float32Array.of(i)));
  const [length, ...fresh] = await Promise.all([redis.strlen("none"), ...inserted]);
  expect([length, ...fresh]).toEqual([0, 1, 1]);
  await vstore.drop("piped");
  expect(other.options.autoPipeliningIgnoredCommands).toEqual([]);
  for (const connection of [redis, other]) connection.disconnect();
});

function overIoredis(protocol: 2 | 3): Connected {
  const redis = new Redis(server.url, { protocol });
  const sent: string[] = [];
  const callBuffer = (command: string, ...words: (string | Buffer)[]) => {
    sent.push(command);
    return redis.callBuffer(command, ...words);
  };
  const send = (command: string, ...words: string[]) => redis.call(command, ...words);
  return { redis: { callBuffer }, sent, send, close: () => redis.disconnect() };
}

async function overNodeRedis(protocol: 2 | 3): Promise<Connected> {
  const redis = await createClient({ url: server.url, RESP: protocol }).connect();
  const sent: string[] = [];
  const sendCommand = (words: (string | Buffer)[], options?: { typeMapping?: Record<number, unknown> }) => {
    sent.push(String(words[0]));
    return redis.sendCommand(words, options as Parameters<typeof redis.sendCommand>[1]);
  };
  const send = (...words: string[]) => redis.sendCommand(words);
  return { redis: { sendCommand }, sent, send, close: () => redis.destroy() };
}

describe.each([
  ["ioredis, RESP2", () => overIoredis(2)],
  ["ioredis, RESP3", () => overIoredis(3)],
  ["node-redis, RESP2", () => overNodeRedis(2)],
  ["node-redis, RESP3", () => overNodeRedis(3)],
])("%s", (_, connect) => {
  let connected: Connected;
  let vstore: Vstore<{ films: Film; other: Record<string, unknown> }>;

  beforeAll(async () => {
    connected = await connect();
    vstore = new Vstore(connected.redis);
  });

  afterAll(() => connected?.close());

  beforeEach(async () => {
    if ((await vstore.list()).includes("films")) await vstore.drop("films");
    await vstore.create("films", { dim: 2, metric: "L2" });
    await vstore.insert("films", "10", [0, 0], { attributes: { title: "Ten", year: 1979 } });
    await vstore.insert("films", "2", Float32Array.of(3, 4), { attributes: { title: "Zwö", year: 2 } });
    await vstore.insert("films", "b", [0.5, 0]);
  });

  test("search gives objects, nearest first, also where keys look like numbers", async () => {
    expect(await vstore.search("films", [0, 0])).toEqual([
      { key: "10", distance: 0 },
      { key: "b", distance: 0.5 },
      { key: "2", distance: 5 },
    ]);
  });

  test("search takes options, and a key instead of a vector", async () => {
    const hits = await vstore.search("films", { key: "2" }, { count: 5, within: 4.9, exact: true, ef: 20 });
    expect(hits.map(({ key }) => key)).toEqual(["2", "b"]);
  });

  test("search gives attributes and what Redis holds", async () => {
    await connected.send("SET", "10", "text");
    await connected.send("HSET", "2", "a", "1", "b", "2");
    const options = { withAttrs: true, withValues: true, fields: ["b", "c"] };
    expect(await vstore.search("films", [0, 0], options)).toEqual([
      { key: "10", distance: 0, attributes: { title: "Ten", year: 1979 }, value: "text" },
      { key: "b", distance: 0.5, attributes: null, value: null },
      { key: "2", distance: 5, attributes: { title: "Zwö", year: 2 }, value: { b: "2", c: null } },
    ]);
    await connected.send("DEL", "10", "2");
    const [first] = await vstore.search("films", [0, 0], { withValues: true, count: 1 });
    expect(first).toEqual({ key: "10", distance: 0, value: null });
  });

  test("vectors come back as Float32Array, to the bit", async () => {
    const vector = Float32Array.of(0.1, -1e-40);
    expect(await vstore.insert("films", "tiny", vector)).toBe(1);
    vector.fill(7); // the client has copied it
    expect(await vstore.get("films", "tiny")).toEqual(Float32Array.of(0.1, -1e-40));
    expect(await vstore.mget("films", ["2", "none", "tiny"])).toEqual([
      Float32Array.of(3, 4),
      null,
      Float32Array.of(0.1, -1e-40),
    ]);
    expect(await vstore.get("films", "none")).toBeNull();
  });

  test("conditions, expiry and attributes", async () => {
    expect(await vstore.insert("films", "b", [1, 1], { condition: "NX" })).toBeNull();
    expect(await vstore.insert("films", "b", [1, 1], { ex: 100 })).toBe(0);
    expect(await vstore.ttl("films", "b")).toBeGreaterThan(90);
    expect(await vstore.persist("films", "b")).toBe(1);
    expect(await vstore.setattr("films", "b", { title: "B", year: 3 })).toBe(1);
    const attributes: Film | null = await vstore.getattr("films", "b");
    expect(attributes).toEqual({ title: "B", year: 3 });
    await vstore.setattr("films", "b", null);
    expect(await vstore.getattr("films", "b")).toBeNull();
  });

  test("many keys at once, counted and deleted", async () => {
    const attributes = [
      { title: "C", year: 1 },
      { title: "D", year: 2 },
    ];
    expect(await vstore.minsert("films", ["c", "d"], [1, 2, 3, 4], { attributes })).toBe(2);
    expect(await vstore.exists("films", ["c", "d", "none"])).toBe(2);
    expect(await vstore.getattr("films", "d")).toEqual(attributes[1]);
    expect(await vstore.del("films", ["c", "d", "none"])).toBe(2);
    expect(await vstore.card("films")).toBe(3);
  });

  test("scan iterates over all pages", async () => {
    const keys = Array.from({ length: 250 }, (_, i) => `key:${i}`);
    await vstore.minsert("films", keys, new Float32Array(500));
    const found = [];
    for await (const key of vstore.scan("films", { match: "key:*", count: 100 })) found.push(key);
    expect(found.sort()).toEqual(keys.sort());
    expect(connected.sent.filter((name) => name === "VSTORE.SCAN").length).toBeGreaterThan(2);
  });

  test("info gives numbers as numbers", async () => {
    expect(await vstore.info("films")).toMatchObject({ dimensions: 2, metric: "L2", vectors: 3 });
    expect(await vstore.info()).toMatchObject({ collections: 1 });
  });

  test("errors are classes with the code of the reply", async () => {
    await expect(vstore.card("other")).rejects.toThrow(NoCollectionError);
    await expect(vstore.create("films", { dim: 2 })).rejects.toThrow(CollectionExistsError);
    await expect(vstore.search("films", { key: "none" })).rejects.toThrow(NoKeyError);
    const error = await vstore.insert("films", "a", [1]).catch((reason) => reason);
    expect(error).toBeInstanceOf(ArgumentError);
    expect(error).toMatchObject({
      name: "ArgumentError",
      code: "ERR",
      message: "'vector' must be 8 bytes (2 x float32), got 4",
    });
  });

  test("a key that is not UTF-8 is refused, and not read as another one", async () => {
    await vstore.insert("films", Buffer.from("ff", "hex"), [9, 9]);
    await expect(vstore.search("films", [9, 9], { count: 1 })).rejects.toThrow(UnreadableReplyError);
    expect(await vstore.del("films", [Buffer.from("ff", "hex")])).toBe(1);
  });

  test("a signal rejects at once: before the command is sent, and while it is waited for", async () => {
    const sent = connected.sent.length;
    const reason = new Error("enough");
    await expect(vstore.card("films", { signal: AbortSignal.abort(reason) })).rejects.toBe(reason);
    expect(connected.sent.length).toBe(sent);
    const controller = new AbortController();
    const card = vstore.card("films", { signal: controller.signal });
    controller.abort(reason);
    await expect(card).rejects.toBe(reason);
    expect(await vstore.card("films", { signal: new AbortController().signal })).toBe(3);
  });

  describe("with batches", () => {
    let batching: Vstore<{ films: Film; other: Record<string, unknown> }>;

    beforeEach(() => {
      batching = new Vstore(connected.redis, { batch: true });
      connected.sent.length = 0;
    });

    test("concurrent inserts go as one MINSERT", async () => {
      const inserted = Array.from({ length: 40 }, (_, i) =>
        batching.insert("films", `k${i}`, [i, i], { attributes: { title: `T${i}`, year: i } }),
      );
      expect(new Set(await Promise.all(inserted))).toEqual(new Set([undefined]));
      expect(connected.sent).toEqual(["VSTORE.MINSERT"]);
      expect(await batching.get("films", "k39")).toEqual(Float32Array.of(39, 39));
      expect(await batching.getattr("films", "k7")).toEqual({ title: "T7", year: 7 });
    });

    test("an insert alone is an INSERT and knows its reply", async () => {
      expect(await batching.insert("films", "b", [1, 1])).toBe(0);
      expect(connected.sent).toEqual(["VSTORE.INSERT"]);
    });

    test("what is called later sees it, and the last of a key counts", async () => {
      const calls = [
        batching.insert("films", "x", [1, 1], { attributes: { title: "first", year: 1 } }),
        batching.insert("films", "y", [1, 1], { attributes: { title: "other", year: 1 } }),
        batching.insert("films", "x", [2, 2]),
        batching.insert("films", "z", [2, 2]),
        batching.get("films", "x"),
        batching.getattr("films", "x"),
      ];
      expect((await Promise.all(calls)).slice(4)).toEqual([
        Float32Array.of(2, 2),
        { title: "first", year: 1 },
      ]);
      expect(connected.sent.slice(0, 2)).toEqual(["VSTORE.MINSERT", "VSTORE.MINSERT"]);
    });

    test("a vector that is refused is refused alone", async () => {
      const calls = ["a", "b", "c"].map((key) =>
        batching.insert("films", key, [1, key === "b" ? Number.NaN : 1]),
      );
      const outcomes = await Promise.allSettled(calls);
      expect(outcomes.map(({ status }) => status)).toEqual(["fulfilled", "rejected", "fulfilled"]);
      expect(outcomes[1]).toMatchObject({ reason: { code: "ERR" } });
      expect(await batching.exists("films", ["a", "c"])).toBe(2);
    });

    test("collections have batches of their own, and an error reaches its own calls only", async () => {
      const [films, other] = await Promise.allSettled([
        Promise.all([batching.insert("films", "a", [1, 1]), batching.insert("films", "c", [1, 1])]),
        Promise.all([batching.insert("other", "a", [1, 1]), batching.insert("other", "c", [1, 1])]),
      ]);
      expect(films.status).toBe("fulfilled");
      expect(other).toMatchObject({ reason: { code: "NOCOLLECTION" } });
    });

    test("concurrent searches go as one MSEARCH for each set of options, and find what they would alone", async () => {
      const queries = Array.from({ length: 30 }, (_, i) => [i / 7, 3 - i / 5]);
      const options = (i: number) =>
        i % 2 === 0 ? { count: 2 } : { count: 2, withAttrs: true, filter: ".year > 0" };
      const alone = await Promise.all(queries.map((query, i) => vstore.search("films", query, options(i))));
      connected.sent.length = 0;
      const together = await Promise.all(
        queries.map((query, i) => batching.search("films", query, options(i))),
      );
      expect(together).toEqual(alone);
      expect(together[0]).not.toHaveLength(0);
      expect(connected.sent).toEqual(["VSTORE.MSEARCH", "VSTORE.MSEARCH"]);
    });

    test("a search sees the inserts before it, and one that is refused is refused alone", async () => {
      const insert = batching.insert("films", "far", [90, 90]);
      const queries = [
        [90, 90],
        [Number.NaN, 1],
        [89, 89],
      ];
      const outcomes = await Promise.allSettled(
        queries.map((query) => batching.search("films", query, { count: 1 })),
      );
      await insert;
      expect(outcomes).toMatchObject([
        { value: [{ key: "far", distance: 0 }] },
        { reason: { code: "ERR" } },
        { value: [{ key: "far" }] },
      ]);
      expect(connected.sent.slice(0, 2)).toEqual(["VSTORE.INSERT", "VSTORE.MSEARCH"]);
    });

    test("a search by key or with values goes by itself, and a signal rejects its own search", async () => {
      const stop = new AbortController();
      const calls = [
        batching.search("films", { key: "10" }),
        batching.search("films", [1, 1], { withValues: true }),
        batching.search("films", [1, 1]),
        batching.search("films", [1, 1], { signal: stop.signal }),
      ];
      stop.abort(new Error("enough"));
      const outcomes = await Promise.allSettled(calls);
      expect(outcomes.map(({ status }) => status)).toEqual([
        "fulfilled",
        "fulfilled",
        "fulfilled",
        "rejected",
      ]);
      expect(connected.sent).toEqual(["VSTORE.SEARCH", "VSTORE.SEARCH", "VSTORE.MSEARCH"]);
    });

    test("MSEARCH, EXPLAIN and RANDMEMBER answer what their types say", async () => {
      const queries = [[0, 0], Float32Array.of(1, 1)];
      const options = { count: 2, withAttrs: true };
      const alone = await Promise.all(queries.map((query) => vstore.search("films", query, options)));
      expect(await vstore.msearch("films", queries, options)).toEqual(alone);
      expect(await vstore.explain("films", { filter: ".year > 1970" })).toMatchObject({
        plan: expect.any(String),
        columns: expect.any(Array),
        matches: expect.any(Number),
      });
      const one = await vstore.randmember("films");
      expect(await vstore.exists("films", [one as string])).toBe(1);
      expect(await vstore.randmember("films", 100)).toHaveLength(await vstore.card("films"));
    });

    test("HELP answers lines of text", async () => {
      expect((await batching.help("card"))[0]).toBe(
        "VSTORE.CARD collection [FILTER expression] [ASOF token]",
      );
    });

    test("more than fit into one command go in several", async () => {
      const many = Array.from({ length: 1_100 }, (_, i) => batching.insert("films", `m${i}`, [i, i]));
      await Promise.all(many);
      expect(connected.sent).toEqual(["VSTORE.MINSERT", "VSTORE.MINSERT", "VSTORE.MINSERT"]);
      expect(await batching.card("films")).toBe(1_103);
    });

    test("too large attributes are refused alone", async () => {
      const title = "t".repeat(70_000);
      const calls = [title, "short"].map((each, i) =>
        batching.insert("films", `l${i}`, [1, 1], { attributes: { title: each, year: i } }),
      );
      const [large, short] = await Promise.allSettled(calls);
      expect(large).toMatchObject({ status: "rejected" });
      expect(short).toMatchObject({ status: "fulfilled" });
    });
  });
});

test("every error code that a client meets has a class of its own, whose name says it", async () => {
  const { fromReply, VstoreError } = await import("../../client/errors.ts");
  const classOf = (code: string) => (fromReply(new Error(`${code} some text`)) as Error).constructor;
  const codes = Object.keys(errorCodes).filter((code) => code !== "LOCKED");
  expect(codes.filter((code) => classOf(code) === VstoreError)).toEqual([]);
  expect(classOf("LIMIT")).toBe(LimitError);
  expect(classOf("SOMETHINGNEW")).toBe(VstoreError);
  const closed = new Error("Connection is closed.");
  expect(fromReply(closed)).toBe(closed);
});

test("anything but a connection is refused when the client is made", () => {
  expect(() => new Vstore({} as Connection)).toThrow(/ioredis or node-redis/);
});
