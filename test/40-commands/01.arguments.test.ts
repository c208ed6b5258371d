/** Arguments: what each kind of value accepts, what it says when it refuses, and how options are told apart. */
import { describe, expect, test } from "vitest";
import { parseArguments } from "../../src/commands/grammar/arguments.ts";
import { toVector } from "../../src/commands/grammar/vector.ts";
import { commands } from "../../src/commands/registry.ts";
import { toWireError } from "../../src/commands/wire/wire-error.ts";
import type { CheckedAttributes } from "../../src/engine/input.ts";
import { limits } from "../../src/limits.ts";

type Words = (string | number | Uint8Array)[];

function parse(name: string, ...words: Words): unknown {
  const args = words.map((word) => (typeof word === "object" ? word : Buffer.from(String(word))));
  return parseArguments(commands.get(name)!.args, args);
}

function refusal(name: string, ...words: Words): string {
  try {
    parse(name, ...words);
  } catch (error) {
    return toWireError(error);
  }
  return "accepted";
}

describe("integers", () => {
  const count = (text: string) => refusal("SEARCH", "c", "KEY", "k", "COUNT", text);

  test.each(["1", "10", "10000"])("COUNT %j is one", (text) => {
    expect(parse("SEARCH", "c", "KEY", "k", "COUNT", text)).toMatchObject({ options: { k: Number(text) } });
  });

  test.each([
    ["0", "0"],
    ["10001", "10001"],
    ["-1", "-1"],
    ["1.5", "1.5"],
    ["", "''"],
    [" 1", "' 1'"],
    ["1 ", "'1 '"],
    ["+1", "'+1'"],
    ["10abc", "'10abc'"],
    ["0x10", "'0x10'"],
    ["1e3", "'1e3'"],
    ["١", "'\\xd9\\xa1'"],
    ["99999999999999999999", "99999999999999999999"],
  ])("COUNT %j is refused", (text, shown) => {
    expect(count(text)).toBe(`ERR 'COUNT' must be an integer from 1 to 10000, got ${shown}`);
  });

  test("a leading zero is refused, so that no two texts mean the same number", () => {
    expect(count("007")).toBe("ERR 'COUNT' must be an integer from 1 to 10000, got 007");
  });
});

describe("doubles", () => {
  const within = (text: string) => refusal("SEARCH", "c", "KEY", "k", "WITHIN", text);

  test.each(["0", "-1.5", "+.5", "5.", "1e-3", "1E5"])("WITHIN %j is one", (text) => {
    expect(parse("SEARCH", "c", "KEY", "k", "WITHIN", text)).toMatchObject({
      options: { within: Number(text) },
    });
  });

  test.each(["", ".", "1.2.3", "nan", "inf", "Infinity", "0x1p3", "1 ", "1e999", "1,5"])(
    "WITHIN %j is refused",
    (text) => {
      expect(within(text)).toBe(`ERR 'WITHIN' must be a finite number, got '${text}'`);
    },
  );
});

describe("collection names", () => {
  const longest = "n".repeat(limits.collectionNameBytesMax);

  test.each(["c", "A-Z_0.9:@", "{user}:c", "a{b}c", "...", longest])("%s is one", (name) => {
    expect(parse("CARD", name)).toEqual({ collection: name });
  });

  test.each(["", "../../etc", "a b", "a/b", "ä", "a\0", "a\r\nb", `${longest}n`])("%j is refused", (name) => {
    expect(refusal("CARD", name)).toMatch(
      /^ERR 'collection' must be 1 to 80 characters of A-Z a-z 0-9 _ \. : @ \{ \} -, got '[ -~]*'/,
    );
  });

  test.each(["{", "}", "{}", "{user}", "}{", "{a", "a}", "{a}{b}", "{{a}}", "{a}}"])(
    "braces in %s are refused",
    (name) => {
      expect(refusal("CARD", name)).toBe(
        `ERR 'collection' must be a name with braces only as one hash tag like {user}:docs, got '${name}'`,
      );
    },
  );

  test.each([".", ".."])("%s is refused", (name) => {
    expect(refusal("CARD", name)).toBe(`ERR 'collection' must be a name other than . and .., got '${name}'`);
  });
});

describe("keys", () => {
  test("are any bytes, up to the limit", () => {
    const all = Buffer.from(Array.from({ length: 256 }, (_, byte) => byte));
    expect(parse("GETATTR", "c", all)).toMatchObject({ key: all });
    expect(parse("GETATTR", "c", "k".repeat(limits.keyBytesMax))).toBeDefined();
  });

  test("of no or too many bytes are refused, and not repeated whole", () => {
    expect(refusal("GETATTR", "c", "")).toBe("ERR 'key' must be 1 to 1024 bytes, got ''");
    expect(refusal("GETATTR", "c", "k".repeat(limits.keyBytesMax + 1))).toBe(
      `ERR 'key' must be 1 to 1024 bytes, got '${"k".repeat(64)}...' (1025 bytes)`,
    );
  });
});

describe("attributes", () => {
  const setattr = (json: string | Uint8Array) => refusal("SETATTR", "c", "k", json);
  const ofSize = (bytes: number) => `{"a":"${"x".repeat(bytes - 8)}"}`;

  test.each(["{}", '{"a":[1,{"b":null}]}', ' {"ä" : "\\u0000"} ', ""])("%j are kept as they came", (json) => {
    const { attributes } = parse("SETATTR", "c", "k", json) as { attributes: CheckedAttributes };
    expect(Buffer.from(attributes.text).toString()).toBe(json);
    expect(attributes.json).toEqual(json === "" ? undefined : JSON.parse(json));
  });

  test.each(["[1,2]", "null", "1", '"text"', "{", "{'a':1}", "{}x"])("%j are refused", (json) => {
    expect(setattr(json)).toMatch(/^ERR 'json' must be a JSON object \(or nothing, to remove it\), got /);
  });

  test("of invalid UTF-8 are refused", () => {
    expect(setattr(Buffer.from([0x7b, 0xff, 0x7d]))).toBe("ERR 'json' must be valid UTF-8, got '{\\xff}'");
  });

  test("have a limit", () => {
    expect(setattr(ofSize(limits.attributesBytesMax))).toBe("accepted");
    expect(setattr(ofSize(limits.attributesBytesMax + 1))).toMatch(
      /^ERR 'json' must be at most 65536 bytes of JSON, got '.{60,80}\.\.\.' \(65537 bytes\)$/,
    );
  });

  test("nested as deep as the limit allows are no danger", () => {
    expect(setattr("[".repeat(limits.attributesBytesMax))).toMatch(/^ERR 'json' must be a JSON object/);
  });
});

describe("vectors", () => {
  const floats = new Float32Array([1, -0.5, 3e38]);
  const blob = Buffer.from(floats.buffer);
  const vectorOf = (...words: Words) =>
    toVector((parse("INSERT", "c", "k", ...words) as { vector: { fp32: Uint8Array } }).vector, 3);

  test("FP32 is used where it lies when it is aligned, and copied when not", () => {
    expect(vectorOf("FP32", blob).buffer).toBe(blob.buffer);
    const shifted = Buffer.concat([Buffer.from([0]), blob]).subarray(1);
    const unaligned = Buffer.from(new ArrayBuffer(13), 1, 12);
    shifted.copy(unaligned);
    expect(vectorOf("fp32", unaligned)).toEqual(floats);
  });

  test("VALUES are the same numbers", () => {
    expect(vectorOf("VALUES", 3, 1, -0.5, "3e38")).toEqual(floats);
  });

  test.each([
    [["FP32", blob.subarray(1)], "ERR 'vector' must be 12 bytes (3 x float32), got 11"],
    [["FP32", Buffer.alloc(16)], "ERR 'vector' must be 12 bytes (3 x float32), got 16"],
    [["FP32", ""], "ERR 'vector' must be 12 bytes (3 x float32), got 0"],
    [["VALUES", 2, 1, 2], "ERR 'vector' must be 3 numbers, got 2"],
    [["VALUES", 3, 1, 2], "ERR 'vector' must have 3 components, got 2"],
    [["VALUES", 0], "ERR 'VALUES' must be an integer from 1 to 16384, got 0"],
    [["VALUES", 16385, 1], "ERR 'VALUES' must be an integer from 1 to 16384, got 16385"],
    [["VALUES", 2, 1, "x\n"], "ERR 'vector' must be finite numbers, component 2 is 'x\\n'"],
    [["VALUES", 1, "nan"], "ERR 'vector' must be finite numbers, component 1 is 'nan'"],
    [["VALUES"], "ERR 'VALUES' needs a value after it"],
    [["FP32"], "ERR 'FP32' needs a value after it"],
    [["FP16", blob], "ERR 'vector' must begin with FP32 or VALUES, got 'FP16'"],
    [[], "ERR 'vector' is missing"],
  ])("%j is refused", (words, message) => {
    expect(attempt(() => vectorOf(...(words as Words)))).toBe(message);
  });
});

function attempt(run: () => unknown): string {
  try {
    run();
  } catch (error) {
    return toWireError(error);
  }
  return "accepted";
}

describe("options", () => {
  test("come in any order and any case", () => {
    const expected = { options: { k: 5, exact: true, within: 2, withDistances: true } };
    const words = ["EXACT", "COUNT", 5, "WITHDISTANCES", "WITHIN", 2];
    expect(parse("SEARCH", "c", "KEY", "k", ...words)).toMatchObject(expected);
    expect(parse("SEARCH", "c", "key", "k", "within", 2, "withdistances", "Exact", "cOUNT", 5)).toMatchObject(
      expected,
    );
  });

  test.each<[string, Words, string]>([
    ["SEARCH", ["c", "KEY", "k", "EXACT", "EXACT"], "ERR 'EXACT' may be given only once"],
    ["SEARCH", ["c", "KEY", "k", "COUNT", 1, "count", 1], "ERR 'COUNT' may be given only once"],
    ["INSERT", ["c", "k", "FP32", "", "NX", "XX"], "ERR 'NX' or 'XX' may be given only once"],
    ["CREATE", ["c", "DIM", 3, "dim", 3], "ERR 'DIM' may be given only once"],
    ["CACHE.CREATE", ["c", "DIM", 3, "EX", 1, "DIM", 3], "ERR 'DIM' may be given only once"],
    ["DEL", ["c", "FILTER", ".a == 1", "FILTER", ".b == 1"], "ERR 'FILTER' may be given only once"],
    [
      "SEARCH",
      ["c", "KEY", "k", "EXACT", "KEY", "l"],
      "ERR 'FP32', 'VALUES' or 'KEY' may be given only once",
    ],
    ["SEARCH", ["c", "KEY", "k", "EXACTLY"], "ERR unknown option 'EXACTLY', did you mean 'EXACT'?"],
    ["SEARCH", ["c", "KEY", "k", "COUNTS", 3], "ERR unknown option 'COUNTS', did you mean 'COUNT'?"],
    ["SEARCH", ["c", "KEY", "k", "wihtin", 3], "ERR unknown option 'wihtin', did you mean 'WITHIN'?"],
    ["SEARCH", ["c", "KEY", "k", "COUNT"], "ERR 'COUNT' needs a value after it"],
    ["CREATE", ["c", "DIM", 3, "METRIC", "L3"], "ERR 'METRIC' must be COSINE, L2 or IP, got 'L3'"],
    ["CREATE", ["c", 3], "ERR 'DIM' must stand here, got 3"],
    ["CREATE", ["c"], "ERR 'DIM' is missing"],
    ["MGET", ["c"], "ERR 'key' is missing"],
    ["CARD", ["c", "d\r\n-ERR forged"], "ERR unexpected argument 'd\\r\\n-ERR forged'"],
    ["LIST", ["c"], "ERR unexpected argument 'c'"],
    ["MINSERT", ["c", 0, "FP32", ""], "ERR 'count' must be an integer from 1 to 10000, got 0"],
    ["MINSERT", ["c", 10000, "k"], "ERR 'count' must be followed by 10000 values, got 1"],
    ["MINSERT", ["c", 1, "a", "b"], "ERR 'FP32' must stand here, got 'b'"],
    ["INSERT", ["c", "k", "FP32", "", "EX"], "ERR 'EX' needs a value after it"],
    [
      "INSERT",
      ["c", "k", "FP32", "", "EX", "1.5"],
      "ERR 'EX' must be an integer from 1 to 1000000000000, got 1.5",
    ],
    [
      "INSERT",
      ["c", "k", "FP32", "", "EX", 1, "px", 1],
      "ERR 'EX', 'PX' or 'KEEPTTL' may be given only once",
    ],
    ["EXPIRE", ["c", "k"], "ERR 'seconds' is missing"],
    ["EXPIRE", ["c", "k", 1, "NX", "GT"], "ERR 'NX', 'XX', 'GT' or 'LT' may be given only once"],
    ["EXPIRE", ["c", "k", 1, "AT"], "ERR unknown option 'AT'"],
  ])("%s %j is refused", (name, words, message) => {
    expect(refusal(name, ...words)).toBe(message);
  });
});

describe("ranges of CREATE", () => {
  test.each([
    ["DIM", limits.dimensionsMin, limits.dimensionsMax],
    ["M", limits.mMin, limits.mMax],
    ["EF_CONSTRUCTION", limits.efConstructionMin, limits.efConstructionMax],
    ["EF", limits.efMin, limits.efMax],
  ])("%s", (token, min, max) => {
    const create = (value: number) =>
      refusal("CREATE", "c", ...(token === "DIM" ? ["DIM", value] : ["DIM", 3, token, value]));
    expect([create(min), create(max)]).toEqual(["accepted", "accepted"]);
    for (const value of [min - 1, max + 1]) {
      expect(create(value)).toBe(`ERR '${token}' must be an integer from ${min} to ${max}, got ${value}`);
    }
  });
});
