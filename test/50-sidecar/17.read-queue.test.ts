/** Places for reads go round: no collection, user or caller takes those of the others, and no queue grows for ever. */
import { expect, test } from "vitest";
import { ReadQueue } from "../../src/bridge/requests/reads/read-queue.ts";

const limits = {
  runningMax: 12,
  runningOfCollectionMax: 8,
  runningOfCallerMax: 3,
  waitingOfCollectionMax: 50,
  waitingBytesOfCollectionMax: 10_000,
  waitingBytesMax: 15_000,
  userShare: 1,
};

/** A queue whose reads end when the test says so. */
class Stage {
  readonly queue: ReadQueue;
  readonly running: { readonly name: string; readonly end: () => void }[] = [];

  constructor(userShare = limits.userShare) {
    this.queue = new ReadQueue({ ...limits, userShare });
  }

  offer(collection: string, caller: string, bytes = 1, user = "default"): boolean {
    const name = `${collection} ${caller}`;
    const run = () =>
      new Promise<void>((end) => {
        this.running.push({ name, end });
      });
    return this.queue.offer({ collection, user, caller, bytes, run });
  }

  count(start: string): number {
    return this.running.filter(({ name }) => name.startsWith(start)).length;
  }

  /** Ends the one that began first; returns which began then. */
  async endOne(): Promise<string[]> {
    const before = [...this.running];
    before[0]!.end();
    await new Promise(setImmediate);
    this.running.splice(0, 1);
    return this.running.filter((read) => !before.includes(read)).map(({ name }) => name);
  }
}

test("a caller, and a collection, have so many places, and others find theirs free", () => {
  const stage = new Stage();
  for (let i = 0; i < 20; i++) stage.offer("big", "greedy");
  expect(stage.count("big")).toBe(limits.runningOfCallerMax);
  stage.offer("big", "modest");
  expect(stage.count("big modest")).toBe(1);
  for (let i = 0; i < 20; i++) stage.offer("big", `caller ${i}`);
  expect(stage.count("big")).toBe(limits.runningOfCollectionMax);
  stage.offer("small", "modest");
  expect(stage.count("small modest")).toBe(1);
});

test("free places go to the callers in turn, however many reads one of them has", async () => {
  const stage = new Stage();
  for (let i = 0; i < 8; i++) stage.offer("big", `first ${i}`);
  for (let i = 0; i < 30; i++) stage.offer("big", "greedy");
  stage.offer("big", "modest");
  stage.offer("big", "shy");
  const begun: string[] = [];
  for (let i = 0; i < 4; i++) begun.push(...(await stage.endOne()));
  expect(begun).toEqual(["big greedy", "big modest", "big shy", "big greedy"]);
});

test("the connections of a user share what is the user's, however many there are", async () => {
  const stage = new Stage(0.75);
  for (let i = 0; i < 30; i++) stage.offer("big", `greedy ${i}`, 1, "greedy");
  expect(stage.count("big greedy")).toBe(0.75 * limits.runningOfCollectionMax);
  stage.offer("big", "modest 1", 1, "modest");
  expect(stage.count("big modest"), "places are left for others").toBe(1);
  for (let i = 2; i < 8; i++) stage.offer("big", `modest ${i}`, 1, "modest");
  expect(stage.running).toHaveLength(limits.runningOfCollectionMax);
  const begun: string[] = [];
  for (let i = 0; i < 4; i++) begun.push(...(await stage.endOne()));
  expect(begun.map((name) => name.split(" ")[1])).toEqual(["greedy", "modest", "greedy", "modest"]);
});

test("a user whose reads fill the share of one does not have those of others refused", () => {
  const stage = new Stage(0.75);
  const [running, waiting] = [0.75 * limits.runningOfCollectionMax, 0.75 * limits.waitingOfCollectionMax];
  const most = running + Math.ceil(waiting);
  for (let i = 0; i < most; i++) expect(stage.offer("big", `greedy ${i}`, 1, "greedy")).toBe(true);
  expect(stage.offer("big", "greedy again", 1, "greedy")).toBe(false);
  for (let i = 0; i < 10; i++) expect(stage.offer("big", `modest ${i}`, 1, "modest")).toBe(true);
});

test("free places go to the collections in turn", async () => {
  const stage = new Stage();
  for (const collection of ["a", "b"]) for (let i = 0; i < 20; i++) stage.offer(collection, `${i}`);
  stage.offer("c", "1");
  expect(stage.running).toHaveLength(limits.runningMax);
  const begun: string[] = [];
  for (let i = 0; i < 4; i++) begun.push(...(await stage.endOne()));
  expect(begun.map((name) => name[0])).toEqual(["a", "b", "c", "a"]);
});

test("beyond so many, or so many bytes, that wait, a read of the collection is refused, and none of another", async () => {
  const stage = new Stage();
  const waits = limits.runningOfCallerMax + limits.waitingOfCollectionMax;
  for (let i = 0; i < waits; i++) expect(stage.offer("big", "greedy")).toBe(true);
  expect(stage.offer("big", "greedy")).toBe(false);
  expect(stage.offer("small", "greedy")).toBe(true);
  await stage.endOne();
  expect(stage.offer("big", "greedy")).toBe(true);

  const large = new Stage();
  for (let i = 0; i < 4; i++) expect(large.offer("big", "greedy", 6_000)).toBe(true);
  expect(large.offer("big", "greedy", 6_000), "of the collection").toBe(false);
  for (let i = 0; i < 4; i++) expect(large.offer("other", "greedy", 4_000)).toBe(true);
  expect(large.offer("other", "greedy", 5_500), "of all").toBe(false);
});

test("a caller whose read was refused is not remembered, whatever names callers give themselves", async () => {
  const stage = new Stage();
  const waits = limits.runningOfCallerMax + limits.waitingOfCollectionMax;
  for (let i = 0; i < waits; i++) stage.offer("big", "greedy");
  const begun = Array.from({ length: 1_000 }, (_, i) => stage.offer("big", `name ${i}`)).filter(Boolean);
  expect(begun).toHaveLength(limits.runningOfCollectionMax - limits.runningOfCallerMax);
  expect(stage.queue.callers).toBe(1 + begun.length);
});

test("it is idle when nothing runs, and what waited when it was told to forget never does", async () => {
  const stage = new Stage();
  for (let i = 0; i < 10; i++) stage.offer("big", "greedy");
  stage.queue.forget();
  const idle = stage.queue.idle();
  for (let i = 0; i < limits.runningOfCallerMax; i++) expect(await stage.endOne()).toEqual([]);
  await idle;
  expect(stage.offer("big", "greedy")).toBe(true);
  expect(stage.count("big")).toBe(1);
});
