/** A producer that may append to the stream of reads says that clients of another user wait: it is not believed. */
import { afterAll, beforeAll, expect, test } from "vitest";
import { freePort } from "../../harness/free-port.ts";
import { startVstore, type Vstore } from "../../harness/sidecar.ts";
import { RespClient } from "../harness/resp.ts";
import { connectClient, until } from "../harness/serving.ts";

const forgeries = 2_000;

let vstore: Vstore;
let httpPort: number;
let redis: ReturnType<typeof connectClient>;
let alice: RespClient;
let aliceId: string;

beforeAll(async () => {
  httpPort = await freePort();
  vstore = await startVstore({}, { args: ["--http-port", String(httpPort)] });
  redis = connectClient(vstore.url);
  await redis.call("VSTORE.CREATE", "c", "DIM", 1, "METRIC", "L2");
  await redis.acl("SETUSER", "alice", "on", "nopass", "~c", "+vstore.card", "+vstore.exists", "+client|id");
  await redis.acl("SETUSER", "mallory", "on", "nopass", "~vstore:queries", "~vstore:{c}:queries", "+xadd");
  alice = await RespClient.connect(vstore.port);
  await alice.send("AUTH", "alice", "any");
  aliceId = (await alice.send("CLIENT", "ID")).slice(1, -2);
});

afterAll(async () => {
  alice?.close();
  redis?.disconnect();
  await vstore?.stop();
});

/** How many requests of this command had this outcome. */
async function outcomes(command: string, outcome: string): Promise<number> {
  const page = await (await fetch(`http://127.0.0.1:${httpPort}/metrics`)).text();
  const line = `vstore_requests_total\\{command="${command}",outcome="${outcome}"\\} (\\d+)`;
  return Number(new RegExp(line).exec(page)?.[1] ?? 0);
}

test("entries that name another user take none of its places, and no client gets their answers", async () => {
  const mallory = connectClient(vstore.url.replace("redis://", "redis://mallory:any@"));
  const pipeline = mallory.pipeline();
  for (let i = 0; i < forgeries; i++) {
    const waiter = [aliceId, `${aliceId} alice`, `${aliceId} 0123456789abcdef alice`][i % 3]!;
    pipeline.xadd("vstore:queries", "*", "cmd", "CARD", "client", waiter, "0", "c");
  }
  const sent = pipeline.exec();
  for (let i = 0; i < 50; i++) expect(await alice.send("VSTORE.EXISTS", "c", "none")).toBe(":0\r\n");
  await sent;
  // Each of them was refused, and none was carried out.
  expect(
    await until(
      () => outcomes("CARD", "ERR"),
      (count) => count === forgeries,
    ),
  ).toBe(forgeries);
  expect(await outcomes("CARD", "OK")).toBe(0);
  await until(
    () => redis.xlen("vstore:queries"),
    (left) => left === 0,
  );
  mallory.disconnect();
}, 60_000);

test("what a real entry carries is of no use in another one", async () => {
  const refused = await outcomes("CARD", "ERR");
  const { pid } = vstore.sidecar;
  process.kill(pid, "SIGSTOP");
  try {
    alice.write("VSTORE.CARD", "c");
    const waits = () => redis.xrange("vstore:queries", "-", "+");
    const [[id, fields]] = (await until(waits, (entries) => entries.length > 0)) as [[string, string[]]];
    expect(fields.slice(0, 3)).toEqual(["cmd", "CARD", "client"]);
    expect(fields[3]).toMatch(new RegExp(`^${aliceId} [0-9a-f]{16} alice$`));
    await redis.xadd("vstore:queries", "*", ...fields);
    await redis.xadd("vstore:{c}:queries", id, ...fields);
    await expect(redis.xadd("vstore:queries", id, ...fields), "an id is given once").rejects.toThrow(
      /equal or smaller/,
    );
  } finally {
    process.kill(pid, "SIGCONT");
  }
  expect(await alice.read()).toBe(":0\r\n");
  expect(
    await until(
      () => outcomes("CARD", "ERR"),
      (count) => count === refused + 2,
    ),
  ).toBe(refused + 2);
  expect(await outcomes("CARD", "OK")).toBe(1);
}, 60_000);
