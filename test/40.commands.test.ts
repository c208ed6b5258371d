/**
 * Every command, run from argument bytes to reply bytes on a real store in a temporary directory: the reply's shape,
 * each error, each limit, and that what is refused changes nothing. Replies are written as their RESP3 lines, one
 * space for each line end.
 */
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { execute, type Outcome } from "../src/commands/execute.ts";
import { Catalog } from "../src/engine/catalog.ts";
import { collectionDirectory } from "../src/engine/names.ts";
import { limits } from "../src/limits.ts";

type Word = string | number | Uint8Array;

let directory: string;
let catalog: Catalog;
let requests: number;
let unexpected: unknown[];

beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), "vstore-commands-"));
  catalog = await Catalog.open(directory);
  requests = 0;
  unexpected = [];
  await run("CREATE", "c", "DIM", 2, "METRIC", "L2");
});

afterEach(async () => {
  await catalog.close();
  rmSync(directory, { recursive: true });
  expect(unexpected).toEqual([]);
});

function start(name: string, ...words: Word[]): Outcome | Promise<Outcome> {
  const args = words.map((word) => (typeof word === "object" ? word : Buffer.from(String(word))));
  const id = `${++requests}-0`;
  const onUnexpectedError = (error: unknown) => unexpected.push(error);
  const collection = catalog.collections().find(({ name }) => name === words[0]);
  const onApplied = () => {
    if (collection) collection.appliedId = id;
  };
  return execute({ catalog, id, onUnexpectedError }, name, args, onApplied);
}

async function run(name: string, ...words: Word[]): Promise<string> {
  const { bytes } = await start(name, ...words);
  return bytes.toString("latin1").trimEnd().replaceAll("\r\n", " ");
}

const blob = (...components: number[]) => Buffer.from(new Float32Array(components).buffer);

/** Runs nothing else between: the state as every other command shows it. */
async function state(): Promise<string[]> {
  const keys = await run("SCAN", "c", 0, "COUNT", 1000);
  const vectors = await run("SEARCH", "c", "FP32", blob(0, 0), "COUNT", 1000, "WITHDISTANCES", "WITHATTRS");
  return [await run("LIST"), await run("CARD", "c"), keys, vectors];
}

describe("CREATE, LIST and DROP", () => {
  test("a collection comes and goes", async () => {
    expect(await run("CREATE", "b", "DIM", 3)).toBe("+OK");
    expect(await run("LIST")).toBe("*2 $1 b $1 c");
    expect(await run("DROP", "b")).toBe("+OK");
    expect(await run("LIST")).toBe("*1 $1 c");
  });

  test("an existing one is an error, or nil with NX", async () => {
    expect(await run("CREATE", "c", "DIM", 3)).toMatch(/^-COLLECTIONEXISTS .*'?c'?/);
    expect(await run("CREATE", "c", "DIM", 3, "NX")).toBe("_");
    expect(await run("CREATE", "new", "DIM", 3, "NX")).toBe("+OK");
    expect(await run("INFO", "c")).toContain("$10 dimensions :2");
  });

  test("options are kept, defaults filled in", async () => {
    await run(
      "CREATE",
      "d",
      "DIM",
      4,
      "EF",
      7,
      "METRIC",
      "ip",
      "EF_CONSTRUCTION",
      50,
      "M",
      8,
      "QUANT",
      "f32",
    );
    const chosen =
      "$10 dimensions :4 $6 metric $2 IP $12 quantization $3 F32 $1 m :8 $15 ef_construction :50 $2 ef :7";
    expect(await run("INFO", "d")).toContain(chosen);
    await run("CREATE", "e", "DIM", 4);
    const defaults =
      "$6 metric $6 COSINE $12 quantization $4 INT8 $1 m :16 $15 ef_construction :200 $2 ef :100";
    expect(await run("INFO", "e")).toContain(defaults);
  });

  test("there are three ways to keep vectors in the index", async () => {
    expect(await run("CREATE", "q", "DIM", 4, "QUANT", "Q8")).toMatch(
      /^-ERR 'QUANT' must be INT8, F16 or F32/,
    );
    expect(await run("LIST")).toBe("*1 $1 c");
  });

  test("one that does not exist cannot be dropped", async () => {
    expect(await run("DROP", "nobody")).toMatch(/^-NOCOLLECTION /);
  });

  test("there is a limit to their number, which damaged ones count towards", async () => {
    await catalog.close();
    for (let n = 1; n < limits.collectionsMax - 1; n++)
      mkdirSync(join(directory, collectionDirectory(`n${n}`)));
    catalog = await Catalog.open(directory);
    expect(await run("CREATE", "last", "DIM", 1)).toBe("+OK");
    expect(await run("CREATE", "one-more", "DIM", 1)).toMatch(/^-LIMIT .*1000/);
    expect(catalog.names().length).toBe(limits.collectionsMax);
  });

  test("a damaged one is refused by file and offset", async () => {
    await catalog.close();
    mkdirSync(join(directory, collectionDirectory("broken")));
    catalog = await Catalog.open(directory);
    expect(await run("CARD", "broken")).toMatch(/^-DAMAGED .*MANIFEST\.json at byte 0: /);
    expect(await run("CREATE", "broken", "DIM", 1, "NX")).toMatch(/^-DAMAGED /);
    expect(await run("LIST")).toBe("*2 $6 broken $1 c");
    expect(await run("DROP", "broken")).toBe("+OK");
  });
});

describe("INSERT", () => {
  test("answers 1 for a new key and 0 for an updated one", async () => {
    expect(await run("INSERT", "c", "a", "FP32", blob(1, 2))).toBe(":1");
    expect(await run("INSERT", "c", "a", "VALUES", 2, 3, 4)).toBe(":0");
    expect(await run("GET", "c", "a")).toBe("*2 ,3 ,4");
    expect(await run("CARD", "c")).toBe(":1");
  });

  test("NX and XX refuse with nil", async () => {
    expect(await run("INSERT", "c", "a", "FP32", blob(1, 2), "XX")).toBe("_");
    expect(await run("INSERT", "c", "a", "FP32", blob(1, 2), "NX")).toBe(":1");
    expect(await run("INSERT", "c", "a", "FP32", blob(9, 9), "NX")).toBe("_");
    expect(await run("GET", "c", "a")).toBe("*2 ,1 ,2");
    expect(await run("INSERT", "c", "a", "FP32", blob(5, 6), "xx")).toBe(":0");
  });

  test("SETATTR sets attributes, an update without it keeps them, an empty one removes them", async () => {
    await run("INSERT", "c", "a", "FP32", blob(1, 2), "SETATTR", '{"n":1}');
    expect(await run("GETATTR", "c", "a")).toBe('$7 {"n":1}');
    await run("INSERT", "c", "a", "FP32", blob(3, 4));
    expect(await run("GETATTR", "c", "a")).toBe('$7 {"n":1}');
    await run("INSERT", "c", "a", "FP32", blob(3, 4), "SETATTR", "");
    expect(await run("GETATTR", "c", "a")).toBe("_");
  });

  test("keys are any bytes and come back as they were", async () => {
    const key = Buffer.from("a\0\r\n*3\r\n\xff", "latin1");
    await run("INSERT", "c", key, "FP32", blob(0, 0));
    const { bytes } = await start("SEARCH", "c", "FP32", blob(0, 0));
    expect(bytes.equals(Buffer.concat([Buffer.from("*1\r\n$9\r\n"), key, Buffer.from("\r\n")]))).toBe(true);
    expect(await run("EXISTS", "c", key)).toBe(":1");
  });

  test("the largest dimension fits", async () => {
    await run("CREATE", "wide", "DIM", limits.dimensionsMax);
    const components = Array.from({ length: limits.dimensionsMax }, (_, i) => i + 1);
    expect(await run("INSERT", "wide", "f", "FP32", blob(...components))).toBe(":1");
    expect(await run("INSERT", "wide", "v", "VALUES", limits.dimensionsMax, ...components)).toBe(":1");
    expect(await run("GET", "wide", "v")).toBe(await run("GET", "wide", "f"));
  });

  test("answers in the same tick when there is room", async () => {
    await run("INSERT", "c", "a", "FP32", blob(1, 2));
    expect(start("INSERT", "c", "b", "FP32", blob(1, 2))).not.toBeInstanceOf(Promise);
    expect(catalog.get("c").appliedId).toBe(`${requests}-0`);
  });
});

describe("MINSERT", () => {
  test("answers the number of new keys", async () => {
    await run("INSERT", "c", "a", "FP32", blob(9, 9));
    expect(await run("MINSERT", "c", 3, "a", "b", "c", "FP32", blob(1, 2, 3, 4, 5, 6))).toBe(":2");
    expect(await run("MGET", "c", "a", "b", "c")).toBe("*3 *2 ,1 ,2 *2 ,3 ,4 *2 ,5 ,6");
  });

  test("of a repeated key the last one counts", async () => {
    expect(await run("MINSERT", "c", 3, "a", "b", "a", "FP32", blob(1, 1, 2, 2, 3, 3))).toBe(":2");
    expect(await run("MGET", "c", "a", "b")).toBe("*2 *2 ,3 ,3 *2 ,2 ,2");
    expect(await run("CARD", "c")).toBe(":2");
  });

  test("SETATTR has one JSON text for each key", async () => {
    await run("MINSERT", "c", 2, "a", "b", "FP32", blob(1, 1, 2, 2), "SETATTR", '{"n":1}', "");
    expect(await run("GETATTR", "c", "a")).toBe('$7 {"n":1}');
    expect(await run("GETATTR", "c", "b")).toBe("_");
  });

  test("all or nothing", async () => {
    const before = await state();
    const nan = blob(1, 1, 2, Number.NaN);
    expect(await run("MINSERT", "c", 2, "a", "b", "FP32", nan)).toBe(
      "-ERR 'vector 2' must be finite, component 2 is NaN",
    );
    expect(await state()).toEqual(before);
  });
});

describe("GET and MGET", () => {
  test("doubles, or the bytes, or nil", async () => {
    await run("INSERT", "c", "a", "FP32", blob(0.1, -2));
    expect(await run("GET", "c", "a")).toBe("*2 ,0.10000000149011612 ,-2");
    const { bytes } = await start("GET", "c", "a", "RAW");
    expect(bytes.equals(Buffer.concat([Buffer.from("$8\r\n"), blob(0.1, -2), Buffer.from("\r\n")]))).toBe(
      true,
    );
    expect(await run("GET", "c", "nobody")).toBe("_");
    expect(await run("GET", "c", "nobody", "RAW")).toBe("_");
    expect(await run("MGET", "c", "nobody", "a")).toBe("*2 _ *2 ,0.10000000149011612 ,-2");
  });
});

describe("DEL, EXISTS and CARD", () => {
  test("count keys", async () => {
    await run("MINSERT", "c", 3, "a", "b", "c", "FP32", blob(1, 2, 3, 4, 5, 6));
    expect(await run("EXISTS", "c", "a", "a", "nobody")).toBe(":2");
    expect(await run("DEL", "c", "a", "a", "nobody", "b")).toBe(":2");
    expect(await run("CARD", "c")).toBe(":1");
    expect(await run("EXISTS", "c", "a", "b", "c")).toBe(":1");
    expect(await run("SEARCH", "c", "FP32", blob(0, 0))).toBe("*1 $1 c");
  });
});

describe("SETATTR and GETATTR", () => {
  test("JSON comes back as it was written", async () => {
    await run("INSERT", "c", "a", "FP32", blob(1, 2));
    expect(await run("SETATTR", "c", "a", '{ "x" : "\u00e9" }')).toBe(":1");
    expect(await run("GETATTR", "c", "a")).toBe('$14 { "x" : "\u00c3\u00a9" }');
    expect(await run("SETATTR", "c", "a", "")).toBe(":1");
    expect(await run("GETATTR", "c", "a")).toBe("_");
    expect(await run("SETATTR", "c", "nobody", "{}")).toBe(":0");
    expect(await run("GETATTR", "c", "nobody")).toBe("_");
  });

  test("as large as the limit", async () => {
    await run("INSERT", "c", "a", "FP32", blob(1, 2));
    const json = `{"a":"${"x".repeat(limits.attributesBytesMax - 8)}"}`;
    expect(await run("SETATTR", "c", "a", json)).toBe(":1");
    expect(await run("GETATTR", "c", "a")).toBe(`$${limits.attributesBytesMax} ${json}`);
  });
});

describe("SCAN", () => {
  const keys = Array.from({ length: 25 }, (_, i) => `key:${i}`);

  async function scanAll(...options: Word[]): Promise<string[]> {
    const found: string[] = [];
    let cursor = "0";
    do {
      const [, , next, , ...words] = (await run("SCAN", "c", cursor, ...options)).split(" ");
      cursor = next!;
      found.push(...words.filter((_, i) => i % 2 === 1));
    } while (cursor !== "0");
    return found.sort();
  }

  beforeEach(async () => {
    for (const [i, key] of keys.entries()) await run("INSERT", "c", key, "FP32", blob(i, i));
  });

  test("answers the next cursor and some keys", async () => {
    expect(await run("SCAN", "c", 0, "COUNT", 2)).toBe("*2 $1 2 *2 $5 key:0 $5 key:1");
    expect(await run("SCAN", "c", 24)).toBe("*2 $1 0 *1 $6 key:24");
    expect(await run("SCAN", "c", limits.slotsMax)).toBe("*2 $1 0 *0");
  });

  test.each([1, 3, 10, limits.scanCountMax])("finds every key, %i at a time", async (count) => {
    await run("DEL", "c", "key:7");
    expect(await scanAll("COUNT", count)).toEqual(keys.filter((key) => key !== "key:7").sort());
  });

  test("MATCH leaves out the others", async () => {
    expect(await scanAll("MATCH", "key:2?")).toEqual(["key:20", "key:21", "key:22", "key:23", "key:24"]);
    expect(await run("SCAN", "c", 0, "MATCH", "x*")).toBe("*2 $2 10 *0");
  });

  test.each<[Word[], string]>([
    [[-1], "-ERR 'cursor' must be an integer from 0 to 9007199254740991, got -1"],
    [
      ["9007199254740992"],
      "-ERR 'cursor' must be an integer from 0 to 9007199254740991, got 9007199254740992",
    ],
    [["x"], "-ERR 'cursor' must be an integer from 0 to 9007199254740991, got 'x'"],
    [[0, "COUNT", 0], "-ERR 'COUNT' must be an integer from 1 to 100000, got 0"],
    [[0, "COUNT", 100001], "-ERR 'COUNT' must be an integer from 1 to 100000, got 100001"],
  ])("%j is refused", async (words, message) => {
    expect(await run("SCAN", "c", ...words)).toBe(message);
  });
});

describe("SEARCH", () => {
  beforeEach(async () => {
    await run(
      "MINSERT",
      "c",
      3,
      "far",
      "near",
      "mid",
      "FP32",
      blob(9, 0, 1, 0, 3, 4),
      "SETATTR",
      '{"n":1}',
      "",
      "{}",
    );
  });

  test("nearest first, as keys", async () => {
    expect(await run("SEARCH", "c", "FP32", blob(0, 0))).toBe("*3 $4 near $3 mid $3 far");
    expect(await run("SEARCH", "c", "VALUES", 2, 9, 0, "COUNT", 1)).toBe("*1 $3 far");
    expect(await run("SEARCH", "c", "KEY", "mid", "COUNT", 2)).toBe("*2 $3 mid $4 near");
  });

  test("with distances, attributes or both", async () => {
    const query = ["c", "FP32", blob(0, 0), "COUNT", 3] as const;
    expect(await run("SEARCH", ...query, "WITHDISTANCES")).toBe("%3 $4 near ,1 $3 mid ,5 $3 far ,9");
    expect(await run("SEARCH", ...query, "WITHATTRS")).toBe('%3 $4 near _ $3 mid $2 {} $3 far $7 {"n":1}');
    expect(await run("SEARCH", ...query, "WITHATTRS", "WITHDISTANCES")).toBe(
      '%3 $4 near *2 ,1 _ $3 mid *2 ,5 $2 {} $3 far *2 ,9 $7 {"n":1}',
    );
  });

  test("EXACT, EF and WITHIN", async () => {
    expect(await run("SEARCH", "c", "FP32", blob(0, 0), "EXACT", "WITHIN", 5)).toBe("*2 $4 near $3 mid");
    expect(await run("SEARCH", "c", "FP32", blob(0, 0), "WITHIN", 4.9, "EF", 10)).toBe("*1 $4 near");
    expect(await run("SEARCH", "c", "FP32", blob(0, 0), "WITHIN", -1)).toBe("*0");
  });

  test("the same before and after BUILD", async () => {
    const query = ["c", "FP32", blob(1, 1), "WITHDISTANCES"] as const;
    const before = await run("SEARCH", ...query);
    await run("BUILD", "c", "WAIT");
    expect(await run("SEARCH", ...query)).toBe(before);
  });

  test("COUNT and EF have limits", async () => {
    const search = (...words: Word[]) => run("SEARCH", "c", "FP32", blob(0, 0), ...words);
    expect(await search("COUNT", limits.countMax, "EF", limits.efMax)).toBe("*3 $4 near $3 mid $3 far");
    expect(await search("COUNT", limits.countMin, "EF", limits.efMin)).toBe("*1 $4 near");
    expect(await search("COUNT", limits.countMax + 1)).toMatch(/^-ERR 'COUNT' must be .* got 10001$/);
    expect(await search("EF", 0)).toBe("-ERR 'EF' must be an integer from 1 to 10000, got 0");
    expect(await search("EF", limits.efMax + 1)).toMatch(/^-ERR 'EF' must be .* got 10001$/);
  });

  test("an unknown key is an error", async () => {
    expect(await run("SEARCH", "c", "KEY", "no\nbody")).toBe(
      "-NOKEY 'KEY' must be a key of the collection, got 'no\\nbody'",
    );
  });
});

describe("BUILD, CHECKPOINT and INFO", () => {
  beforeEach(async () => {
    await run("MINSERT", "c", 2, "a", "b", "FP32", blob(1, 2, 3, 4));
  });

  test("BUILD says what it does, or with WAIT what it did", async () => {
    expect(await run("BUILD", "c")).toMatch(/^\+OK indexing \d+ slots in the background$/);
    await run("INSERT", "c", "d", "FP32", blob(1, 2));
    expect(await run("BUILD", "c", "WAIT")).toMatch(/^\+OK \d+ slots added to the index$/);
    expect(catalog.get("c").tailLength).toBe(0);
    expect(await run("BUILD", "c", "WAIT")).toBe("+OK 0 slots added to the index");
  });

  test("CHECKPOINT says what is covered", async () => {
    const id = `${requests}-0`;
    expect(await run("CHECKPOINT", "c")).toBe(`+OK 2 slots, log covered up to ${id}`);
    expect(catalog.get("c").checkpointId).toBe(id);
    expect(await run("CHECKPOINT")).toBe("+OK 1 collections");
  });

  test("INFO is a map", async () => {
    expect(await run("INFO", "c")).toMatch(/^%\d+ \$10 dimensions :2 \$6 metric \$2 L2 .*\$7 vectors :2 /);
    expect(await run("INFO")).toMatch(/^%\d+ .*\$11 collections :1/);
  });
});

describe("a request that is wrong", () => {
  const vector = ["FP32", blob(1, 2)] as const;
  const unknown = "-NOCOLLECTION ";

  test.each<[string, Word[]]>([
    ["INSERT", ["nobody", "k", ...vector]],
    ["MINSERT", ["nobody", 1, "k", ...vector]],
    ["GET", ["nobody", "k"]],
    ["MGET", ["nobody", "k"]],
    ["DEL", ["nobody", "k"]],
    ["EXISTS", ["nobody", "k"]],
    ["CARD", ["nobody"]],
    ["SETATTR", ["nobody", "k", "{}"]],
    ["GETATTR", ["nobody", "k"]],
    ["EXPIRE", ["nobody", "k", 1]],
    ["TTL", ["nobody", "k"]],
    ["PERSIST", ["nobody", "k"]],
    ["SWEEP", ["nobody"]],
    ["SCAN", ["nobody", 0]],
    ["SEARCH", ["nobody", ...vector]],
    ["BUILD", ["nobody"]],
    ["CHECKPOINT", ["nobody"]],
    ["INFO", ["nobody"]],
    ["DROP", ["nobody"]],
  ])("%s of an unknown collection", async (name, words) => {
    const reply = await run(name, ...words);
    expect(reply.slice(0, unknown.length)).toBe(unknown);
    expect(reply).toContain("nobody");
  });

  test.each<[string, Word[], string | RegExp]>([
    ["INSERT", ["c", "k", "FP32", Buffer.alloc(7)], "-ERR 'vector' must be 8 bytes (2 x float32), got 7"],
    ["INSERT", ["c", "k", "FP32", Buffer.alloc(9)], "-ERR 'vector' must be 8 bytes (2 x float32), got 9"],
    ["INSERT", ["c", "k", "VALUES", 3, 1, 2, 3], "-ERR 'vector' must be 2 numbers, got 3"],
    ["INSERT", ["c", "k", "FP32", blob(1, Number.NaN)], "-ERR 'vector' must be finite, component 2 is NaN"],
    [
      "INSERT",
      ["c", "k", "FP32", blob(Number.POSITIVE_INFINITY, 1)],
      "-ERR 'vector' must be finite, component 1 is Infinity",
    ],
    ["INSERT", ["c", "k", "VALUES", 2, "1e39", 1], "-ERR 'vector' must be finite, component 1 is Infinity"],
    [
      "INSERT",
      ["c", "k".repeat(2000), ...vector],
      /^-ERR 'key' must be 1 to 1024 bytes, got '.*' \(2000 bytes\)$/,
    ],
    ["INSERT", ["../../etc", "k", ...vector], /^-ERR 'collection' must be .*, got '\.\.\/\.\.\/etc'$/],
    ["INSERT", ["c", "k"], "-ERR 'vector' is missing"],
    ["MINSERT", ["c", 2, "a", "b", ...vector], "-ERR 'vector' must be 16 bytes (2 x 2 x float32), got 8"],
    [
      "MINSERT",
      ["c", 1, "a", ...vector, "SETATTR", "{}", "{}"],
      "-ERR 'SETATTR' must be 1 JSON texts, got 2",
    ],
    ["MINSERT", ["c", 1, "a", ...vector, "SETATTR", "[]"], /^-ERR 'SETATTR' must be a JSON object/],
    ["SEARCH", ["c", "FP32", blob(1, Number.NaN)], "-ERR 'vector' must be finite, component 2 is NaN"],
    ["SEARCH", ["c", "FP32", blob(1)], "-ERR 'vector' must be 8 bytes (2 x float32), got 4"],
    ["SEARCH", ["c", "k"], "-ERR 'query' must begin with FP32, VALUES or KEY, got 'k'"],
    ["SETATTR", ["c", "k", "7"], /^-ERR 'json' must be a JSON object/],
    ["CREATE", ["x", "DIM", 0], "-ERR 'DIM' must be an integer from 1 to 16384, got 0"],
    ["FLY", ["c"], "-ERR unknown command 'VSTORE.FLY'"],
    ["FLY\r\n", ["c"], "-ERR unknown command 'VSTORE.FLY\\r\\n'"],
  ])("%s %j changes nothing", async (name, words, message) => {
    const before = await state();
    const reply = await run(name, ...words);
    if (typeof message === "string") expect(reply).toBe(message);
    else expect(reply).toMatch(message);
    expect(await state()).toEqual(before);
  });

  test("a zero vector has no direction", async () => {
    await run("CREATE", "angles", "DIM", 2);
    expect(await run("INSERT", "angles", "k", "FP32", blob(0, 0))).toMatch(/^-ERR 'vector'.*zero/);
    expect(await run("SEARCH", "angles", "FP32", blob(0, 0))).toMatch(/^-ERR 'vector'.*zero/);
    expect(await run("CARD", "angles")).toBe(":0");
    expect(await run("INSERT", "c", "k", "FP32", blob(0, 0))).toBe(":1");
  });

  test("is marked as applied like any other", async () => {
    await start("INSERT", "c", "k", "FP32", Buffer.alloc(7));
    expect(catalog.get("c").appliedId).toBe(`${requests}-0`);
  });
});

describe("an error that nobody raised on purpose", () => {
  test("is an internal error for the client and is reported", async () => {
    const broken = { get: () => undefined } as unknown as Catalog;
    const seen: unknown[] = [];
    const context = {
      catalog: broken,
      id: "1-0",
      onUnexpectedError: (error: unknown, name: string) => seen.push(error, name),
    };
    const { bytes, error } = await execute(context, "CARD", [Buffer.from("c")]);
    expect(bytes.toString()).toMatch(/^-ERR internal error: .+\r\n$/);
    expect(error).toBeInstanceOf(TypeError);
    expect(seen).toEqual([error, "CARD"]);
  });
});
