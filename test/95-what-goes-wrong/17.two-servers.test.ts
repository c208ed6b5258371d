/**
 * A balancer that leads the connections of one sidecar to two servers: it does not serve, and touches neither of them.
 */
import { setTimeout as sleep } from "node:timers/promises";
import type { Redis } from "ioredis";
import { expect, onTestFinished, test } from "vitest";
import { Balancer } from "../../harness/balancer.ts";
import { startRedis } from "../../harness/redis-server.ts";
import { startSidecar } from "../../harness/sidecar.ts";
import { temporaryDirectory } from "../harness/directory.ts";
import { fp32 } from "../harness/fp32.ts";
import { connectClient, served, until } from "../harness/serving.ts";

const log = "vstore:{c}:log";

async function queue(redis: Redis, key: string): Promise<void> {
  const [[, answer]] = (await redis.multi().call("VSTORE.INSERT", "c", key, "FP32", fp32(1, 2)).exec())! as [
    [null, string],
  ];
  expect(answer).toContain("QUEUED");
}

test("neither log is trimmed by what was read from the other, and the sidecar says why it does not serve", async () => {
  const first = await startRedis();
  const second = await startRedis();
  const balancer = await Balancer.listen(first.port);
  const dataDir = temporaryDirectory();
  const join = () =>
    startSidecar({ redisUrl: balancer.url, dataDir, args: ["--checkpoint-interval-ms", "1000"] });
  const clients = [connectClient(first.url), connectClient(second.url)] as const;
  const [one, other] = clients;
  const sidecars = [join()];
  onTestFinished(async () => {
    for (const client of clients) client.disconnect();
    for (const sidecar of sidecars) await sidecar.kill();
    await balancer.close();
    for (const server of [first, second]) await server.stop();
  });
  await sidecars[0]!.waitReady();
  await one.call("VSTORE.CREATE", "c", "DIM", 2);
  await one.call("VSTORE.INSERT", "c", "first", "FP32", fp32(1, 2));
  await until(
    () => one.xlen(log),
    (length) => length === 0,
  );
  await sidecars[0]!.stop();
  await other.replicaof("127.0.0.1", first.port);
  await until(
    () => other.exists(log),
    (there) => there === 1,
  );
  await other.replicaof("NO", "ONE");
  await queue(one, "in one");
  await queue(other, "in the other");
  balancer.leadTo(first.port, second.port);
  sidecars.push(join());
  await sidecars[1]!.waitLog("reach different Redis servers");
  await sleep(3_000); // checkpoints of a sidecar that serves would have come by now
  for (const client of clients) {
    expect(await client.xlen(log)).toBe(1);
    await expect(client.call("VSTORE.CARD", "c")).rejects.toThrow("VSTOREDOWN");
  }
  balancer.leadTo(first.port);
  await sidecars[1]!.waitReady();
  expect(await served(one, "VSTORE.EXISTS", "c", "first", "in one", "in the other")).toBe(2);
});
