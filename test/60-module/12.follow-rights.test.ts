/**
 * CREATE … FOLLOW is for users that may read what would be followed: the module asks before the request is appended.
 */
import { afterAll, beforeAll, expect, onTestFinished, test } from "vitest";
import { type RedisServer, startRedis } from "../../harness/redis-server.ts";
import { PlayedSidecar } from "../harness/played-sidecar.ts";
import { RespClient } from "../harness/resp.ts";

let redis: RedisServer;
let sidecar: PlayedSidecar;

beforeAll(async () => {
  redis = await startRedis();
  sidecar = await PlayedSidecar.attach(redis.port);
});
afterAll(async () => {
  sidecar.close();
  await redis.stop();
});

/** What a user of these rules is told, where the sidecar says OK to whatever reaches it. */
async function create(rules: string, ...options: string[]): Promise<string> {
  await sidecar.redis.acl("SETUSER", "guest", "reset", "on", ">pw", ...rules.split(" "));
  const client = await RespClient.connect(redis.port);
  onTestFinished(() => client.close());
  await client.send("AUTH", "guest", "pw");
  const before = await sidecar.redis.xlen("vstore:control");
  client.write("VSTORE.CREATE", "mine", "DIM", "2", ...options);
  const reply = client.read();
  const refused = await Promise.race([reply, sidecar.take("vstore:control")]);
  if (typeof refused === "string") {
    expect(await sidecar.redis.xlen("vstore:control")).toBe(before);
    sidecar.close();
    sidecar = await PlayedSidecar.attach(redis.port);
    for (const [id] of await sidecar.redis.xrange("vstore:control", "-", "+"))
      await sidecar.redis.xdel("vstore:control", id);
    return refused;
  }
  await sidecar.answer(refused, "+OK\r\n");
  await sidecar.redis.xdel("vstore:control", refused.id);
  return reply;
}

const plain = ["FOLLOW", "PREFIX", "user:"];
const hashes = [...plain, "FROM", "HASH", "FIELD", "password"];
const rights = "+vstore.create ~mine";

test.each([
  ["all keys", `${rights} ~* +hmget`],
  ["the prefix to read", `${rights} %R~user:* +hmget`],
  ["the prefix", `${rights} ~user:* +hmget`],
  ["a shorter prefix, with two stars", `${rights} ~us** +hmget`],
  ["an escaped pattern", `${rights} ~us\\er:* +hmget`],
  ["a selector", `${rights} (~user:* +hmget)`],
])("a user that may read %s may follow it", async (_, rules) => {
  for (const options of [plain, hashes]) expect(await create(rules, ...options)).toBe("+OK\r\n");
});

test.each([
  ["no key of it", `${rights} +@all -@admin`],
  ["some keys of it", `${rights} ~user:1* +@all`],
  ["one key", `${rights} ~user: +@all`],
  ["keys in the middle", `${rights} ~*er:* +@all`],
  ["one character each", `${rights} ~user:? +@all`],
  ["a class of characters", `${rights} ~[u]ser:* +@all`],
  ["what is longer", `${rights} ~user:a* +@all`],
  ["it to write only", `${rights} %W~user:* +@all`],
])("a user that may read %s may not follow it", async (_, rules) => {
  for (const options of [plain, hashes, ["follow", "prefix", ...hashes.slice(2)]])
    expect(await create(rules, ...options)).toMatch(/^-NOPERM FOLLOW needs the right to read/);
});

test("FROM HASH asks for HMGET, and FOLLOW alone does not", async () => {
  for (const rules of [`${rights} ~user:*`, `${rights} (~user:* +strlen)`]) {
    expect(await create(rules, ...plain)).toBe("+OK\r\n");
    expect(await create(rules, ...hashes)).toMatch(/^-NOPERM /);
  }
});

test("a second FOLLOW hides nothing, and a collection that follows nothing needs no right", async () => {
  const both = [...plain, "FOLLOW", "PREFIX", "secret:"];
  expect(await create(`${rights} ~user:* +hmget`, ...both)).toMatch(/^-NOPERM /);
  expect(await create(rights, "METRIC", "L2")).toBe("+OK\r\n");
});

test("scripts and transactions do not lend their rights", async () => {
  await sidecar.redis.acl("SETUSER", "guest", "reset", "on", ">pw", "+@all", "~mine");
  const client = await RespClient.connect(redis.port);
  onTestFinished(() => client.close());
  await client.send("AUTH", "guest", "pw");
  const script = "return redis.pcall('VSTORE.CREATE', KEYS[1], 'DIM', 2, 'FOLLOW', 'PREFIX', 'user:')";
  expect(await client.send("EVAL", script, "1", "mine")).toContain("NOPERM FOLLOW");
  await client.send("MULTI");
  await client.send("VSTORE.CREATE", "mine", "DIM", "2", ...hashes);
  expect(await client.send("EXEC")).toContain("NOPERM FOLLOW");
});
