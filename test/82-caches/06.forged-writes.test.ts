/** A client that may append to the log of a cache ends no value by it; what the module has appended ends them. */
import { Redis } from "ioredis";
import { afterEach, beforeEach, expect, test } from "vitest";
import { type RedisServer, startRedis } from "../../harness/redis-server.ts";
import { type SidecarProcess, startSidecar } from "../../harness/sidecar.ts";
import { cacheGet } from "../harness/caches.ts";
import { temporaryDirectory } from "../harness/directory.ts";
import { fp32 } from "../harness/fp32.ts";
import { connectClient, until } from "../harness/serving.ts";

const log = "vstore:{c}:log";
const east = fp32(1, 0);
const north = fp32(0, 1);

let server: RedisServer;
let sidecar: SidecarProcess;
let dataDir: string;
let redis: Redis;
let mallory: Redis;

beforeEach(async () => {
  server = await startRedis({ appendonly: "always" });
  dataDir = temporaryDirectory();
  await startServing();
  redis = connectClient(server.url);
  await redis.call("VSTORE.CACHE.CREATE", "c", "DIM", 2);
  await redis.call("VSTORE.CACHE.SET", "c", "FP32", east, "VALUE", "east", "ID", "e", "TAGS", 1, "t");
  await redis.call("VSTORE.CACHE.SET", "c", "FP32", north, "VALUE", "north", "ID", "n", "TAGS", 1, "t");
  await connectMallory();
});
afterEach(async () => {
  redis.disconnect();
  mallory.disconnect();
  await sidecar.kill();
  await server.stop();
});

async function startServing(): Promise<void> {
  sidecar = await startSidecar({ redisUrl: server.url, dataDir });
  await sidecar.waitReady();
}

async function connectMallory(): Promise<void> {
  await redis.acl("SETUSER", "mallory", "on", "nopass", `~${log}`, "+xadd", "+xrange");
  mallory = new Redis(server.url, {
    protocol: 2,
    username: "mallory",
    password: "any",
    enableReadyCheck: false,
  });
}

const append = (...fields: (string | Buffer)[]) => mallory.xadd(log, "*", ...fields);
const appendDel = (...words: string[]) =>
  append("cmd", "CACHE.DEL", "0", "c", ...words.flatMap((word, i) => [`${i + 1}`, word]));
const values = async () => (await redis.keys("{c}:*")).sort();
const refused = async (count: number) =>
  until(
    () => redis.xlen("vstore:{c}:errors"),
    (length) => length === count,
  );

/** All fields of the entries that the module has appended, as a client that may read the log sees them. */
async function entriesOf(command: string): Promise<Buffer[][]> {
  const all = (await mallory.xrangeBuffer(log, "-", "+")) as [Buffer, Buffer[]][];
  return all.map(([, fields]) => fields).filter((fields) => String(fields[1]) === command);
}

/** A SET that the sidecar refuses, and that names the value of another entry with its digest. */
async function appendRefusedSet(): Promise<void> {
  const [set] = await entriesOf("CACHE.SET");
  const words = set!.map(String);
  const mark = words.indexOf("ENTRY");
  const added = words.slice(mark).filter((_, i) => i % 2 === 0);
  const forged = ["c", "FP32", fp32(1), ...added];
  await append("cmd", "CACHE.SET", ...forged.flatMap((word, i) => [`${i}`, word]));
}

test("forged entries change nothing, are told to the errors, and leave the log", async () => {
  const before = await redis.xlen(log);
  await appendDel("ID", "e");
  await appendDel("TAG", "t");
  await appendRefusedSet();
  await refused(3);
  // Copies of real entries, whose clients do not wait any more.
  for (const fields of await entriesOf("CACHE.SET")) await append(...fields);
  await until(
    () => redis.xlen(log),
    (length) => length === before,
  );
  expect(await values()).toEqual(["{c}:e", "{c}:n"]);
  expect(await cacheGet(redis, "c", "FP32", east)).toMatchObject({ value: "east" });
  const [[, fields]] = (await redis.xrange("vstore:{c}:errors", "-", "+")) as [[string, string[]]];
  expect(fields.join(" ")).toContain("commands of caches need a client of Redis");
  // What the module appends goes on as before, and vstore itself has removed what is gone.
  expect(await redis.call("VSTORE.CACHE.DEL", "c", "TAG", "t")).toBe(2);
  await until(values, (left) => left.length === 0);
  expect(sidecar.stderr).not.toContain("changed by a client");
});

test("entries that were appended while no sidecar was there end values where the module wrote them", async () => {
  await sidecar.kill();
  await appendDel("ID", "e");
  await appendRefusedSet();
  await redis.multi().call("VSTORE.CACHE.DEL", "c", "ID", "n").exec();
  // A SET that the sidecar refuses leaves no value.
  await redis.multi().call("VSTORE.CACHE.SET", "c", "FP32", fp32(1), "VALUE", "v", "ID", "x").exec();
  expect(await values()).toEqual(["{c}:e", "{c}:n", "{c}:x"]);
  await startServing();
  await until(values, (left) => left.length === 1);
  expect(await redis.get("{c}:e")).toBe("east");
});

test("the same after Redis was killed too: the sidecar knows the key of the process before", async () => {
  await sidecar.kill();
  await redis.multi().call("VSTORE.CACHE.DEL", "c", "TAG", "t").exec();
  mallory.disconnect();
  await server.kill();
  await server.run();
  await until(
    () => redis.ping().catch(() => ""),
    (answer) => answer === "PONG",
  );
  expect(await values()).toEqual(["{c}:e", "{c}:n"]);
  await startServing();
  await until(values, (left) => left.length === 0);
  expect(await redis.call("VSTORE.CARD", "c")).toBe(0);
});

test("a log that is ahead of the clock takes the module's entries, and they are believed", async () => {
  await redis.xsetid(log, `${Date.now() + 600_000}-7`);
  await redis.call("VSTORE.CACHE.SET", "c", "FP32", north, "VALUE", "later", "ID", "l");
  const [last] = (await redis.xrevrange(log, "+", "-", "COUNT", 1)) as [[string, string[]]];
  expect(last![0]).toMatch(/-8$/);
  expect(await cacheGet(redis, "c", "FP32", north)).toMatchObject({
    value: expect.stringMatching(/north|later/),
  });
  expect(await redis.call("VSTORE.CACHE.DEL", "c", "ID", "e", "n", "l")).toBe(3);
  await until(values, (left) => left.length === 0);
});

test("a value never answers in another scope than its own, whatever was appended while no sidecar was there", async () => {
  const scoped = "vstore:{s}:log";
  await redis.acl("SETUSER", "mallory", `~${scoped}`);
  await redis.call("VSTORE.CACHE.CREATE", "s", "DIM", 2, "SCOPE", 1, "tenant", "WITHIN", 0.1);
  const acme = ["PROMPT", "q", "SCOPE", 1, "tenant", "acme"];
  await redis.call("VSTORE.CACHE.SET", "s", "FP32", east, "VALUE", "secret", ...acme);
  const [[, entry]] = (await mallory.xrangeBuffer(scoped, "-", "+")).slice(-1) as [[Buffer, Buffer[]]];
  await sidecar.stop();
  // The very entry, with its proof and without, of another tenant; also once the first one is gone.
  const forged = entry.map((word) => (String(word) === "acme" ? Buffer.from("globex") : word));
  const bare = forged.slice(0, 2).concat(forged.slice(forged.findIndex((word) => String(word) === "0")));
  const before = await redis.xlen(scoped);
  for (const fields of [forged, bare]) await mallory.xadd(scoped, "*", ...fields);
  const key = (await redis.keys("{s}:*"))[0]!;
  await mallory.xadd(scoped, "*", "cmd", "DEL", "0", "s", "1", key);
  for (const fields of [forged, bare]) await mallory.xadd(scoped, "*", ...fields);
  await redis
    .multi()
    .call("VSTORE.CACHE.SET", "s", "FP32", north, "VALUE", "later", ...acme, "ID", "l")
    .exec();
  await startServing();
  const get = (tenant: string, vector: Buffer) =>
    cacheGet(redis, "s", "FP32", vector, "PROMPT", "q", "SCOPE", 1, "tenant", tenant, "VERIFY", 2);
  await until(
    () => get("acme", north),
    (answer) => answer?.value === "later",
  );
  expect(await get("globex", east)).toBeUndefined();
  expect(await get("globex", north)).toBeUndefined();
  expect(await redis.xlen(scoped)).toBeLessThanOrEqual(before + 3);
  // Nor in a cache of the same name that is made after it.
  await redis.call("VSTORE.DROP", "s");
  await redis.call("VSTORE.CACHE.CREATE", "s", "DIM", 2, "SCOPE", 1, "tenant", "WITHIN", 0.1);
  await sidecar.stop();
  await mallory.xadd(scoped, "*", ...forged);
  await startServing();
  expect(await get("globex", east)).toBeUndefined();
});
