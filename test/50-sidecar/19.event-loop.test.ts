/** How long the turns of the event loop take is known, and measuring it does not keep an idle sidecar awake. */
import { readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, expect, test } from "vitest";
import { startVstore, type Vstore } from "../../harness/sidecar.ts";
import { LoopTurns } from "../../src/bridge/session/loop-turns.ts";

let vstore: Vstore;
beforeAll(async () => {
  vstore = await startVstore();
});
afterAll(() => vstore.stop());

/** Works for so long without giving the loop a turn. */
function hold(ms: number): void {
  const end = performance.now() + ms;
  while (performance.now() < end);
}

test("the longest turn is that of the work, whatever the loop has waited for", async () => {
  const turns = new LoopTurns();
  turns.start();
  await sleep(300);
  const waiting = turns.longestMs;
  hold(waiting + 100);
  await sleep(20);
  expect(turns.longestMs).toBeGreaterThanOrEqual(waiting + 100);
  turns.stop();
  const known = turns.longestMs;
  hold(known + 100);
  await sleep(20);
  expect(turns.longestMs, "after it was stopped").toBe(known);
  turns.start();
  await sleep(20);
  expect(turns.longestMs, "of the time before").toBeGreaterThanOrEqual(known);
  turns.stop();
});

/** How often the main thread of a process went to sleep so far. */
function sleeps(pid: number): number {
  const status = readFileSync(`/proc/${pid}/task/${pid}/status`, "utf8");
  return Number(/^voluntary_ctxt_switches:\s+(\d+)/m.exec(status)![1]);
}

test("an idle sidecar is woken by what it waits for, not by a clock that looks at it", async () => {
  await sleep(1_000); // what follows a start is over
  const before = sleeps(vstore.sidecar.pid);
  await sleep(3_000);
  expect(sleeps(vstore.sidecar.pid) - before).toBeLessThan(3 * 50);
});
