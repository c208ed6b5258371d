/** How many reads with ASOF may wait for their token, and when they go on; on a real store. */
import { expect, onTestFinished, test } from "vitest";
import { AsOfWaits } from "../../src/bridge/requests/reads/as-of-waits.ts";
import { decodeEntry, type Request } from "../../src/bridge/requests/request.ts";
import { encodeToken } from "../../src/commands/token.ts";
import { eachTestOnStore } from "../harness/command-store.ts";

const store = eachTestOnStore();
/** No test takes so long. */
const longMs = 600_000;
const waitsMax = 1_024;
const bytesMax = 16 * 1024 * 1024;

function waitsOf(ms = longMs): AsOfWaits {
  const waits = new AsOfWaits(store.catalog, ms);
  onTestFinished(() => waits.forget());
  return waits;
}

function read(applied: string, collection = "c", key = "a"): Request {
  const { createdId: created } = store.catalog.get(collection);
  const words = [collection, key, "ASOF", encodeToken(collection, { created, applied, timeline: "0" })];
  const fields = ["cmd", "GET", ...words.flatMap((word, i) => [String(i), word])];
  return decodeEntry(
    "vstore:queries",
    "1-1",
    fields.map((field) => Buffer.from(field)),
  );
}

test("each goes on when its own token is reached, in the order in which they came", () => {
  const waits = waitsOf();
  const gone: string[] = [];
  for (const id of ["7-0", "5-0", "6-0", "5-0"]) expect(waits.hold(read(id), () => gone.push(id))).toBe(true);
  const collection = store.catalog.get("c");
  const goneAt = (id: string) => {
    collection.appliedId = id;
    waits.recheck();
    return gone.splice(0);
  };
  expect(goneAt("4-9")).toEqual([]);
  expect(goneAt("5-0")).toEqual(["5-0", "5-0"]);
  expect(goneAt("9-0")).toEqual(["7-0", "6-0"]);
  expect(waits.hold(read("8-0"), () => {})).toBe(false);
});

test("one goes on when its time is over, and idle hears of it", async () => {
  const waits = waitsOf(20);
  let waitedMs: number | undefined;
  waits.hold(read("7-0"), (ms) => {
    waitedMs = ms;
  });
  await waits.idle();
  expect(waitedMs).toBeGreaterThan(15);
});

test("as many wait as may, and those of another collection beside them", async () => {
  await store.run("CREATE", "other", "DIM", 2);
  const waits = waitsOf();
  const go = () => {};
  for (let i = 0; i < waitsMax; i++) waits.hold(read("7-0"), go);
  const refused = "too many reads of collection 'c' wait for their ASOF";
  expect(() => waits.hold(read("7-0"), go)).toThrow(refused);
  expect(waits.hold(read("7-0", "other"), go)).toBe(true);
  store.catalog.get("c").appliedId = "7-0";
  waits.recheck();
  expect(waits.hold(read("8-0"), go)).toBe(true);
});

test("their requests have so many bytes", () => {
  const waits = waitsOf();
  const rest = read("7-0", "c", "").bytes;
  const half = "k".repeat(bytesMax / 2 - rest);
  expect(waits.hold(read("7-0", "c", half), () => {})).toBe(true);
  expect(waits.hold(read("7-0", "c", half), () => {})).toBe(true);
  expect(() => waits.hold(read("7-0"), () => {})).toThrow("too many reads");
});
