/**
 * A replica takes over that lacks the end of the log, by a clock that is behind: what is written there is not mistaken
 * for old.
 */
import { expect, onTestFinished, test } from "vitest";
import { Balancer } from "../../harness/balancer.ts";
import { startRedis } from "../../harness/redis-server.ts";
import { startSidecar } from "../../harness/sidecar.ts";
import { temporaryDirectory } from "../harness/directory.ts";
import { fp32 } from "../harness/fp32.ts";
import { connectClient, served, until } from "../harness/serving.ts";

const log = "vstore:{c}:log";
const vector = (i: number) => fp32(i, 1);

test("a transaction there before a sidecar is there is applied, and so is all that the old primary acknowledged", async () => {
  const first = await startRedis();
  const second = await startRedis();
  const balancer = await Balancer.listen(first.port);
  const old = connectClient(first.url);
  const replica = connectClient(second.url);
  const dataDir = temporaryDirectory();
  const sidecar = startSidecar({
    redisUrl: balancer.url,
    dataDir,
    args: ["--checkpoint-interval-ms", "3600000"],
  });
  onTestFinished(async () => {
    for (const client of [old, replica]) client.disconnect();
    await sidecar.kill();
    await balancer.close();
    for (const server of [first, second]) await server.stop();
  });
  await replica.replicaof("127.0.0.1", first.port);
  await sidecar.waitReady();
  await old.call("VSTORE.CREATE", "c", "DIM", 2, "METRIC", "L2");
  const insert = (i: number) => old.call("VSTORE.INSERT", "c", `k${i}`, "FP32", vector(i));
  for (let i = 0; i < 10; i++) await insert(i);
  const [length, end] = [await old.xlen(log), (await old.xrevrange(log, "+", "-", "COUNT", 1))[0]![0]];
  await until(
    () => replica.xlen(log),
    (here) => here === length,
  );
  await replica.replicaof("NO", "ONE"); // it hears nothing more
  for (let i = 10; i < 20; i++) await insert(i);
  await old.call("VSTORE.DEL", "c", "k3");
  await first.kill();
  balancer.leadTo(second.port);
  // A clock that is behind is one whose ids stay near the log's end: the ids that a module there would give.
  const [ms, sequence] = end.split("-").map(Number) as [number, number];
  const id = (n: number) => `${ms}-${sequence + n}`;
  const entry = (name: string, ...args: (string | Buffer)[]) => [
    "cmd",
    name,
    ...args.flatMap((arg, at) => [String(at), arg]),
  ];
  const transaction = replica.multi().set("beside", "written");
  transaction.xadd(log, id(1), ...entry("INSERT", "c", "new", "FP32", vector(77)));
  transaction.xadd(log, id(2), ...entry("DEL", "c", "k15"));
  transaction.xadd(log, id(3), ...entry("INSERT", "c", "bad", "FP32", fp32(1)));
  await transaction.exec();
  expect(await served(replica, "VSTORE.GET", "c", "new")).toEqual(["77", "1"]);
  expect(await served(replica, "VSTORE.MGET", "c", "k3", "k15", "k9", "k19")).toEqual([
    null,
    null,
    ["9", "1"],
    ["19", "1"],
  ]);
  expect(await replica.xlen("vstore:{c}:errors")).toBe(1);
  expect(sidecar.stderr).toContain("a log had new entries before its end");
  expect(await served(replica, "VSTORE.CARD", "c")).toBe(19);
  await sidecar.kill();
  const again = startSidecar({ redisUrl: balancer.url, dataDir });
  onTestFinished(() => again.kill());
  await again.waitReady();
  expect(await served(replica, "VSTORE.CARD", "c")).toBe(19);
  expect(await served(replica, "VSTORE.GET", "c", "new")).toEqual(["77", "1"]);
});
