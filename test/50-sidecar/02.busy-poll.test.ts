/** Waiting awake for the next request: it keeps the event loop from sleeping, and ends by itself. */
import { availableParallelism } from "node:os";
import { performance } from "node:perf_hooks";
import { setTimeout as delay } from "node:timers/promises";
import { expect, test } from "vitest";
import { pollBusily } from "../../src/bridge/requests/busy-poll.ts";

const never = new Promise(() => {});

/** Milliseconds that the event loop slept while `ms` passed. */
async function slept(ms: number): Promise<number> {
  const before = performance.eventLoopUtilization();
  await delay(ms);
  return performance.eventLoopUtilization(before).idle;
}

const onSeveralCores = test.skipIf(availableParallelism() === 1);

onSeveralCores("nothing sleeps while something is expected", async () => {
  pollBusily(never, 200_000);
  expect(await slept(100)).toBe(0);
  await delay(150); // until it is over
});

test("it ends when its time is over, though nothing has arrived", async () => {
  pollBusily(never, 1_000);
  expect(await slept(100)).toBeGreaterThan(0);
});

test.each([
  ["arrived", () => Promise.resolve()],
  ["failed", () => Promise.reject(new Error("the session ended"))],
])("it ends when what is expected has %s", async (_, arrive) => {
  pollBusily(arrive(), 60_000_000);
  expect(await slept(100)).toBeGreaterThan(0);
});
