/** CREATE, LIST, DROP, BUILD, CHECKPOINT and INFO: what is said of collections as a whole. */

import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { beforeEach, describe, expect, test } from "vitest";
import { collectionDirectory } from "../../src/engine/disk/names.ts";
import { limits } from "../../src/limits.ts";
import { eachTestOnStore, type Word } from "../harness/command-store.ts";
import { fp32 } from "../harness/fp32.ts";

const store = eachTestOnStore();
const { run } = store;

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

  test("there are six ways to keep vectors in the index", async () => {
    expect(await run("CREATE", "q", "DIM", 4, "QUANT", "Q8")).toMatch(
      /^-ERR 'QUANT' must be INT8, INT4, INT2, BIN, F16 or F32/,
    );
    expect(await run("LIST")).toBe("*1 $1 c");
  });

  test("one that does not exist cannot be dropped", async () => {
    expect(await run("DROP", "nobody")).toMatch(/^-NOCOLLECTION /);
  });

  test("there is a limit to their number, which damaged ones count towards", async () => {
    await store.reopenAfter(() => {
      for (let n = 1; n < limits.collectionsMax - 1; n++)
        mkdirSync(join(store.directory, collectionDirectory(`n${n}`)));
    });
    expect(await run("CREATE", "last", "DIM", 1)).toBe("+OK");
    expect(await run("CREATE", "one-more", "DIM", 1)).toMatch(/^-LIMIT .*1000/);
    expect(store.catalog.names().length).toBe(limits.collectionsMax);
  });

  test("a damaged one is refused by file and offset", async () => {
    await store.reopenAfter(() => {
      mkdirSync(join(store.directory, collectionDirectory("broken")));
    });
    expect(await run("CARD", "broken")).toMatch(/^-DAMAGED .*MANIFEST\.json at byte 0: /);
    expect(await run("CREATE", "broken", "DIM", 1, "NX")).toMatch(/^-DAMAGED /);
    expect(await run("LIST")).toBe("*2 $6 broken $1 c");
    expect(await run("DROP", "broken")).toBe("+OK");
  });
});

describe("BUILD, CHECKPOINT and INFO", () => {
  beforeEach(async () => {
    await run("MINSERT", "c", 2, "a", "b", "FP32", fp32(1, 2, 3, 4));
  });

  test("BUILD says what it does, or with WAIT what it did", async () => {
    expect(await run("BUILD", "c")).toMatch(/^\+OK indexing \d+ slots in the background$/);
    await run("INSERT", "c", "d", "FP32", fp32(1, 2));
    expect(await run("BUILD", "c", "WAIT")).toMatch(/^\+OK \d+ slots added to the index$/);
    expect(store.catalog.get("c").tailLength).toBe(0);
    expect(await run("BUILD", "c", "WAIT")).toBe("+OK 0 slots added to the index");
  });

  test("CHECKPOINT says what is covered", async () => {
    const id = `${store.requests}-0`;
    expect(await run("CHECKPOINT", "c")).toBe(`+OK 2 slots, log covered up to ${id}`);
    expect(store.catalog.get("c").checkpointId).toBe(id);
    expect(await run("CHECKPOINT")).toBe("+OK 1 collections");
  });

  test("INFO is a map", async () => {
    expect(await run("INFO", "c")).toMatch(/^%\d+ \$10 dimensions :2 \$6 metric \$2 L2 .*\$7 vectors :2 /);
    expect(await run("INFO")).toMatch(/^%\d+ .*\$11 collections :1/);
  });
});

test("CREATE and DROP that are replayed answer what they answered", async () => {
  const replay = async (name: string, ...words: Word[]) => {
    const first = await store.run(name, ...words);
    store.requests--;
    expect(await store.run(name, ...words)).toBe(first);
    return first;
  };
  expect(await replay("CREATE", "new", "DIM", 2, "NX")).toBe("+OK");
  expect(await replay("CREATE", "new", "DIM", 2, "NX")).toBe("_");
  expect(await replay("DROP", "new")).toBe("+OK");
  expect(await replay("DROP", "new")).toMatch(/^-NOCOLLECTION/);
  expect(await replay("CREATE", "new", "DIM", 2)).toBe("+OK");
});
