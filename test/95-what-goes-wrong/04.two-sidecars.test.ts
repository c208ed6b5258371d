/** One Redis, two sidecars: one serves, and who has lost the lease has no connection to do harm on. */

import { cpSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { expect, onTestFinished, test } from "vitest";
import type { SidecarProcess } from "../../harness/sidecar.ts";
import { temporaryDirectory } from "../harness/directory.ts";
import { fp32 } from "../harness/fp32.ts";
import { startMonitor } from "../harness/monitor.ts";
import { served, until } from "../harness/serving.ts";
import { eachTestOnStage } from "../harness/stage.ts";

const stage = eachTestOnStage({ appendonly: "everysec" });

const insert = (i: number) => served(stage.redis, "VSTORE.INSERT", "c", `k${i}`, "FP32", fp32(i, 1));

/** The addresses of the leader's connections, the one that writes and the one that answers, as MONITOR shows them. */
async function leadersAddresses(): Promise<string[]> {
  const list = (await stage.redis.client("LIST")) as string;
  return [...list.matchAll(/addr=(\S+) .*name=vstore-(?:writer|answerer)/g)].map(([, address]) => address!);
}

async function startFirst(): Promise<SidecarProcess> {
  const first = stage.join();
  await first.waitReady();
  await stage.redis.call("VSTORE.CREATE", "c", "DIM", 2, "METRIC", "L2");
  for (let i = 0; i < 20; i++) await insert(i);
  await stage.redis.call("VSTORE.CHECKPOINT", "c");
  return first;
}

test("a sidecar that was paused beyond its lease does not send a single command on its old connection", async () => {
  const first = await startFirst();
  const oldAddresses = await leadersAddresses();
  expect(oldAddresses).toHaveLength(2);
  const copy = temporaryDirectory();
  cpSync(first.dataDir, copy, { recursive: true });
  const second = stage.join({ dataDir: copy });
  await second.waitLog("standing by");
  await stage.redis.config("SET", "vstore.timeout", "30000");
  const monitor = await startMonitor(stage.server.port);
  onTestFinished(() => monitor.close());
  const heard = () =>
    monitor.lines().filter((line) => oldAddresses.some((each) => line.includes(` ${each}]`)));
  await until(
    () => heard().length,
    (count) => count > 0,
  ); // the heartbeat: the address is the right one
  process.kill(first.pid, "SIGSTOP");
  // Unread by the first, which finds it in its socket when it goes on.
  const during = insert(20);
  await second.waitReady();
  expect(await during).toBe(1);
  for (let i = 21; i < 30; i++) expect(await insert(i)).toBe(1);
  const before = heard().length;
  process.kill(first.pid, "SIGCONT");
  await until(
    () => first.stderr.split("standing by").length,
    (parts) => parts > 1,
  );
  await sleep(1_500);
  expect(heard().slice(before)).toEqual([]);
  for (let i = 30; i < 40; i++) expect(await insert(i)).toBe(1);
  expect(await stage.redis.call("VSTORE.CARD", "c")).toBe(40);
  for (const sidecar of [first, second]) await sidecar.kill();
  await stage.join({ dataDir: second.dataDir }).waitReady();
  expect(await served(stage.redis, "VSTORE.CARD", "c")).toBe(40);
});

test("a sidecar that was paused and alone goes on, and nothing acknowledged is lost", async () => {
  const first = await startFirst();
  for (let i = 20; i < 30; i++) await insert(i);
  process.kill(first.pid, "SIGSTOP");
  await until(
    () => stage.redis.call("VSTORE.CARD", "c").catch(String),
    (answer) => String(answer).includes("VSTOREDOWN"),
  );
  process.kill(first.pid, "SIGCONT");
  expect(await served(stage.redis, "VSTORE.CARD", "c")).toBe(30);
  expect(await insert(30)).toBe(1);
});

test("a second sidecar on the files of a paused one does not touch them", async () => {
  const first = await startFirst();
  const second = stage.join({ dataDir: first.dataDir });
  await second.waitLog("standing by");
  process.kill(first.pid, "SIGSTOP");
  await second.waitLog(`is in use by process ${first.pid}`);
  expect(second.stdout).toBe("");
  process.kill(first.pid, "SIGCONT");
  expect(await served(stage.redis, "VSTORE.CARD", "c")).toBe(20);
  await first.kill();
  await second.waitReady();
  expect(await served(stage.redis, "VSTORE.CARD", "c")).toBe(20);
});
