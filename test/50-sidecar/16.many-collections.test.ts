/** What a read costs must not grow with the number of collections: bench/many-collections.ts measures it. */

import { readdirSync, readFileSync, statSync } from "node:fs";
import { expect, test } from "vitest";
import { fp32 } from "../harness/fp32.ts";
import { startMonitor } from "../harness/monitor.ts";
import { until } from "../harness/serving.ts";
import { eachTestOnStage, NO_CHECKPOINTS } from "../harness/stage.ts";

const stage = eachTestOnStage();

test("what waits for reads names the same two streams, however many collections there are", async () => {
  await stage.join({ checkpointIntervalMs: NO_CHECKPOINTS }).waitReady();
  const names = Array.from({ length: 50 }, (_, i) => `c${i}`);
  await Promise.all(names.map((name) => stage.redis.call("VSTORE.CREATE", name, "DIM", 2)));
  await Promise.all(names.map((name) => stage.redis.call("VSTORE.INSERT", name, "k", "FP32", fp32(1, 2))));
  const monitor = await startMonitor(stage.server.port);
  const reads = () => monitor.lines().filter((line) => /"xread".*"vstore:queries"/i.test(line));
  for (const name of names)
    expect(await stage.redis.call("VSTORE.SEARCH", name, "FP32", fp32(1, 2))).toEqual(["k"]);
  await until(
    () => reads().length,
    (count) => count > names.length / 2,
  );
  monitor.close();
  for (const line of reads()) {
    const args = [...line.matchAll(/"([^"]*)"/g)].map(([, arg]) => arg!);
    const streams = args.slice(args.indexOf("STREAMS") + 1);
    expect(streams.slice(0, streams.length / 2)).toEqual(["vstore:control", "vstore:queries"]);
  }
});

test("a small collection takes little memory and disk, and few collections keep their files open", async () => {
  const sidecar = stage.join({ checkpointIntervalMs: NO_CHECKPOINTS });
  await sidecar.waitReady();
  const collections = 200;
  const ownKb = () =>
    Number(/^RssAnon:\s+(\d+)/m.exec(readFileSync(`/proc/${sidecar.pid}/status`, "utf8"))![1]);
  const before = ownKb();
  const vector = fp32(...Array(64).fill(1));
  const create = async (i: number) => {
    await stage.redis.call("VSTORE.CREATE", `c${i}`, "DIM", 64);
    await stage.redis.call("VSTORE.INSERT", `c${i}`, "k", "FP32", vector, "SETATTR", '{"n":1}');
  };
  await Promise.all(Array.from({ length: collections }, (_, i) => create(i)));
  await stage.redis.call("VSTORE.CHECKPOINT");
  expect((ownKb() - before) / collections).toBeLessThan(300);
  expect(statSync(`${sidecar.dataDir}/c-c7/segment-000000.vec`).size).toBe(64 * 1024);
  expect(readdirSync(`/proc/${sidecar.pid}/fd`).length).toBeLessThan(512 + 100);
});
