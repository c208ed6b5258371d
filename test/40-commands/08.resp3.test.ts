/** RESP3: the bytes of every kind of reply and of errors. */
import { describe, expect, test } from "vitest";
import { Double, OK, type Reply, Status } from "../../src/commands/wire/reply.ts";
import { encodeError, encodeReply } from "../../src/commands/wire/resp3.ts";
import { toWireError } from "../../src/commands/wire/wire-error.ts";
import { VstoreError } from "../../src/errors.ts";

const encoded = (reply: Reply) => encodeReply(reply).toString("latin1");

describe("replies", () => {
  test.each<[string, Reply, string]>([
    ["nil", null, "_\r\n"],
    ["true", true, "#t\r\n"],
    ["false", false, "#f\r\n"],
    ["zero", 0, ":0\r\n"],
    ["a small integer", 255, ":255\r\n"],
    ["a larger integer", 256, ":256\r\n"],
    ["a negative integer", -1, ":-1\r\n"],
    ["the largest safe integer", Number.MAX_SAFE_INTEGER, ":9007199254740991\r\n"],
    ["a status", OK, "+OK\r\n"],
    ["another status", new Status("OK 3 slots"), "+OK 3 slots\r\n"],
    ["an empty text", "", "$0\r\n\r\n"],
    ["a text, measured in bytes", "\u00e9", "$2\r\n\u00c3\u00a9\r\n"],
    ["bytes, whatever they are", Buffer.from("\0\r\n\xff", "latin1"), "$4\r\n\0\r\n\xff\r\n"],
    ["no items", [], "*0\r\n"],
    ["items", [1, ["a", null]], "*2\r\n:1\r\n*2\r\n$1\r\na\r\n_\r\n"],
    ["components", new Float32Array([0.5, -2]), "*2\r\n,0.5\r\n,-2\r\n"],
    ["a map", new Map([["k", new Double(1.5)]]), "%1\r\n$1\r\nk\r\n,1.5\r\n"],
    ["an empty map", new Map(), "%0\r\n"],
  ])("%s", (_, reply, bytes) => {
    expect(encoded(reply)).toBe(bytes);
  });

  test.each([
    [0.1, "0.1"],
    [Math.fround(0.1), "0.10000000149011612"],
    [1e21, "1e+21"],
    [5e-324, "5e-324"],
    [-0, "-0"],
    [Number.POSITIVE_INFINITY, "inf"],
    [Number.NEGATIVE_INFINITY, "-inf"],
    [Number.NaN, "nan"],
  ])("the double %d is %s", (value, text) => {
    expect(encoded(new Double(value))).toBe(`,${text}\r\n`);
    if (Number.isFinite(value)) expect(Number(text)).toBe(value);
  });

  test("larger than the scratch buffer, and the ones before and after", () => {
    const before = encodeReply(["before"]);
    const large = Buffer.alloc(9 * 1024 * 1024, 7);
    const bytes = encodeReply([large, "x".repeat(100_000), 1000]);
    expect(encoded(["after"])).toBe("*1\r\n$5\r\nafter\r\n");
    expect(before.toString()).toBe("*1\r\n$6\r\nbefore\r\n");
    const head = "*3\r\n$9437184\r\n";
    expect(bytes.subarray(0, head.length).toString()).toBe(head);
    expect(bytes.subarray(head.length, head.length + large.length).equals(large)).toBe(true);
    expect(bytes.subarray(-10).toString()).toBe("xx\r\n:1000\r\n".slice(-10));
  });
});

describe("errors", () => {
  test("are one line, code first", () => {
    const error = new VstoreError("NOKEY", "no 'a\r\nb\0c\x7f'");
    expect(toWireError(error)).toBe("NOKEY no 'a\\r\\nb\\x00c\\x7f'");
    expect(encodeError(toWireError(error)).toString()).toBe("-NOKEY no 'a\\r\\nb\\x00c\\x7f'\r\n");
  });

  test("that no code raised on purpose say so", () => {
    expect(toWireError(new TypeError("x is\nundefined"))).toBe("ERR internal error: x is\\nundefined");
    expect(toWireError("thrown text")).toBe("ERR internal error: thrown text");
  });
});
