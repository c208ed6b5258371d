/**
 * Writes of collections that do not exist, and collections that come and go by the hundred: no other client waits.
 */
import { watch } from "node:fs";
import { expect, test } from "vitest";
import { ControlFile } from "../../src/engine/disk/control-file.ts";
import { temporaryDirectory } from "../harness/directory.ts";
import { fp32 } from "../harness/fp32.ts";
import { until } from "../harness/serving.ts";
import { eachTestOnStage, NO_CHECKPOINTS } from "../harness/stage.ts";

const stage = eachTestOnStage();
const missing = "NOCOLLECTION no collection 'missing'";

const call = (name: string, ...args: (string | number | Buffer)[]) => stage.redis.call(name, ...args);
const insert = (collection: string) => call("VSTORE.INSERT", collection, "k", "FP32", fp32(1, 2));

async function start(): Promise<void> {
  await stage.join({ checkpointIntervalMs: NO_CHECKPOINTS }).waitReady();
  await call("VSTORE.CREATE", "there", "DIM", 2, "METRIC", "L2");
}

test("a write of a missing collection is refused at once, in MULTI too, and leaves nothing behind", async () => {
  await start();
  await expect(insert("missing")).rejects.toThrow(missing);
  const transaction = stage.redis.multi();
  for (let i = 0; i < 5_000; i++) transaction.call("VSTORE.DEL", "missing", "k");
  transaction.call("VSTORE.INSERT", "there", "k", "FP32", fp32(1, 2));
  const replies = (await transaction.exec())!.map(([error, reply]) => String(error?.message ?? reply));
  expect(replies.slice(0, 5_000).every((reply) => reply === missing)).toBe(true);
  expect(replies.at(-1)).toMatch(/^QUEUED/);
  expect(await call("VSTORE.CARD", "there")).toBe(1);
  expect(await stage.redis.xinfo("STREAM", "vstore:control")).toContain(0);
  expect(await stage.redis.keys("*missing*")).toEqual([]);
});

test("a write whose log was lost is to be sent again, whatever else Redis has lost", async () => {
  await start();
  for (const lose of [() => stage.redis.del("vstore:{there}:log"), () => stage.redis.flushall()]) {
    await lose();
    const answers = new Set<string>();
    await until(
      async () => {
        const answer = await insert("there").catch((error: Error) => error.message.split(" ", 1)[0]!);
        answers.add(String(answer));
        return answer;
      },
      (answer) => answer === 0 || answer === 1,
    );
    expect(answers).not.toContain("NOCOLLECTION");
  }
  await until(
    () => insert("missing").catch((error: Error) => error.message),
    (answer) => answer === missing,
  );
});

test("a stream of errors goes a week after the last one", async () => {
  await start();
  await stage.redis.xadd("vstore:{there}:log", "*", "cmd", "NONSENSE");
  const expiry = await until(
    () => stage.redis.pttl("vstore:{there}:errors"),
    (ms) => ms > 0,
  );
  expect(expiry).toBeGreaterThan(6 * 24 * 3_600_000);
});

test("collections come and go side by side", async () => {
  await start();
  const names = Array.from({ length: 60 }, (_, i) => `c${String(i).padStart(2, "0")}`);
  await Promise.all(names.map((name) => call("VSTORE.CREATE", name, "DIM", 2)));
  const mixed = names.map((name, i) => call(i % 2 ? "VSTORE.DROP" : "VSTORE.INFO", name));
  await Promise.all([...mixed, ...names.slice(0, 9).map((name) => insert(name).catch(() => {}))]);
  const left = names.filter((_, i) => i % 2 === 0);
  expect(await call("VSTORE.LIST")).toEqual([...left, "there"]);
  await stage.killSidecars();
});

test("entries of the control log that are applied at once share the flushes of vstore.json", async () => {
  const directory = temporaryDirectory();
  let replaced = 0;
  const watcher = watch(directory, (_, name) => {
    if (name === "vstore.json") replaced++;
  });
  const control = await ControlFile.open(directory);
  const ids = Array.from({ length: 100 }, (_, i) => `${i + 1}-0`);
  control.begin(ids);
  await Promise.all(ids.slice(1).map((id) => control.mark(id)));
  expect(control.controlId).toBe("0-0"); // the first is not done: a replay has to find it
  await control.mark(ids[0]!);
  expect(control.controlId).toBe("100-0");
  await Promise.all(ids.map((_, i) => control.mark(`${200 + i}-0`, `c${i}`)));
  watcher.close();
  expect(replaced).toBeLessThan(20);
  expect((await ControlFile.open(directory)).dropId("c99")).toBe("299-0");
});
