/**
 * `vstore import` from other stores: PostgreSQL with pgvector, both as WebAssembly behind a socket of PostgreSQL's
 * protocol, a server of our own that answers as Qdrant's documentation says, and where the tests run on a Redis 8 its
 * vector sets.
 */
import * as fs from "node:fs";
import * as http from "node:http";
import type { AddressInfo } from "node:net";
import { PGlite } from "@electric-sql/pglite";
import { vector } from "@electric-sql/pglite-pgvector";
import { PGLiteSocketServer } from "@electric-sql/pglite-socket";
import type { Redis } from "ioredis";
import { afterAll, beforeAll, beforeEach, describe, expect, test, vi } from "vitest";
import { freePort } from "../../harness/free-port.ts";
import { isRedis8 } from "../../harness/server-program.ts";
import { startVstore, type Vstore } from "../../harness/sidecar.ts";
import { runImport } from "../../src/cli/transfer/import.ts";
import { temporaryDirectory } from "../harness/directory.ts";
import { fp32 } from "../harness/fp32.ts";
import { connectClient } from "../harness/serving.ts";

let server: Vstore;
let redis: Redis;
let stderr = "";
/** The last line. */
let stdout = "";

beforeAll(async () => {
  server = await startVstore();
  redis = connectClient(server.url);
});

afterAll(async () => {
  redis?.disconnect();
  await server?.stop();
});

beforeEach(() => {
  stderr = "";
  vi.spyOn(process.stderr, "write").mockImplementation((text) => {
    stderr += text;
    return true;
  });
  vi.spyOn(console, "log").mockImplementation((line) => {
    stdout = String(line);
  });
  return () => vi.restoreAllMocks();
});

let collections = 0;
const fresh = () => `to:${collections++}`;
const into = () => ({ redisUrl: server.url, create: true as const, metric: "L2" });
const raw = (collection: string, key: string) => redis.callBuffer("VSTORE.GET", collection, key, "RAW");
const attributes = (collection: string, key: string) => redis.call("VSTORE.GETATTR", collection, key);

/** An import that a bad row stops, and that goes on once the row was mended, but for what is done. */
async function resumed(
  to: string,
  flags: object,
  mend: (rows: number) => Promise<void>,
): Promise<{ first: number; second: number }> {
  const resume = `${temporaryDirectory()}/state`;
  const importing = () => runImport(to, undefined, { ...into(), ...flags, resume });
  const imported = () => Number(/^imported ([\d,]+) vector/.exec(stdout)![1]!.replace(",", ""));
  await expect(importing()).rejects.toThrow(/^stopped: more than 0 bad rows; the same command continues$/);
  const first = imported();
  const { rows } = JSON.parse(fs.readFileSync(resume, "utf8"));
  await mend(rows);
  expect(await importing()).toBe(0);
  expect(fs.existsSync(resume)).toBe(false);
  return { first, second: imported() };
}

describe.runIf(isRedis8())("from a vector set", () => {
  test.each(["NOQUANT", "Q8", "BIN"])(
    "of %s, the vectors that VEMB gives, with their attributes",
    async (quant) => {
      const to = fresh();
      const own = connectClient(server.url);
      for (let i = 0; i < 1_200; i++) {
        const values = [Math.cos(i), Math.sin(i), Math.cos(3 * i), i / 1_200];
        const attributes = i % 2 === 0 ? ["SETATTR", `{"number":${i}}`] : [];
        await own.call("VADD", `set:${quant}`, "VALUES", 4, ...values, `e:${i}`, quant, ...attributes);
      }
      expect(
        await runImport(to, undefined, { ...into(), fromRedis: server.url, vectorSet: `set:${quant}` }),
      ).toBe(0);
      expect(await redis.call("VSTORE.CARD", to)).toBe(1_200);
      for (const i of [0, 1, 777, 1_199]) {
        const vector = (await own.call("VEMB", `set:${quant}`, `e:${i}`)) as string[];
        expect(await raw(to, `e:${i}`)).toEqual(fp32(...vector.map(Number)));
        expect(await attributes(to, `e:${i}`)).toBe(i % 2 === 0 ? `{"number":${i}}` : null);
      }
    },
  );
});

describe("from a Redis with hashes", () => {
  const count = 3_000;
  /** A hash that SCAN brings late. */
  async function lateHash(): Promise<string> {
    let [cursor, last] = ["0", ""];
    do {
      const [next, keys] = await redis.scan(cursor, "MATCH", "h:*", "COUNT", 500, "TYPE", "hash");
      [cursor, last] = [next, keys.at(-1) ?? last];
    } while (cursor !== "0");
    return last;
  }

  test("it goes on where it stopped, unless that server was started again", async () => {
    const to = fresh();
    const pipeline = redis.pipeline();
    for (let i = 0; i < count; i++) pipeline.hset(`h:${i}`, { v: fp32(i, 1) });
    await pipeline.exec();
    const bad = await lateHash();
    await redis.hset(bad, { v: "none" });
    const flags = { fromRedis: server.url, prefix: "h:", vector: "v" };
    const { first, second } = await resumed(to, flags, async (rows) => {
      expect(rows).toBeGreaterThan(count / 2);
      await redis.hset(bad, { v: fp32(0, 1) });
    });
    expect(await redis.call("VSTORE.CARD", to)).toBe(count);
    expect(second).toBeLessThan(count / 2);
    expect(first + second).toBeGreaterThanOrEqual(count);
    const resume = `${temporaryDirectory()}/state`;
    const input = `${server.url}, hashes 'h:'`;
    fs.writeFileSync(resume, JSON.stringify({ version: 1, collection: to, input, rows: 9, mark: "other 5" }));
    await expect(runImport(to, undefined, { ...into(), ...flags, resume })).rejects.toThrow(
      "was started again since",
    );
  });
});

describe("from PostgreSQL with pgvector", () => {
  const rows = 2_500;
  const third = Math.fround(1 / 3);
  let database: PGlite;
  let socket: PGLiteSocketServer;
  let fromPgvector: string;

  beforeAll(async () => {
    database = await PGlite.create({ extensions: { vector } });
    await database.exec(`
      CREATE EXTENSION vector;
      CREATE SCHEMA "my films";
      CREATE TABLE "my films"."The Items" (
        id bigint PRIMARY KEY, title text, tags text[], made timestamptz, price numeric, "odd "" name" jsonb,
        seen boolean, embedding vector(3), half halfvec(2));
      INSERT INTO "my films"."The Items" SELECT 9007199254740993 + i, 'film ' || i, ARRAY['a,b', 'c"'], '2020-01-02T03:04:05Z',
        12345678901234567890.5, '{"n": 12345678901234567890}', i % 2 = 0, ARRAY[i, ${third}, 1e-7]::real[]::vector,
        ARRAY[i % 7, 0.5]::real[]::halfvec FROM generate_series(0, ${rows - 1}) AS i;
      UPDATE "my films"."The Items" SET embedding = NULL, title = NULL WHERE id = 9007199254740993 + 7;
      CREATE TABLE plain (name text, v real[]);
      INSERT INTO plain VALUES ('a', '{1,2}'), ('b', '{3,-0.5}');
    `);
    const port = await freePort();
    socket = new PGLiteSocketServer({ db: database, port, host: "127.0.0.1" });
    await socket.start();
    fromPgvector = `postgres://postgres:postgres@127.0.0.1:${port}/postgres?sslmode=disable`;
  });

  afterAll(async () => {
    await socket?.stop();
    await database?.close();
  });

  test("keys are the primary key's, vectors the same bit by bit, attributes the JSON that PostgreSQL makes", async () => {
    const to = fresh();
    const flags = { fromPgvector, table: '"my films"."The Items"', vector: "embedding", maxErrors: "1" };
    const wanted = 'title,tags,price,odd " name,seen';
    expect(await runImport(to, undefined, { ...into(), ...flags, attributes: wanted })).toBe(0);
    expect(await redis.call("VSTORE.CARD", to)).toBe(rows - 1);
    expect(await raw(to, "9007199254743492")).toEqual(fp32(2_499, third, 1e-7));
    expect(await attributes(to, "9007199254740994")).toBe(
      '{"title":"film 1","tags":["a,b","c\\""],"price":12345678901234567890.5,"odd \\" name":{"n": 12345678901234567890},"seen":false}',
    );
    expect(stderr).toMatch(
      /^key: id; vector: embedding; attributes: title, tags, .*; left out: made, half$/m,
    );
    expect(stderr).toMatch(/^row \d+: there is no vector in 'embedding'$/m);
  });

  test("it goes on where it stopped by the key, whatever has happened to the rows before", async () => {
    await database.exec(`
      CREATE TABLE ordered (id text PRIMARY KEY, v vector(2));
      INSERT INTO ordered SELECT to_char(i * 7 % 4000, 'FM"it''s" 0000'), CASE WHEN i * 7 % 4000 = 3000 THEN NULL ELSE ARRAY[i, 1]::real[]::vector END
        FROM generate_series(0, 3999) AS i;
    `);
    const to = fresh();
    const { second } = await resumed(to, { fromPgvector, table: "ordered" }, async (rows) => {
      expect(rows).toBeGreaterThan(1_500);
      await database.exec(`
        DELETE FROM ordered WHERE id < 'it''s 0100';
        UPDATE ordered SET v = '[0,1]' WHERE v IS NULL;`);
    });
    expect(await redis.call("VSTORE.CARD", to)).toBe(4_000);
    expect(second).toBeLessThan(2_500);
    const flags = { fromPgvector, table: "plain", vector: "v", resume: `${temporaryDirectory()}/state` };
    await expect(runImport(fresh(), undefined, { ...into(), ...flags })).rejects.toThrow(
      "--resume needs a column of keys (--key)",
    );
  });

  test("the only column of a vector's type is the vector, and real[] is one too where it is named", async () => {
    const [halves, plain] = [fresh(), fresh()];
    await database.exec(
      'CREATE VIEW halves AS SELECT id, half FROM "my films"."The Items" WHERE id % 100 = 0',
    );
    await runImport(halves, undefined, { ...into(), fromPgvector, table: "halves" });
    expect(stderr).toContain("key: id; vector: half;");
    await runImport(plain, undefined, { ...into(), fromPgvector, table: "plain", key: "name", vector: "v" });
    expect(await raw(plain, "b")).toEqual(fp32(3, -0.5));
  });

  test("what cannot be is refused with a hint", async () => {
    const importing = (flags: object) => runImport(fresh(), undefined, { ...into(), fromPgvector, ...flags });
    await expect(importing({})).rejects.toThrow("--from-pgvector needs --table");
    await expect(importing({ table: "nothing" })).rejects.toThrow('relation "nothing" does not exist');
    await expect(importing({ table: "plain" })).rejects.toThrow("--vector has to say which column");
    await expect(importing({ table: "plain", vector: "w" })).rejects.toThrow("there is no column 'w'");
    await expect(importing({ table: "plain", fromRedis: server.url })).rejects.toThrow("exclude each other");
    await expect(importing({ table: "plain", fromPgvector: "postgres://127.0.0.1:1/x" })).rejects.toThrow(
      "--from-pgvector: connect ECONNREFUSED",
    );
  });
});

describe("from Qdrant", () => {
  interface Scroll {
    limit: number;
    offset?: string | number | null;
    with_payload?: boolean;
    with_vector?: boolean;
  }

  /** Points as JSON, in the order of their ids. */
  let points: string[];
  let qdrant: http.Server;
  let fromQdrant: string;
  let keys: (string | undefined)[];
  let limits: number[];

  beforeAll(async () => {
    qdrant = http.createServer(async (request, response) => {
      keys.push(request.headers["api-key"] as string | undefined);
      let body = "";
      for await (const chunk of request) body += chunk;
      const [status, answer] =
        request.method === "POST" && request.url === "/collections/my%20films/points/scroll"
          ? [200, scroll(JSON.parse(body), body)]
          : [404, '{"status":{"error":"Not found: Collection `x` doesn\'t exist!"},"time":1e-5}'];
      response.writeHead(status, { "content-type": "application/json" }).end(answer);
    });
    await new Promise<void>((resolve) => void qdrant.listen(0, "127.0.0.1", resolve));
    fromQdrant = `http://127.0.0.1:${(qdrant.address() as AddressInfo).port}/`;
  });

  beforeEach(() => {
    [keys, limits] = [[], []];
  });

  afterAll(() => new Promise((resolve) => void qdrant.close(resolve)));

  const idOf = (point: string) => /"id":("[^"]*"|\d+)/.exec(point)![1]!;

  /** From the point whose id is the offset, which may have more digits than a double. */
  function scroll({ limit, with_payload, with_vector }: Scroll, body: string): string {
    limits.push(limit);
    const offset = /"offset":("[^"]*"|\d+)/.exec(body)?.[1];
    const start = offset === undefined ? 0 : points.findIndex((point) => idOf(point) === offset);
    const page = points.slice(start, start + limit);
    const isWhole = with_payload && with_vector;
    const next = points[start + limit];
    const shown = isWhole ? page : page.map((point) => `{"id":${idOf(point)}}`);
    return `{"result": {"points": [${shown.join(", ")}], "next_page_offset": ${next ? idOf(next) : "null"}}, "status": "ok", "time": 0.001}`;
  }

  const importing = (to: string, flags: object = {}) =>
    runImport(to, undefined, { ...into(), fromQdrant, collection: "my films", ...flags });

  test("ids are keys, with all their digits, payloads are attributes as they are written", async () => {
    const to = fresh();
    points = Array.from({ length: 2_000 }, (_, i) => {
      const payload = `{"n": 1234567890123456789${i}, "text": "]},\\" ${i}"}`;
      return `{"id":1844674407370955${String(i).padStart(4, "0")},"payload":${payload},"vector":[${i}, -0.5]}`;
    });
    points.push('{"id":"5c56c793-69f3-4fbf-87e6-c4bf54c28c26","payload":null,"vector":[1e-7,0.25]}');
    vi.stubEnv("QDRANT_API_KEY", "secret");
    expect(await importing(to, { keyPrefix: "q:" })).toBe(0);
    vi.unstubAllEnvs();
    expect(await redis.call("VSTORE.CARD", to)).toBe(2_001);
    expect(await raw(to, "q:18446744073709551999")).toEqual(fp32(1_999, -0.5));
    expect(await attributes(to, "q:18446744073709551999")).toBe(
      '{"n": 12345678901234567891999, "text": "]},\\" 1999"}',
    );
    expect(await raw(to, "q:5c56c793-69f3-4fbf-87e6-c4bf54c28c26")).toEqual(fp32(1e-7, 0.25));
    expect(await attributes(to, "q:5c56c793-69f3-4fbf-87e6-c4bf54c28c26")).toBeNull();
    expect(new Set(keys)).toEqual(new Set(["secret"]));
    expect(Math.max(...limits)).toBe(1_000);
  });

  test("it goes on where it stopped, by the id of a point", async () => {
    const to = fresh();
    const point = (i: number, vector: string) => `{"id":${10_000 + i},"payload":null,"vector":${vector}}`;
    points = Array.from({ length: 4_000 }, (_, i) => point(i, i === 3_000 ? "null" : `[${i},1]`));
    const { second } = await resumed(to, { fromQdrant, collection: "my films" }, async (rows) => {
      expect(rows).toBeGreaterThan(1_500);
      points[3_000] = point(3_000, "[0,1]");
      points.splice(0, 100);
    });
    expect(await redis.call("VSTORE.CARD", to)).toBe(4_000);
    expect(second).toBeLessThan(2_500);
  });

  test("--vector chooses among named vectors, --attributes among the payload", async () => {
    const to = fresh();
    points = [
      '{"id":1,"payload":{"a":1.0,"b":[2, 3],"c":"x"},"vector":{"text":[1,2],"image":[3,4,5]}}',
      '{"id":2,"payload":{"c":"y"},"vector":{"image":[6,7,8]}}',
      '{"id":3,"payload":{},"vector":{"words":{"indices":[1],"values":[0.5]}}}',
    ];
    await importing(to, { vector: "image", attributes: "b,a", maxErrors: "1" });
    expect(await raw(to, "1")).toEqual(fp32(3, 4, 5));
    expect(await attributes(to, "1")).toBe('{"b":[2, 3],"a":1.0}');
    expect(await attributes(to, "2")).toBeNull();
    expect(stderr).toMatch(/^row 3: --vector has to say which vector: there are words$/m);
    await importing(fresh(), { maxErrors: "2" });
    expect(stderr).toMatch(/^row 1: --vector has to say which vector: there are text, image$/m);
    expect(stderr).toMatch(/^row 3: 'vector' is no vector: neither a list of numbers nor bytes$/m);
  });

  test("what cannot be is refused with a hint", async () => {
    await expect(importing(fresh(), { collection: undefined })).rejects.toThrow("needs --collection");
    await expect(importing(fresh(), { collection: "x" })).rejects.toThrow(/answers 404: .*doesn't exist/);
    await expect(importing(fresh(), { key: "a" })).rejects.toThrow("the ids of the points as keys");
    const nobody = `http://127.0.0.1:${await freePort()}`;
    await expect(importing(fresh(), { fromQdrant: nobody })).rejects.toThrow("ECONNREFUSED");
    await expect(importing(fresh(), { fromQdrant: "localhost" })).rejects.toThrow(
      "must be a URL like http://",
    );
  });
});
