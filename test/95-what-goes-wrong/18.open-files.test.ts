/** A limit of open files: CREATE says so when it is reached, and everything that is there goes on. */
import { expect, test } from "vitest";
import { fp32 } from "../harness/fp32.ts";
import { served } from "../harness/serving.ts";
import { eachTestOnStage, NO_CHECKPOINTS } from "../harness/stage.ts";

const stage = eachTestOnStage();
const LIMIT = 220;

test("CREATE is refused before the last files are used up, and the collections that are there go on", async () => {
  const through = ["prlimit", `--nofile=${LIMIT}:${LIMIT}`];
  const sidecar = stage.join({ through, checkpointIntervalMs: NO_CHECKPOINTS });
  await sidecar.waitReady();
  expect(sidecar.stderr).toContain("few files may be open");
  let created = 0;
  let refusal = "";
  for (; created < LIMIT && refusal === ""; created += refusal === "" ? 1 : 0) {
    const name = `c${created}`;
    await stage.redis.call("VSTORE.CREATE", name, "DIM", 2).catch((error: Error) => {
      refusal = error.message;
    });
    if (refusal === "") await stage.redis.call("VSTORE.INSERT", name, "k", "FP32", fp32(1, 2));
  }
  expect(created).toBeGreaterThan(10);
  expect(refusal).toMatch(/^LIMIT this process may have 220 files open, too few for another collection/);
  for (let i = 0; i < created; i++) expect(await served(stage.redis, "VSTORE.EXISTS", `c${i}`, "k")).toBe(1);
  await stage.redis.call("VSTORE.CHECKPOINT");
  await stage.redis.call("VSTORE.DROP", "c0");
  expect(await stage.redis.call("VSTORE.CREATE", "again", "DIM", 2)).toBe("OK");
  expect(sidecar.stderr).not.toContain("not serving");
});
