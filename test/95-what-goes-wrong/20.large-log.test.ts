/** A log that has grown, while no sidecar was there, far beyond what Redis lets one client have at a time. */
import { expect, test } from "vitest";
import { temporaryDirectory } from "../harness/directory.ts";
import { fp32Of } from "../harness/fp32.ts";
import { served, until } from "../harness/serving.ts";
import { eachTestOnStage } from "../harness/stage.ts";

const DIMENSIONS = 1_024;
/** 4 MiB of vectors. */
const KEYS = 1_024;
const ENTRIES = 15;
/** Bytes of one answer at which Redis closes the connection: a few entries. */
const OUTPUT_LIMIT = "normal 16mb 16mb 0";

const stage = eachTestOnStage();

test("it is read in parts that Redis lets through, and every write is applied", async () => {
  const dataDir = temporaryDirectory();
  const first = stage.join({ dataDir });
  await served(stage.redis, "VSTORE.CREATE", "c", "DIM", DIMENSIONS, "METRIC", "L2");
  await first.stop();
  await stage.redis.config("SET", "client-output-buffer-limit", OUTPUT_LIMIT);
  const vectors = fp32Of(new Float32Array(KEYS * DIMENSIONS).fill(1));
  for (let entry = 0; entry < ENTRIES; entry++) {
    const keys = Array.from({ length: KEYS }, (_, i) => `${entry}:${i}`);
    await stage.redis
      .multi()
      .call("VSTORE.MINSERT", "c", KEYS, ...keys, "FP32", vectors)
      .exec();
  }
  const second = stage.join({ dataDir });
  await second.waitReady();
  const card = () => served(stage.redis, "VSTORE.CARD", "c");
  expect(await until(card, (count) => count === ENTRIES * KEYS)).toBe(ENTRIES * KEYS);
});
