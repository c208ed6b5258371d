/** `vstore import` and `vstore export`: what goes into a file of each format comes back bit by bit. */
import { execFileSync, spawnSync } from "node:child_process";
import * as fs from "node:fs";
import { fileURLToPath } from "node:url";
import type { Redis } from "ioredis";
import { afterAll, beforeAll, beforeEach, describe, expect, test, vi } from "vitest";
import { startSidecar, startVstore, type Vstore } from "../../harness/sidecar.ts";
import { runExport } from "../../src/cli/transfer/export.ts";
import { runImport } from "../../src/cli/transfer/import.ts";
import { temporaryDirectory } from "../harness/directory.ts";
import { fp32 } from "../harness/fp32.ts";
import { connectClient, until } from "../harness/serving.ts";

const dimensions = 6;
/** Zero below zero, the smallest and the largest float32, thirds, and what no short text holds. */
const components = [-0, 1.401298464324817e-45, -3.4028234663852886e38, Math.fround(1 / 3), 16_777_217, 1e-7];

let server: Vstore;
let redis: Redis;
let place: string;
let stderr = "";
let stdout: string[] = [];

beforeAll(async () => {
  server = await startVstore();
  redis = connectClient(server.url);
  await redis.call("VSTORE.CREATE", "from", "DIM", dimensions, "METRIC", "L2");
  for (let i = 0; i < 40; i++) {
    const vector = Float32Array.from(components, (value, at) => (at === i % dimensions ? i - 20 : value));
    await insert("from", nameOf(i), vector, i % 3 === 0 ? undefined : attributesOf(i));
  }
});

afterAll(async () => {
  redis?.disconnect();
  await server?.stop();
});

beforeEach(() => {
  place = temporaryDirectory();
  [stderr, stdout] = ["", []];
  vi.spyOn(process.stderr, "write").mockImplementation((text) => {
    stderr += text;
    return true;
  });
  vi.spyOn(console, "log").mockImplementation((line) => void stdout.push(line));
  return () => vi.restoreAllMocks();
});

const nameOf = (i: number) => (i % 2 === 0 ? `key:${i}` : `"schlüssel", ${i} 🗝`);
const attributesOf = (i: number) =>
  `{"id": 12345678901234567${i},\n "text": "a \\"comma\\", ${i}", "list": [1.0, {}]}`;

async function insert(to: string, key: string | Buffer, vector: Float32Array, attributes?: string) {
  const set = attributes === undefined ? [] : ["SETATTR", attributes];
  await redis.call("VSTORE.INSERT", to, key, "FP32", Buffer.from(vector.buffer), ...set);
}

/** Every key with the bytes of its vector and the text of its attributes. */
async function contents(collection: string): Promise<Record<string, [string, string | null]>> {
  const [, keys] = (await redis.callBuffer("VSTORE.SCAN", collection, 0, "COUNT", 1_000)) as [
    Buffer,
    Buffer[],
  ];
  const found: Record<string, [string, string | null]> = {};
  for (const key of keys) {
    const vector = (await redis.callBuffer("VSTORE.GET", collection, key, "RAW")) as Buffer;
    const attributes = (await redis.call("VSTORE.GETATTR", collection, key)) as string | null;
    found[key.toString()] = [vector.toString("hex"), attributes?.replaceAll("\n", " ") ?? null];
  }
  return found;
}

const url = () => ({ redisUrl: server.url });
let collections = 0;
const fresh = () => `to:${collections++}`;

describe("what is exported and imported is the same, bit by bit:", () => {
  test.each(["jsonl", "csv", "parquet", "arrow", "npz"])("%s, with keys and attributes", async (format) => {
    const [file, to] = [`${place}/all.${format}`, fresh()];
    expect(await runExport("from", file, { ...url(), attributes: true })).toBe(0);
    expect(await runImport(to, file, { ...url(), create: true, metric: "L2" })).toBe(0);
    expect(await contents(to)).toEqual(await contents("from"));
    expect(fs.readdirSync(place)).toEqual([`all.${format}`]);
  });

  test.each(["npy", "fvecs"])("%s, with its keys in a file of their own", async (format) => {
    const [file, keys, to] = [`${place}/all.${format}`, `${place}/keys.txt`, fresh()];
    await runExport("from", file, { ...url(), keys, attributes: true });
    await runImport(to, file, { ...url(), keys, create: true, metric: "L2" });
    const withoutAttributes = Object.entries(await contents("from")).map(([key, [vector]]) => [
      key,
      [vector, null],
    ]);
    expect(await contents(to)).toEqual(Object.fromEntries(withoutAttributes));
  });

  test.each([
    ["bvecs", [0, 255, 7]],
    ["ivecs", [-(2 ** 24), 2 ** 24, 0]],
  ])("%s, where all components are in its range", async (format, values) => {
    const [from, to, file] = [fresh(), fresh(), `${place}/whole.${format}`];
    await redis.call("VSTORE.CREATE", from, "DIM", values.length, "METRIC", "L2");
    for (let i = 0; i < 5; i++) await insert(from, `n${i}`, Float32Array.from(values));
    await insert(
      from,
      "half",
      Float32Array.from(values, (_, at) => at + 0.5),
    );
    await runExport(from, file, { ...url(), attributes: true, maxErrors: "1" });
    expect(stderr).toContain('"half": 0.5 is no whole number');
    await runImport(to, file, { ...url(), create: true, metric: "L2", keyPrefix: "n" });
    const { half, ...others } = await contents(from);
    expect(half).toBeDefined();
    expect(await contents(to)).toEqual(others);
  });
});

describe("when keys expire", () => {
  const far = 4_000_000_000_000;
  const timesOf = async (collection: string) => {
    const [, found] = (await redis.call("VSTORE.SCAN", collection, 0, "COUNT", 99, "WITHEXPIRETIME")) as [
      string,
      [string, number][],
    ];
    return Object.fromEntries(found);
  };
  let from: string;
  beforeAll(async () => {
    from = fresh();
    await redis.call("VSTORE.CREATE", from, "DIM", 2, "METRIC", "L2");
    for (const key of ["never", "far", "later"]) await insert(from, key, Float32Array.of(1, 2), '{"a":1}');
    await redis.call("VSTORE.PEXPIREAT", from, "far", far);
    await redis.call("VSTORE.PEXPIREAT", from, "later", far + 1);
  });

  test.each(["jsonl", "csv", "parquet", "arrow"])("%s says it, to the millisecond", async (format) => {
    const [file, to] = [`${place}/all.${format}`, fresh()];
    await runExport(from, file, { ...url(), attributes: true });
    await runImport(to, file, { ...url(), create: true, metric: "L2" });
    expect(stderr).toContain("expiry: expires_at_ms");
    expect(await timesOf(to)).toEqual({ never: -1, far, later: far + 1 });
    expect(await contents(to)).toEqual(await contents(from));
  });

  test("npz has no place for it, and the export says so", async () => {
    await runExport(from, `${place}/all.npz`, { ...url(), attributes: true });
    expect(stderr).toContain("keys will not expire after an import");
  });

  test("--no-expire-times leaves it out, of an export and of an import", async () => {
    const [with_, without] = [`${place}/with.csv`, `${place}/without.csv`];
    await runExport(from, without, { ...url(), attributes: true, expireTimes: false });
    expect(fs.readFileSync(without, "utf8").split("\n")[0]).toBe("key,vector,attributes");
    await runExport(from, with_, { ...url(), attributes: true });
    const to = fresh();
    await runImport(to, with_, { ...url(), create: true, metric: "L2", expireTimes: false });
    expect(await timesOf(to)).toEqual({ never: -1, far: -1, later: -1 });
  });

  test("a time that is past removes the key, and what is no time is a bad row", async () => {
    const [file, to] = [`${place}/some.csv`, fresh()];
    fs.writeFileSync(
      file,
      `key,vector,expires_at_ms\npast,"[1,2]",1000\nstays,"[1,2]",\nfar,"[1,2]",${far}\nbad,"[1,2]",tomorrow\n`,
    );
    await runImport(to, file, { ...url(), create: true, metric: "L2", maxErrors: "1" });
    expect(await timesOf(to)).toEqual({ stays: -1, far });
    expect(stderr).toMatch(/^line 5: 'expires_at_ms' is no time in ms since 1970$/m);
  });
});

describe("of other programs' files", () => {
  test("CSV gives keys, vectors of many columns, and attributes of the types that their texts have", async () => {
    const [file, to] = [`${place}/films.csv`, fresh()];
    fs.writeFileSync(
      file,
      'title,year,ean,v1,v2,note\n"Alien, 1979",1979,007,0.5,-1,\nHeat,1995,12,1e-3,2,"a ""b"""\n',
    );
    const columns = { key: "title", vector: "v*", attributes: "*", keyPrefix: "film:" };
    await runImport(to, file, { ...url(), ...columns, create: true });
    expect(await redis.call("VSTORE.GETATTR", to, "film:Alien, 1979")).toBe('{"year":1979,"ean":"007"}');
    expect(await redis.call("VSTORE.GETATTR", to, "film:Heat")).toBe(
      '{"year":1995,"ean":12,"note":"a \\"b\\""}',
    );
    expect(await redis.call("VSTORE.GET", to, "film:Heat")).toEqual(
      ["0.001", "2"].map((text) => expect.stringContaining(text)),
    );
    expect(stderr).toBe("key: title; vector: v1, v2; attributes: year, ean, note\n");
  });

  test("NumPy's arrays of other types become float32", async () => {
    const types = ["float64", "float16", "float32"];
    const save = `import numpy
for type in ${JSON.stringify(types)}: numpy.save(f"${place}/{type}", numpy.array([[1.5, -2], [3, 0.25]], dtype=type))`;
    execFileSync("python3", ["-c", save]);
    const to = fresh();
    for (const type of types) {
      await runImport(to, `${place}/${type}.npy`, {
        ...url(),
        create: true,
        metric: "L2",
        keyPrefix: `${type}:`,
      });
      const read = await redis.callBuffer("VSTORE.MGET", to, "RAW", 2, `${type}:0`, `${type}:1`);
      expect(read).toEqual([fp32(1.5, -2), fp32(3, 0.25)]);
    }
  });

  test("NumPy reads what is exported", async () => {
    const file = `${place}/all.npz`;
    await runExport("from", file, { ...url(), attributes: true });
    const load =
      "import sys, numpy; z = numpy.load(sys.argv[1]); print(z['vectors'].shape, z['vectors'].dtype, sorted(z['keys'])[0])";
    const printed = execFileSync("python3", ["-c", load, file], { encoding: "utf8" });
    expect(printed.trim()).toBe(`(40, ${dimensions}) float32 ${[...Array(40).keys()].map(nameOf).sort()[0]}`);
  });
});

test("hashes of a Redis, as RediSearch indexes them, become keys, vectors and attributes", async () => {
  const to = fresh();
  for (let i = 0; i < 1_200; i++)
    await redis.hset(`doc[1]:${i}`, { v: fp32(i, 1), title: `n ${i}`, year: 1900 + i, other: "left out" });
  await redis.hset("doc[1]:bad", { title: "without a vector" });
  await redis.set("doc[1]:text", "no hash");
  await redis.hset("doc1:foreign", { v: fp32(1, 2) });
  const flags = { fromRedis: server.url, prefix: "doc[1]:", vector: "v", attributes: "title,year" };
  await runImport(to, undefined, { ...url(), ...flags, create: true, metric: "L2", maxErrors: "1" });
  expect(await redis.call("VSTORE.CARD", to)).toBe(1_200);
  expect(await redis.callBuffer("VSTORE.GET", to, "doc[1]:77", "RAW")).toEqual(fp32(77, 1));
  expect(await redis.call("VSTORE.GETATTR", to, "doc[1]:77")).toBe('{"title":"n 77","year":1977}');
  expect(stderr).toContain("key: the hash's own; vector: v; attributes: title, year; left out: other");
  expect(stderr).toContain("there is no vector in 'v'");
});

describe("bad rows", () => {
  const lines = (count: number, bad: Record<number, string>) =>
    Array.from({ length: count }, (_, i) => bad[i + 1] ?? `{"key":"k${i + 1}","vector":[${i},1]}`).join("\n");

  test("are named by their line and counted, by whichever side finds them, and all others go in", async () => {
    const [file, to] = [`${place}/some.jsonl`, fresh()];
    const long = "x".repeat(1_025);
    const bad = {
      3: "{",
      5: '{"key":"five","vector":[1,2,3]}',
      8: '{"key":"eight","vector":[1,"two"]}',
      9: `{"key":"${long}","vector":[1,2]}`,
      11: '{"vector":[1,2]}',
      12: '{"key":"twelve","vector":[1e39,2]}',
    };
    fs.writeFileSync(file, lines(1_500, bad));
    expect(await runImport(to, file, { ...url(), create: true, metric: "L2", maxErrors: "6" })).toBe(0);
    expect(await redis.call("VSTORE.CARD", to)).toBe(1_494);
    for (const line of Object.keys(bad)) expect(stderr).toMatch(new RegExp(`^line ${line}: `, "m"));
    expect(stderr).toMatch(/^line 5: the vector has 3 components, not 2$/m);
    expect(stderr).toMatch(/^line 9: ERR 'key' must be 1 to 1024 bytes/m);
    expect(stdout.at(-1)).toMatch(/^imported 1,494 vectors into to:\d+ in .*; 6 bad rows$/);
  });

  test("end the import when there are more than --max-errors, and it says how to go on", async () => {
    const [file, to] = [`${place}/some.jsonl`, fresh()];
    fs.writeFileSync(file, lines(10, { 4: "[]", 6: "", 7: "no" }));
    const importing = runImport(to, file, { ...url(), create: true, maxErrors: "1" });
    await expect(importing).rejects.toThrow(/^stopped: more than 1 bad row; .*\(--skip 5\)$/);
    expect(stderr).toMatch(/^line 4: no JSON object$/m);
    expect(stderr).toMatch(/^line 7: /m);
  });

  test("are all counted by --dry-run, which writes nothing", async () => {
    const [file, to] = [`${place}/some.jsonl`, fresh()];
    fs.writeFileSync(file, lines(10, { 4: "[]", 7: "no" }));
    expect(await runImport(to, file, { ...url(), create: true, dryRun: true })).toBe(0);
    expect(stdout.at(-1)).toBe(`8 rows would go into ${to}; 2 bad rows`);
    await expect(redis.call("VSTORE.CARD", to)).rejects.toThrow("NOCOLLECTION");
  });
});

describe("an import", () => {
  test("goes on where it was interrupted, and its last row of a key counts", async () => {
    const [file, state, to] = [`${place}/many.jsonl`, `${place}/state`, fresh()];
    const row = (i: number) => `{"key":"k${i % 700}","vector":[${i},1]}`;
    const rows = Array.from({ length: 2_000 }, (_, i) => row(i));
    const broken = rows.with(1_500, "broken");
    fs.writeFileSync(file, broken.join("\n"));
    const flags = { ...url(), create: true as const, metric: "L2", resume: state };
    await expect(runImport(to, file, flags)).rejects.toThrow("more than 0 bad rows");
    const { rows: done, ...origin } = JSON.parse(fs.readFileSync(state, "utf8"));
    expect(done).toBeGreaterThan(0);
    expect(done).toBeLessThanOrEqual(1_501);
    await expect(runImport("other", file, flags)).rejects.toThrow("of another import");
    expect(origin).toMatchObject({ collection: to });
    await runImport(to, file, { ...flags, maxErrors: "1" });
    expect(fs.existsSync(state)).toBe(false);
    expect(
      Number.parseInt(
        stdout
          .at(-1)!
          .replace(/\D*([\d,]+).*/, "$1")
          .replace(",", ""),
        10,
      ),
    ).toBe(2_000 - done - (done <= 1_500 ? 1 : 0));
    const last = (await redis.call("VSTORE.GET", to, "k10")) as string[];
    expect(last.map(Number)).toEqual([1_410, 1]);
  });

  test("passes over the rows that are skipped, also where they are read in several pieces", async () => {
    const note = "n".repeat(50_000);
    const rows = Array.from({ length: 60 }, (_, i) => `k${i},"[${i},1]",${i < 30 ? note : ""}`);
    const [text, to] = [`${place}/long.csv`, fresh()];
    fs.writeFileSync(text, ["key,vector,note", ...rows].join("\n"));
    for (const skip of ["55", "59"]) {
      await runImport(to, text, { ...url(), create: true, metric: "L2", skip });
      expect(stdout.at(-1)).toMatch(skip === "55" ? /^imported 5 vectors/ : /^imported 1 vector /);
    }
    expect(Object.keys(await contents(to)).sort()).toEqual(["k55", "k56", "k57", "k58", "k59"]);
  });

  test("knows the dimensions also where it begins with bad rows only", async () => {
    const [file, to] = [`${place}/late.jsonl`, fresh()];
    const bad = Array.from({ length: 40 }, (_, i) => `{"key":"${i}","vector":"${"x".repeat(50_000)}"}`);
    fs.writeFileSync(file, [...bad, '{"key":"good","vector":[1,2]}'].join("\n"));
    await runImport(to, file, { ...url(), create: true, metric: "L2", maxErrors: "40" });
    expect(stdout.at(-1)).toMatch(/^imported 1 vector into .*; 40 bad rows$/);
    expect(Object.keys(await contents(to))).toEqual(["good"]);
  });

  test("waits for a sidecar that is away, and loses nothing", async () => {
    const [file, to] = [`${place}/many.fvecs`, fresh()];
    const rows = 20_000;
    fs.writeFileSync(file, fvecs(rows));
    const other = await startVstore({}, { dataDir: temporaryDirectory() });
    const client = connectClient(other.url);
    await client.config("SET", "vstore.timeout", "1000");
    const flags = { redisUrl: other.url, create: true as const, metric: "L2", connections: "2" };
    const importing = runImport(to, file, flags);
    const card = () => client.call("VSTORE.CARD", to).catch(() => 0);
    await until(card, (count) => Number(count) > 0);
    await other.sidecar.kill();
    const second = startSidecar({ redisUrl: other.url, dataDir: other.sidecar.dataDir });
    try {
      expect(await importing).toBe(0);
      expect(await card()).toBe(rows);
    } finally {
      client.disconnect();
      await second.stop();
      await other.redis.stop();
    }
  });
});

/** Vectors of two components: the row's number, and one. */
function fvecs(rows: number): Int32Array {
  const words = new Int32Array(rows * 3);
  const floats = new Float32Array(words.buffer);
  for (let i = 0; i < rows; i++) {
    words[3 * i] = 2;
    floats.set([i, 1], 3 * i + 1);
  }
  return words;
}

describe("the program", () => {
  const program = fileURLToPath(new URL("../../dist/cli.js", import.meta.url));
  const run = (args: string[], input?: string) => {
    const options = {
      encoding: "utf8" as const,
      env: { ...process.env, VSTORE_REDIS_URL: server.url },
      input,
    };
    return spawnSync(process.execPath, [program, ...args], options);
  };

  test("reads a pipe and writes one", async () => {
    const to = fresh();
    const lines = '{"id":"a","embedding":[1,2],"n":7}\n{"id":"b","embedding":[3,-0.5],"n":8}\n';
    const imported = run(["import", to, "-", "--format", "jsonl", "--create", "--attributes", "n"], lines);
    expect(imported).toMatchObject({
      status: 0,
      stdout: expect.stringMatching(/^imported 2 vectors into to:/),
    });
    expect(imported.stderr).toBe("key: id; vector: embedding; attributes: n\n");
    const exported = run(["export", to, "-", "--format", "jsonl", "--filter", ".n > 7"]);
    expect(exported.stdout).toBe('{"key":"b","vector":[3,-0.5],"attributes":{"n":8}}\n');
    const csv = run(["export", to, "-", "--format", "csv", "--no-attributes"]);
    expect(csv.stdout.split("\n").sort()).toEqual(["", 'a,"[1,2]"', 'b,"[3,-0.5]"', "key,vector"]);
  });

  test("shows a bar with rate and time left on a terminal", () => {
    const file = `${place}/rows.fvecs`;
    fs.writeFileSync(file, fvecs(1_000));
    const spawnInTerminal =
      "import os, pty, sys; sys.exit(os.waitstatus_to_exitcode(pty.spawn(sys.argv[1:])))";
    const args = ["import", fresh(), file, "--create", "--redis-url", server.url];
    const options = { encoding: "utf8" as const, input: "" };
    const shown = spawnSync("python3", ["-c", spawnInTerminal, process.execPath, program, ...args], options);
    expect(shown.status).toBe(0);
    expect(shown.stdout).toMatch(/importing \S+ 100% 1,000 rows, [\d,]+\/s/);
    expect(shown.stdout).toMatch(/imported 1,000 vectors into to:/);
  });

  test("ends with 2 when it is told what cannot be", () => {
    expect(run(["import", "nowhere", `${place}/none.csv`])).toMatchObject({ status: 2, stdout: "" });
    expect(run(["export", "from", "-", "--format", "npy"]).status).toBe(2);
  });
});

test("what cannot be is refused with a hint, and leaves no file behind", async () => {
  const file = `${place}/docs.jsonl`;
  fs.writeFileSync(file, '{"id":"a","embedding":[1,2]}');
  const importing = (to: string, flags = {}) => runImport(to, file, { ...url(), ...flags });
  const exporting = (from: string, to: string, flags = {}) =>
    runExport(from, to, { ...url(), attributes: true, ...flags });
  const refusals: [() => Promise<number>, string][] = [
    [() => importing("nowhere"), "there is no collection 'nowhere'; --create makes it"],
    [() => importing("from", { key: "ids" }), "there is no column 'ids', did you mean 'id'?"],
    [() => importing("from", { format: "json" }), "--format json is unknown, did you mean 'jsonl'?"],
    [() => importing("from", { metric: "IP" }), "collection 'from' has the metric L2, not IP"],
    [() => importing("from", { maxErrors: "few" }), "--max-errors must be a whole number"],
    [() => exporting("from", file), `${file} exists; --force replaces it`],
    [() => exporting("nowhere", `${place}/new.npy`), "there is no collection 'nowhere'"],
    [() => exporting("from", `${place}/new.bvecs`), "more than 0 rows that this format cannot hold"],
  ];
  for (const [run, message] of refusals) await expect(run()).rejects.toThrow(message);
  expect(fs.readdirSync(place)).toEqual(["docs.jsonl"]);
});
