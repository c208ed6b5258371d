/** Fail-overs at random while clients write and read, and the checker that judges what they saw. */
import { expect, test } from "vitest";
import { testSeed } from "../../harness/random.ts";
import { describeFailOvers, failOvers } from "../torture/fail-overs/fail-overs.ts";
import { absent, faultOf, type Operation } from "../torture/fail-overs/linearizable.ts";
import { OneRedis } from "../torture/fail-overs/one-redis.ts";
import { WithSentinels } from "../torture/fail-overs/with-sentinels.ts";

const write = (value: number, called: number, returned: number): Operation => ({
  kind: "write",
  value,
  called,
  returned,
});
const read = (value: number, called: number, returned: number): Operation => ({
  kind: "read",
  value,
  called,
  returned,
});
const never = Number.POSITIVE_INFINITY;

test.each<[string, Operation[]]>([
  ["nothing", []],
  [
    "reads one after the other",
    [read(absent, 0, 1), write(1, 2, 3), read(1, 4, 5), write(2, 6, 7), read(2, 8, 9)],
  ],
  ["a read beside a write, that sees it or not", [write(1, 0, 10), read(absent, 1, 2), read(1, 3, 4)]],
  [
    "writes beside each other, in either order",
    [write(1, 0, 10), write(2, 0, 10), read(2, 11, 12), read(2, 13, 14)],
  ],
  ["a write in doubt that came late", [write(1, 0, 1), write(2, 2, never), read(1, 5, 6), read(2, 7, 8)]],
  ["a write in doubt that never came", [write(1, 0, 1), write(2, 2, never), read(1, 5, 6)]],
  [
    "a write between two reads of others",
    [write(1, 0, 1), write(2, 2, 9), write(3, 2, 9), read(2, 3, 4), read(3, 5, 6)],
  ],
])("%s is linearizable", (_, history) => {
  expect(faultOf(history)).toBeUndefined();
});

test.each<[string, Operation[]]>([
  ["an acknowledged write that is lost", [write(1, 0, 1), read(absent, 2, 3)]],
  ["an older write that comes back", [write(1, 0, 1), write(2, 2, 3), read(1, 4, 5)]],
  ["a read that is older than one before it", [write(1, 0, 10), read(1, 1, 2), read(absent, 3, 4)]],
  ["a value of nowhere", [read(7, 0, 1)]],
  ["a value before it was written", [read(1, 0, 1), write(1, 2, 3)]],
  ["two values in turn", [write(1, 0, 9), write(2, 0, 9), read(1, 10, 11), read(2, 12, 13), read(1, 14, 15)]],
  [
    "a write that no read between two others saw",
    [write(1, 0, 1), write(2, 2, 3), read(1, 4, 5), read(1, 6, 7)],
  ],
  ["a write in doubt that came and went", [write(1, 0, 1), write(2, 2, never), read(2, 3, 4), read(1, 5, 6)]],
])("%s is not", (_, history) => {
  expect(faultOf(history)).toBeDefined();
});

const promise = "lose no acknowledged write, and no read is older than what its client has seen";

test.each([
  ["on one Redis", OneRedis.open, 6],
  ["under Sentinels", WithSentinels.open, 4],
] as const)(`fail-overs at random %s ${promise}`, { timeout: 600_000 }, async (_, open, count) => {
  const report = await failOvers(open, { seed: testSeed(), count, isShort: true });
  console.log(describeFailOvers(report));
  expect(report.acknowledged).toBeGreaterThan(count);
});
