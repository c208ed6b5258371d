/** What failed ingest jobs keep of their payloads is bounded by bytes, over restarts too. */
import { expect, test } from "vitest";
import { failedBytesMax } from "../../src/bridge/ingest/failed-payloads.ts";
import { openQueue } from "../harness/ingest-queue.ts";
import { until } from "../harness/serving.ts";
import { eachTestOnStage } from "../harness/stage.ts";

const stage = eachTestOnStage();
const MIB = 1024 * 1024;
const jobBytes = 12 * MIB;
/** What they have together is more than may stay. */
const jobs = 7;

test("the oldest failed jobs lose their payloads where all have too many bytes; the newest keep theirs", async () => {
  const sidecar = stage.join();
  await sidecar.waitReady();
  const queue = openQueue(stage.server.url);
  const data = { collection: "missing", items: [{ key: "k", vector: "x".repeat(jobBytes) }] };
  const ids: string[] = [];
  for (let i = 0; i < jobs; i++) {
    ids.push((await queue.add("items", data)).id!);
    await until(
      () => queue.getFailedCount(),
      (failed) => failed === i + 1,
    );
  }
  const sizes = () =>
    Promise.all(ids.map((id) => stage.redis.hstrlen(`vstore:bull:vstore-ingest:${id}`, "data")));
  const total = async () => (await sizes()).reduce((sum, bytes) => sum + bytes, 0);
  expect(await until(total, (bytes) => bytes <= failedBytesMax)).toBeGreaterThan(
    failedBytesMax - 2 * jobBytes,
  );
  const [oldest] = await queue.getFailed(jobs - 1, jobs - 1);
  expect(oldest!.data).toEqual({ bytes: expect.any(Number) });
  expect(oldest!.failedReason).toContain("NOCOLLECTION");
  expect((await sizes()).at(-1)).toBeGreaterThan(jobBytes);
  await sidecar.waitLog("the payload of a failed job was dropped");

  await sidecar.stop();
  const second = stage.join();
  await second.waitReady();
  await queue.add("items", data);
  await until(
    () => second.stderr,
    (log) => log.includes("the payload of a failed job was dropped"),
  );
  expect(await total()).toBeLessThanOrEqual(failedBytesMax - jobBytes);
  await second.stop();
  await queue.close();
});
