/** INSERT, MINSERT, DEL and SETATTR, with what shows their effect: the reply, and the state after it. */

import { describe, expect, test } from "vitest";
import { limits } from "../../src/limits.ts";
import { eachTestOnStore } from "../harness/command-store.ts";
import { fp32 } from "../harness/fp32.ts";

const store = eachTestOnStore();
const { run, start, state } = store;

describe("INSERT", () => {
  test("answers 1 for a new key and 0 for an updated one", async () => {
    expect(await run("INSERT", "c", "a", "FP32", fp32(1, 2))).toBe(":1");
    expect(await run("INSERT", "c", "a", "VALUES", 2, 3, 4)).toBe(":0");
    expect(await run("GET", "c", "a")).toBe("*2 ,3 ,4");
    expect(await run("CARD", "c")).toBe(":1");
  });

  test("NX and XX refuse with nil", async () => {
    expect(await run("INSERT", "c", "a", "FP32", fp32(1, 2), "XX")).toBe("_");
    expect(await run("INSERT", "c", "a", "FP32", fp32(1, 2), "NX")).toBe(":1");
    expect(await run("INSERT", "c", "a", "FP32", fp32(9, 9), "NX")).toBe("_");
    expect(await run("GET", "c", "a")).toBe("*2 ,1 ,2");
    expect(await run("INSERT", "c", "a", "FP32", fp32(5, 6), "xx")).toBe(":0");
  });

  test("SETATTR sets attributes, an update without it keeps them, an empty one removes them", async () => {
    await run("INSERT", "c", "a", "FP32", fp32(1, 2), "SETATTR", '{"n":1}');
    expect(await run("GETATTR", "c", "a")).toBe('$7 {"n":1}');
    await run("INSERT", "c", "a", "FP32", fp32(3, 4));
    expect(await run("GETATTR", "c", "a")).toBe('$7 {"n":1}');
    await run("INSERT", "c", "a", "FP32", fp32(3, 4), "SETATTR", "");
    expect(await run("GETATTR", "c", "a")).toBe("_");
  });

  test("keys are any bytes and come back as they were", async () => {
    const key = Buffer.from("a\0\r\n*3\r\n\xff", "latin1");
    await run("INSERT", "c", key, "FP32", fp32(0, 0));
    const { bytes } = await start("SEARCH", "c", "FP32", fp32(0, 0));
    expect(bytes.equals(Buffer.concat([Buffer.from("*1\r\n$9\r\n"), key, Buffer.from("\r\n")]))).toBe(true);
    expect(await run("EXISTS", "c", key)).toBe(":1");
  });

  test("the largest dimension fits", async () => {
    await run("CREATE", "wide", "DIM", limits.dimensionsMax);
    const components = Array.from({ length: limits.dimensionsMax }, (_, i) => i + 1);
    expect(await run("INSERT", "wide", "f", "FP32", fp32(...components))).toBe(":1");
    expect(await run("INSERT", "wide", "v", "VALUES", limits.dimensionsMax, ...components)).toBe(":1");
    expect(await run("GET", "wide", "v")).toBe(await run("GET", "wide", "f"));
  });

  test("answers in the same tick when there is room", async () => {
    await run("INSERT", "c", "a", "FP32", fp32(1, 2));
    expect(start("INSERT", "c", "b", "FP32", fp32(1, 2))).not.toBeInstanceOf(Promise);
    expect(store.catalog.get("c").appliedId).toBe(`${store.requests}-0`);
  });
});

describe("MINSERT", () => {
  test("answers the number of new keys", async () => {
    await run("INSERT", "c", "a", "FP32", fp32(9, 9));
    expect(await run("MINSERT", "c", 3, "a", "b", "c", "FP32", fp32(1, 2, 3, 4, 5, 6))).toBe(":2");
    expect(await run("MGET", "c", "a", "b", "c")).toBe("*3 *2 ,1 ,2 *2 ,3 ,4 *2 ,5 ,6");
  });

  test("of a repeated key the last one counts", async () => {
    expect(await run("MINSERT", "c", 3, "a", "b", "a", "FP32", fp32(1, 1, 2, 2, 3, 3))).toBe(":2");
    expect(await run("MGET", "c", "a", "b")).toBe("*2 *2 ,3 ,3 *2 ,2 ,2");
    expect(await run("CARD", "c")).toBe(":2");
  });

  test("SETATTR has one JSON text for each key", async () => {
    await run("MINSERT", "c", 2, "a", "b", "FP32", fp32(1, 1, 2, 2), "SETATTR", '{"n":1}', "");
    expect(await run("GETATTR", "c", "a")).toBe('$7 {"n":1}');
    expect(await run("GETATTR", "c", "b")).toBe("_");
  });

  test("all or nothing", async () => {
    const before = await state();
    const nan = fp32(1, 1, 2, Number.NaN);
    expect(await run("MINSERT", "c", 2, "a", "b", "FP32", nan)).toBe(
      "-ERR 'vector 2' must be finite, component 2 is NaN",
    );
    expect(await state()).toEqual(before);
  });
});

describe("DEL, EXISTS and CARD", () => {
  test("count keys", async () => {
    await run("MINSERT", "c", 3, "a", "b", "c", "FP32", fp32(1, 2, 3, 4, 5, 6));
    expect(await run("EXISTS", "c", "a", "a", "nobody")).toBe(":2");
    expect(await run("DEL", "c", "a", "a", "nobody", "b")).toBe(":2");
    expect(await run("CARD", "c")).toBe(":1");
    expect(await run("EXISTS", "c", "a", "b", "c")).toBe(":1");
    expect(await run("SEARCH", "c", "FP32", fp32(0, 0))).toBe("*1 $1 c");
  });
});

describe("SETATTR and GETATTR", () => {
  test("JSON comes back as it was written", async () => {
    await run("INSERT", "c", "a", "FP32", fp32(1, 2));
    expect(await run("SETATTR", "c", "a", '{ "x" : "\u00e9" }')).toBe(":1");
    expect(await run("GETATTR", "c", "a")).toBe('$14 { "x" : "\u00c3\u00a9" }');
    expect(await run("SETATTR", "c", "a", "")).toBe(":1");
    expect(await run("GETATTR", "c", "a")).toBe("_");
    expect(await run("SETATTR", "c", "nobody", "{}")).toBe(":0");
    expect(await run("GETATTR", "c", "nobody")).toBe("_");
  });

  test("as large as the limit", async () => {
    await run("INSERT", "c", "a", "FP32", fp32(1, 2));
    const json = `{"a":"${"x".repeat(limits.attributesBytesMax - 8)}"}`;
    expect(await run("SETATTR", "c", "a", json)).toBe(":1");
    expect(await run("GETATTR", "c", "a")).toBe(`$${limits.attributesBytesMax} ${json}`);
  });
});
