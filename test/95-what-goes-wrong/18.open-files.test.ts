/** A limit of open files, with many more files than that in the data directory. */
import { readdirSync } from "node:fs";
import { expect, test } from "vitest";
import { startSidecar } from "../../harness/sidecar.ts";
import { temporaryDirectory } from "../harness/directory.ts";
import { fp32 } from "../harness/fp32.ts";
import { served } from "../harness/serving.ts";
import { eachTestOnStage, NO_CHECKPOINTS } from "../harness/stage.ts";

const stage = eachTestOnStage();
const LIMIT = 220;
const COLLECTIONS = 90;
const limitedTo = (files: number) => ["prlimit", `--nofile=${files}:${files}`];

test("more collections than files may be open are created, written, searched, saved and found again", async () => {
  const options = { through: limitedTo(LIMIT), checkpointIntervalMs: NO_CHECKPOINTS };
  const sidecar = stage.join(options);
  await sidecar.waitReady();
  expect(sidecar.stderr).toContain("few files may be open");
  const { redis } = stage;
  const insert = (i: number, key: string) =>
    served(redis, "VSTORE.INSERT", `c${i}`, key, "FP32", fp32(i, 2), "SETATTR", `{"n":${i}}`);
  for (let i = 0; i < COLLECTIONS; i++) {
    await redis.call("VSTORE.CREATE", `c${i}`, "DIM", 2, "METRIC", "L2");
    await insert(i, "k");
  }
  await redis.call("VSTORE.CHECKPOINT");
  for (let i = 0; i < COLLECTIONS; i++) await insert(i, "later");
  await redis.call("VSTORE.CHECKPOINT");
  expect(readdirSync(`/proc/${sidecar.pid}/fd`).length).toBeLessThan(LIMIT);
  await redis.call("VSTORE.DROP", "c0");
  expect(await redis.call("VSTORE.CREATE", "again", "DIM", 2)).toBe("OK");
  expect(sidecar.stderr).not.toContain("not serving");
  await sidecar.stop();
  const next = stage.join({ ...options, dataDir: sidecar.dataDir });
  await next.waitReady();
  for (let i = 1; i < COLLECTIONS; i++) {
    const found = await served(redis, "VSTORE.SEARCH", `c${i}`, "FP32", fp32(i, 2), "COUNT", 5, "WITHATTRS");
    expect(found).toEqual(["k", `{"n":${i}}`, "later", `{"n":${i}}`]);
  }
  expect(readdirSync(`/proc/${next.pid}/fd`).length).toBeLessThan(LIMIT);
});

test.each([24, 40, 127])(
  "a start with a limit of %i open files is refused in one line that names it",
  async (files) => {
    const sidecar = startSidecar({
      redisUrl: stage.server.url,
      dataDir: temporaryDirectory(),
      through: limitedTo(files),
    });
    expect(await sidecar.exit()).toBe(1);
    expect(sidecar.stderr).toContain(`this process may have ${files} files open`);
    expect(sidecar.stderr).not.toMatch(/^\s+at /m);
    expect(sidecar.stderr.trim().split("\n").length).toBeLessThanOrEqual(2);
  },
);
