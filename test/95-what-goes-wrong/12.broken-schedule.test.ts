/** What stands in BullMQ's keys is not ours alone: a broken entry of the checkpoint schedule concerns itself only. */
import { expect, test } from "vitest";
import { fp32 } from "../harness/fp32.ts";
import { served, until } from "../harness/serving.ts";
import { eachTestOnStage } from "../harness/stage.ts";

const stage = eachTestOnStage();
const prefix = "vstore:bull:vstore-checkpoint:repeat";

test("a broken scheduler id, and a broken scheduler, keep no other collection from its checkpoints", async () => {
  await stage.redis.zadd(prefix, "1", "%E0%A4%A", "2", "%zz", "3", "gone");
  await stage.redis.set(`${prefix}:broken`, "a string where BullMQ has a hash");
  const sidecar = stage.join({ checkpointIntervalMs: 1_000 });
  await sidecar.waitReady();
  for (const name of ["broken", "whole"]) {
    await served(stage.redis, "VSTORE.CREATE", name, "DIM", 2);
    await stage.redis.call("VSTORE.INSERT", name, "key", "FP32", fp32(1, 2));
  }
  await until(
    () => stage.redis.xlen("vstore:{whole}:log"),
    (length) => length === 0,
  );
  expect(await stage.redis.zrange(prefix, "0", "-1")).toContain("checkpoint");
  await until(
    () => stage.redis.zrange(prefix, "0", "-1"),
    (ids) => ids.length === 1,
  );
  expect(sidecar.stderr).not.toContain("no checkpoint schedule");
});
