/** `vstore import`: files of other programs, bad rows, going on after an interruption, and both programs in a pipe. */
import { execFileSync, spawnSync } from "node:child_process";
import * as fs from "node:fs";
import { fileURLToPath } from "node:url";
import { beforeAll, describe, expect, test } from "vitest";
import { startSidecar, startVstore } from "../../harness/sidecar.ts";
import { runExport } from "../../src/cli/transfer/export.ts";
import { temporaryDirectory } from "../harness/directory.ts";
import { fp32 } from "../harness/fp32.ts";
import { runImport } from "../harness/run-import.ts";
import { connectClient, until } from "../harness/serving.ts";
import { Transfers } from "../harness/transfers.ts";

const on = Transfers.begin();

beforeAll(async () => {
  await on.redis.call("VSTORE.CREATE", "from", "DIM", 6, "METRIC", "L2");
  for (let i = 0; i < 3; i++) await on.insert("from", `${i}`, Float32Array.of(i, 0.5, 1, 1, 1, 1));
});

describe("of other programs' files", () => {
  test("CSV gives keys, vectors of many columns, and attributes of the types that their texts have", async () => {
    const [file, to] = [`${on.place}/films.csv`, on.fresh()];
    fs.writeFileSync(
      file,
      'title,year,ean,v1,v2,note\n"Alien, 1979",1979,007,0.5,-1,\nHeat,1995,12,1e-3,2,"a ""b"""\n',
    );
    const columns = { key: "title", vector: "v*", attributes: "*", keyPrefix: "film:" };
    await runImport(to, file, { ...on.url(), ...columns, create: true });
    expect(await on.redis.call("VSTORE.GETATTR", to, "film:Alien, 1979")).toBe('{"year":1979,"ean":"007"}');
    expect(await on.redis.call("VSTORE.GETATTR", to, "film:Heat")).toBe(
      '{"year":1995,"ean":12,"note":"a \\"b\\""}',
    );
    expect(await on.redis.call("VSTORE.GET", to, "film:Heat")).toEqual(
      ["0.001", "2"].map((text) => expect.stringContaining(text)),
    );
    expect(on.stderr).toBe("key: title; vector: v1, v2; attributes: year, ean, note\n");
  });

  test("NumPy's arrays of other types become float32", async () => {
    const types = ["float64", "float16", "float32"];
    const save = `import numpy
for type in ${JSON.stringify(types)}: numpy.save(f"${on.place}/{type}", numpy.array([[1.5, -2], [3, 0.25]], dtype=type))`;
    execFileSync("python3", ["-c", save]);
    const to = on.fresh();
    for (const type of types) {
      await runImport(to, `${on.place}/${type}.npy`, {
        ...on.url(),
        create: true,
        metric: "L2",
        keyPrefix: `${type}:`,
      });
      const read = await on.redis.callBuffer("VSTORE.MGET", to, "RAW", 2, `${type}:0`, `${type}:1`);
      expect(read).toEqual([fp32(1.5, -2), fp32(3, 0.25)]);
    }
  });
});

test("hashes of a Redis, as RediSearch indexes them, become keys, vectors and attributes", async () => {
  const to = on.fresh();
  for (let i = 0; i < 1_200; i++)
    await on.redis.hset(`doc[1]:${i}`, { v: fp32(i, 1), title: `n ${i}`, year: 1900 + i, other: "left out" });
  await on.redis.hset("doc[1]:bad", { title: "without a vector" });
  await on.redis.set("doc[1]:text", "no hash");
  await on.redis.hset("doc1:foreign", { v: fp32(1, 2) });
  const flags = { fromRedis: on.server.url, prefix: "doc[1]:", vector: "v", attributes: "title,year" };
  await runImport(to, undefined, { ...on.url(), ...flags, create: true, metric: "L2", maxErrors: "1" });
  expect(await on.redis.call("VSTORE.CARD", to)).toBe(1_200);
  expect(await on.redis.callBuffer("VSTORE.GET", to, "doc[1]:77", "RAW")).toEqual(fp32(77, 1));
  expect(await on.redis.call("VSTORE.GETATTR", to, "doc[1]:77")).toBe('{"title":"n 77","year":1977}');
  expect(on.stderr).toContain("key: the hash's own; vector: v; attributes: title, year; left out: other");
  expect(on.stderr).toContain("there is no vector in 'v'");
});

describe("bad rows", () => {
  const lines = (count: number, bad: Record<number, string>) =>
    Array.from({ length: count }, (_, i) => bad[i + 1] ?? `{"key":"k${i + 1}","vector":[${i},1]}`).join("\n");

  test("are named by their line and counted, by whichever side finds them, and all others go in", async () => {
    const [file, to] = [`${on.place}/some.jsonl`, on.fresh()];
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
    expect(await runImport(to, file, { ...on.url(), create: true, metric: "L2", maxErrors: "6" })).toBe(0);
    expect(await on.redis.call("VSTORE.CARD", to)).toBe(1_494);
    for (const line of Object.keys(bad)) expect(on.stderr).toMatch(new RegExp(`^line ${line}: `, "m"));
    expect(on.stderr).toMatch(/^line 5: the vector has 3 components, not 2$/m);
    expect(on.stderr).toMatch(/^line 9: ERR 'key' must be 1 to 1024 bytes/m);
    expect(on.stdout.at(-1)).toMatch(/^imported 1,494 vectors into to:\d+ in .*; 6 bad rows$/);
  });

  test("end the import when there are more than --max-errors, and it says how to go on", async () => {
    const [file, to] = [`${on.place}/some.jsonl`, on.fresh()];
    fs.writeFileSync(file, lines(10, { 4: "[]", 6: "", 7: "no" }));
    const importing = runImport(to, file, { ...on.url(), create: true, maxErrors: "1" });
    await expect(importing).rejects.toThrow(/^stopped: more than 1 bad row; .*\(--skip 5\)$/);
    expect(on.stderr).toMatch(/^line 4: no JSON object$/m);
    expect(on.stderr).toMatch(/^line 7: /m);
  });

  test("are all counted by --dry-run, which writes nothing", async () => {
    const [file, to] = [`${on.place}/some.jsonl`, on.fresh()];
    fs.writeFileSync(file, lines(10, { 4: "[]", 7: "no" }));
    expect(await runImport(to, file, { ...on.url(), create: true, dryRun: true })).toBe(0);
    expect(on.stdout.at(-1)).toBe(`8 rows would go into ${to}; 2 bad rows`);
    await expect(on.redis.call("VSTORE.CARD", to)).rejects.toThrow("NOCOLLECTION");
  });
});

describe("an import", () => {
  test("goes on where it was interrupted, and its last row of a key counts", async () => {
    const [file, state, to] = [`${on.place}/many.jsonl`, `${on.place}/state`, on.fresh()];
    const row = (i: number) => `{"key":"k${i % 700}","vector":[${i},1]}`;
    const rows = Array.from({ length: 2_000 }, (_, i) => row(i));
    const broken = rows.with(1_500, "broken");
    fs.writeFileSync(file, broken.join("\n"));
    const flags = { ...on.url(), create: true as const, metric: "L2", resume: state };
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
        on.stdout
          .at(-1)!
          .replace(/\D*([\d,]+).*/, "$1")
          .replace(",", ""),
        10,
      ),
    ).toBe(2_000 - done - (done <= 1_500 ? 1 : 0));
    const last = (await on.redis.call("VSTORE.GET", to, "k10")) as string[];
    expect(last.map(Number)).toEqual([1_410, 1]);
  });

  test("passes over the rows that are skipped, also where they are read in several pieces", async () => {
    const note = "n".repeat(50_000);
    const rows = Array.from({ length: 60 }, (_, i) => `k${i},"[${i},1]",${i < 30 ? note : ""}`);
    const [text, to] = [`${on.place}/long.csv`, on.fresh()];
    fs.writeFileSync(text, ["key,vector,note", ...rows].join("\n"));
    for (const skip of ["55", "59"]) {
      await runImport(to, text, { ...on.url(), create: true, metric: "L2", skip });
      expect(on.stdout.at(-1)).toMatch(skip === "55" ? /^imported 5 vectors/ : /^imported 1 vector /);
    }
    expect(Object.keys(await on.contents(to)).sort()).toEqual(["k55", "k56", "k57", "k58", "k59"]);
  });

  test("knows the dimensions also where it begins with bad rows only", async () => {
    const [file, to] = [`${on.place}/late.jsonl`, on.fresh()];
    const bad = Array.from({ length: 40 }, (_, i) => `{"key":"${i}","vector":"${"x".repeat(50_000)}"}`);
    fs.writeFileSync(file, [...bad, '{"key":"good","vector":[1,2]}'].join("\n"));
    await runImport(to, file, { ...on.url(), create: true, metric: "L2", maxErrors: "40" });
    expect(on.stdout.at(-1)).toMatch(/^imported 1 vector into .*; 40 bad rows$/);
    expect(Object.keys(await on.contents(to))).toEqual(["good"]);
  });

  test("waits for a sidecar that is away, and loses nothing", async () => {
    const [file, to] = [`${on.place}/many.fvecs`, on.fresh()];
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
      env: { ...process.env, VSTORE_REDIS_URL: on.server.url },
      input,
    };
    return spawnSync(process.execPath, [program, ...args], options);
  };

  test("reads a pipe and writes one", async () => {
    const to = on.fresh();
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
    const file = `${on.place}/rows.fvecs`;
    fs.writeFileSync(file, fvecs(1_000));
    const spawnInTerminal =
      "import os, pty, sys; sys.exit(os.waitstatus_to_exitcode(pty.spawn(sys.argv[1:])))";
    const args = ["import", on.fresh(), file, "--create", "--redis-url", on.server.url];
    const options = { encoding: "utf8" as const, input: "" };
    const shown = spawnSync("python3", ["-c", spawnInTerminal, process.execPath, program, ...args], options);
    expect(shown.status).toBe(0);
    expect(shown.stdout).toMatch(/importing \S+ 100% 1,000 rows, [\d,]+\/s/);
    expect(shown.stdout).toMatch(/imported 1,000 vectors into to:/);
  });

  test("ends with 2 when it is told what cannot be", () => {
    expect(run(["import", "nowhere", `${on.place}/none.csv`])).toMatchObject({ status: 2, stdout: "" });
    expect(run(["export", "from", "-", "--format", "npy"]).status).toBe(2);
  });
});

test("what cannot be is refused with a hint, and leaves no file behind", async () => {
  const file = `${on.place}/docs.jsonl`;
  fs.writeFileSync(file, '{"id":"a","embedding":[1,2]}');
  const importing = (to: string, flags = {}) => runImport(to, file, { ...on.url(), ...flags });
  const exporting = (from: string, to: string, flags = {}) =>
    runExport(from, to, { ...on.url(), attributes: true, ...flags });
  const refusals: [() => Promise<number>, string][] = [
    [() => importing("nowhere"), "there is no collection 'nowhere'; --create makes it"],
    [() => importing("from", { key: "ids" }), "there is no column 'ids', did you mean 'id'?"],
    [() => importing("from", { format: "json" }), "--format json is unknown, did you mean 'jsonl'?"],
    [() => importing("from", { metric: "IP" }), "collection 'from' has the metric L2, not IP"],
    [() => importing("from", { maxErrors: "few" }), "--max-errors must be a whole number"],
    [() => exporting("from", file), `${file} exists; --force replaces it`],
    [() => exporting("nowhere", `${on.place}/new.npy`), "there is no collection 'nowhere'"],
    [() => exporting("from", `${on.place}/new.bvecs`), "more than 0 rows that this format cannot hold"],
  ];
  for (const [run, message] of refusals) await expect(run()).rejects.toThrow(message);
  expect(fs.readdirSync(on.place)).toEqual(["docs.jsonl"]);
});
