/** `vstore export`, and `vstore import` of its files: what goes into a file of each format comes back bit by bit. */
import { execFile, execFileSync } from "node:child_process";
import * as fs from "node:fs";
import { promisify } from "node:util";
import { beforeAll, describe, expect, test } from "vitest";
import { runExport } from "../../src/cli/transfer/export.ts";
import { runImport } from "../harness/run-import.ts";
import { Transfers } from "../harness/transfers.ts";

const dimensions = 6;
/** Zero below zero, the smallest and the largest float32, thirds, and what no short text holds. */
const components = [-0, 1.401298464324817e-45, -3.4028234663852886e38, Math.fround(1 / 3), 16_777_217, 1e-7];

const on = Transfers.begin();

const nameOf = (i: number) => (i % 2 === 0 ? `key:${i}` : `"schlüssel", ${i} 🗝`);
const attributesOf = (i: number) =>
  `{"id": 12345678901234567${i},\n "text": "a \\"comma\\", ${i}", "list": [1.0, {}]}`;

beforeAll(async () => {
  await on.redis.call("VSTORE.CREATE", "from", "DIM", dimensions, "METRIC", "L2");
  for (let i = 0; i < 40; i++) {
    const vector = Float32Array.from(components, (value, at) => (at === i % dimensions ? i - 20 : value));
    await on.insert("from", nameOf(i), vector, i % 3 === 0 ? undefined : attributesOf(i));
  }
});

describe("what is exported and imported is the same, bit by bit:", () => {
  test.each(["jsonl", "csv", "parquet", "arrow", "npz"])("%s, with keys and attributes", async (format) => {
    const [file, to] = [`${on.place}/all.${format}`, on.fresh()];
    expect(await runExport("from", file, { ...on.url(), attributes: true })).toBe(0);
    expect(await runImport(to, file, { ...on.url(), create: true, metric: "L2" })).toBe(0);
    expect(await on.contents(to)).toEqual(await on.contents("from"));
    expect(fs.readdirSync(on.place)).toEqual([`all.${format}`]);
  });

  test.each(["jsonl", "csv", "arrow"])("%s, through a named pipe", async (format) => {
    const [file, pipe, to] = [`${on.place}/whole.${format}`, `${on.place}/pipe.${format}`, on.fresh()];
    await runExport("from", file, { ...on.url(), attributes: true });
    execFileSync("mkfifo", [pipe]);
    // It waits for a reader, and ends with that one: no second reader gets anything.
    const writing = promisify(execFile)("cp", [file, pipe]);
    expect(await runImport(to, pipe, { ...on.url(), create: true, metric: "L2" })).toBe(0);
    await writing;
    expect(await on.contents(to)).toEqual(await on.contents("from"));
    for (const each of [file, pipe]) fs.rmSync(each);
  });

  test.each(["parquet", "npz"])("%s does not come through a named pipe", async (format) => {
    const pipe = `${on.place}/pipe.${format}`;
    execFileSync("mkfifo", [pipe]);
    const writing = promisify(execFile)("cp", ["/proc/self/maps", pipe]);
    const importing = runImport(on.fresh(), pipe, { ...on.url(), create: true, metric: "L2" });
    await expect(importing).rejects.toThrow("so it needs a file");
    // What is written to a pipe that nobody reads any more may be lost.
    await writing.catch(() => {});
    fs.rmSync(pipe);
  });

  test.each(["npy", "fvecs"])("%s, with its keys in a file of their own", async (format) => {
    const [file, keys, to] = [`${on.place}/all.${format}`, `${on.place}/keys.txt`, on.fresh()];
    await runExport("from", file, { ...on.url(), keys, attributes: true });
    await runImport(to, file, { ...on.url(), keys, create: true, metric: "L2" });
    const withoutAttributes = Object.entries(await on.contents("from")).map(([key, [vector]]) => [
      key,
      [vector, null],
    ]);
    expect(await on.contents(to)).toEqual(Object.fromEntries(withoutAttributes));
  });

  test.each([
    ["bvecs", [0, 255, 7]],
    ["ivecs", [-(2 ** 24), 2 ** 24, 0]],
  ])("%s, where all components are in its range", async (format, values) => {
    const [from, to, file] = [on.fresh(), on.fresh(), `${on.place}/whole.${format}`];
    await on.redis.call("VSTORE.CREATE", from, "DIM", values.length, "METRIC", "L2");
    for (let i = 0; i < 5; i++) await on.insert(from, `n${i}`, Float32Array.from(values));
    await on.insert(
      from,
      "half",
      Float32Array.from(values, (_, at) => at + 0.5),
    );
    await runExport(from, file, { ...on.url(), attributes: true, maxErrors: "1" });
    expect(on.stderr).toContain('"half": 0.5 is no whole number');
    await runImport(to, file, { ...on.url(), create: true, metric: "L2", keyPrefix: "n" });
    const { half, ...others } = await on.contents(from);
    expect(half).toBeDefined();
    expect(await on.contents(to)).toEqual(others);
  });
});

describe("when keys expire", () => {
  const far = 4_000_000_000_000;
  const timesOf = async (collection: string) => {
    const [, found] = (await on.redis.call("VSTORE.SCAN", collection, 0, "COUNT", 99, "WITHEXPIRETIME")) as [
      string,
      [string, number][],
    ];
    return Object.fromEntries(found);
  };
  let from: string;
  beforeAll(async () => {
    from = on.fresh();
    await on.redis.call("VSTORE.CREATE", from, "DIM", 2, "METRIC", "L2");
    for (const key of ["never", "far", "later"]) await on.insert(from, key, Float32Array.of(1, 2), '{"a":1}');
    await on.redis.call("VSTORE.PEXPIREAT", from, "far", far);
    await on.redis.call("VSTORE.PEXPIREAT", from, "later", far + 1);
  });

  test.each(["jsonl", "csv", "parquet", "arrow"])("%s says it, to the millisecond", async (format) => {
    const [file, to] = [`${on.place}/all.${format}`, on.fresh()];
    await runExport(from, file, { ...on.url(), attributes: true });
    await runImport(to, file, { ...on.url(), create: true, metric: "L2" });
    expect(on.stderr).toContain("expiry: expires_at_ms");
    expect(await timesOf(to)).toEqual({ never: -1, far, later: far + 1 });
    expect(await on.contents(to)).toEqual(await on.contents(from));
  });

  test("npz has no place for it, and the export says so", async () => {
    await runExport(from, `${on.place}/all.npz`, { ...on.url(), attributes: true });
    expect(on.stderr).toContain("keys will not expire after an import");
  });

  test("--no-expire-times leaves it out, of an export and of an import", async () => {
    const [with_, without] = [`${on.place}/with.csv`, `${on.place}/without.csv`];
    await runExport(from, without, { ...on.url(), attributes: true, expireTimes: false });
    expect(fs.readFileSync(without, "utf8").split("\n")[0]).toBe("key,vector,attributes");
    await runExport(from, with_, { ...on.url(), attributes: true });
    const to = on.fresh();
    await runImport(to, with_, { ...on.url(), create: true, metric: "L2", expireTimes: false });
    expect(await timesOf(to)).toEqual({ never: -1, far: -1, later: -1 });
  });

  test("a time that is past removes the key, and what is no time is a bad row", async () => {
    const [file, to] = [`${on.place}/some.csv`, on.fresh()];
    fs.writeFileSync(
      file,
      `key,vector,expires_at_ms\npast,"[1,2]",1000\nstays,"[1,2]",\nfar,"[1,2]",${far}\nbad,"[1,2]",tomorrow\n`,
    );
    await runImport(to, file, { ...on.url(), create: true, metric: "L2", maxErrors: "1" });
    expect(await timesOf(to)).toEqual({ stays: -1, far });
    expect(on.stderr).toMatch(/^line 5: 'expires_at_ms' is no time in ms since 1970$/m);
  });
});

test.each(["vectors.npy", "keys.npy", "attributes.jsonl"])(
  "an npz whose %s is damaged is refused",
  async (name) => {
    const [file, to] = [`${on.place}/damaged.npz`, on.fresh()];
    await runExport("from", file, { ...on.url(), attributes: true });
    const bytes = fs.readFileSync(file);
    bytes[bytes.indexOf(name) + name.length + 200]! ^= 1;
    fs.writeFileSync(file, bytes);
    const done = runImport(to, file, { ...on.url(), create: true, metric: "L2" });
    await expect(done).rejects.toThrow(`'${name}' in it is damaged`);
    expect(await on.redis.call("VSTORE.LIST")).not.toContain(to);
  },
);

test("NumPy reads what is exported", async () => {
  const file = `${on.place}/all.npz`;
  await runExport("from", file, { ...on.url(), attributes: true });
  const load =
    "import sys, numpy; z = numpy.load(sys.argv[1]); print(z['vectors'].shape, z['vectors'].dtype, sorted(z['keys'])[0])";
  const printed = execFileSync("python3", ["-c", load, file], { encoding: "utf8" });
  expect(printed.trim()).toBe(`(40, ${dimensions}) float32 ${[...Array(40).keys()].map(nameOf).sort()[0]}`);
});
