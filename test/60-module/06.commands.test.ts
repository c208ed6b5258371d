import { execFileSync } from "node:child_process";
import { Redis } from "ioredis";
import { afterAll, afterEach, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { type RedisServer, startRedis } from "../../harness/redis-server.ts";
import { isServerSince } from "../../harness/server-program.ts";
import { PlayedSidecar } from "../harness/played-sidecar.ts";
import { RespClient } from "../harness/resp.ts";

const names =
  "CREATE INSERT MINSERT GET MGET DEL EXISTS CARD SETATTR GETATTR SCAN SEARCH BUILD CHECKPOINT INFO LIST DROP";
const writes = new Set(["CREATE", "INSERT", "MINSERT", "DEL", "SETATTR", "DROP"]);

let redis: RedisServer;
let sidecar: PlayedSidecar;

beforeAll(async () => {
  redis = await startRedis();
  sidecar = await PlayedSidecar.attach(redis.port);
  await sidecar.createLog("docs");
});
afterAll(async () => {
  sidecar.close();
  await redis.stop();
});

test.each(names.split(" "))("COMMAND INFO and COMMAND DOCS know VSTORE.%s", async (name) => {
  const command = `VSTORE.${name}`;
  const [[, , flags]] = (await sidecar.redis.command("INFO", command)) as [[string, number, string[]]];
  expect(flags).toContain(writes.has(name) ? "write" : "readonly");
  expect(flags.includes("denyoom")).toBe(writes.has(name));
  expect(flags).toContain("blocking");
  const docs = (await sidecar.redis.command("DOCS", command)) as [string, unknown[]];
  expect(docs[1]).toEqual(
    expect.arrayContaining(["summary", "complexity", "since", "0.1.0", "group", "module"]),
  );
});

test("the sidecar's commands are for administrators and not for scripts", async () => {
  const infos = (await sidecar.redis.command("INFO", "VSTORE.ATTACH", "VSTORE.REPLY")) as [
    [string, number, string[]],
  ];
  expect(infos).toHaveLength(2);
  for (const [, , flags] of infos) expect(flags).toEqual(expect.arrayContaining(["admin", "noscript"]));
});

test("the documentation of a command spells its grammar", async () => {
  const docs = execFileSync("redis-cli", [
    "-p",
    String(redis.port),
    "--json",
    "COMMAND",
    "DOCS",
    "VSTORE.SEARCH",
  ]);
  const args = JSON.parse(docs.toString())["VSTORE.SEARCH"].arguments as { name: string; type: string }[];
  expect(args[0]).toMatchObject({ type: "key", key_spec_index: 0 });
  expect(args.map(({ type }) => type)).toContain("oneof");
});

test.each([
  [["VSTORE.INSERT", "docs", "a", "FP32", "x"], ["docs"]],
  [["VSTORE.SEARCH", "docs", "KEY", "a"], ["docs"]],
  [["VSTORE.DROP", "docs"], ["docs"]],
  [["VSTORE.INFO", "docs"], ["docs"]],
  [["VSTORE.CHECKPOINT", "docs"], ["docs"]],
])("COMMAND GETKEYS %j", async (command, keys) => {
  expect(await sidecar.redis.call("COMMAND", "GETKEYS", ...command)).toEqual(keys);
});

test("COMMAND GETKEYSANDFLAGS tells reads from writes", async () => {
  const read = await sidecar.redis.command("GETKEYSANDFLAGS", "VSTORE.GET", "docs", "a");
  const write = await sidecar.redis.command("GETKEYSANDFLAGS", "VSTORE.DEL", "docs", "a");
  expect(read).toEqual([["docs", ["RO", "access"]]]);
  expect(write).toEqual([["docs", ["RW", "update"]]]);
});

/** A connection of a user that may call every VSTORE command under these key rules. */
async function userWith(...rules: string[]): Promise<Redis> {
  await sidecar.redis.acl("SETUSER", "user", "reset", "on", ">secret", "+@all", "-@admin", ...rules);
  const options = { port: redis.port, host: "127.0.0.1", username: "user", password: "secret" };
  return new Redis({ ...options, protocol: 2, enableReadyCheck: false });
}

test("a user of ~docs* reaches the collections of that name and needs no right to vstore's own keys", async () => {
  const user = await userWith("~docs*");
  const reply = user.call("VSTORE.DEL", "docs", "a");
  await sidecar.takeAndAnswer("vstore:{docs}:log", ":1\r\n");
  expect(await reply).toBe(1);
  await expect(user.call("VSTORE.DEL", "others", "a")).rejects.toThrow("NOPERM");
  await expect(user.call("VSTORE.INFO", "others")).rejects.toThrow("NOPERM");
  await expect(user.call("XLEN", "vstore:{docs}:log")).rejects.toThrow("NOPERM");
  user.disconnect();
});

test("a user without any key can ask for what belongs to no collection", async () => {
  const user = await userWith();
  for (const command of ["VSTORE.LIST", "VSTORE.INFO", "VSTORE.CHECKPOINT"]) {
    const reply = user.call(command);
    await sidecar.takeAndAnswer("vstore:control", "+done\r\n");
    expect(await reply).toBe("done");
  }
  user.disconnect();
});

test("a user with read access only cannot write", async () => {
  const user = await userWith("%R~docs");
  const reply = user.call("VSTORE.CARD", "docs");
  await sidecar.takeAndAnswer("vstore:queries", ":7\r\n");
  expect(await reply).toBe(7);
  await expect(user.call("VSTORE.DEL", "docs", "a")).rejects.toThrow("NOPERM");
  user.disconnect();
});

test("an ordinary user cannot play the sidecar", async () => {
  const user = await userWith("~*", "-vstore.attach", "-vstore.reply");
  await expect(user.call("VSTORE.ATTACH", "1", "x", "1000")).rejects.toThrow("NOPERM");
  await expect(user.call("VSTORE.REPLY", "x", "1-1", "+x\r\n")).rejects.toThrow("NOPERM");
  user.disconnect();
});

const categoriesOf = async (name: string): Promise<string[]> =>
  ((await sidecar.redis.command("INFO", `VSTORE.${name}`)) as [unknown[]])[0][6] as string[];

describe.skipIf(!isServerSince(7, 2))("ACL categories (Redis 7.2, Valkey 7.2, or newer)", () => {
  test.each(names.split(" "))("VSTORE.%s has those of what it does", async (name) => {
    const [access, other] = writes.has(name) ? ["@write", "@read"] : ["@read", "@write"];
    const categories = await categoriesOf(name);
    expect(categories).toEqual(expect.arrayContaining([access, "@slow", "@blocking"]));
    for (const wrong of [other, "@admin", "@fast"]) expect(categories).not.toContain(wrong);
  });

  test.each(["LEAD", "ATTACH", "REPLY"])("VSTORE.%s is dangerous", async (name) => {
    expect(await categoriesOf(name)).toEqual(expect.arrayContaining(["@admin", "@dangerous"]));
  });

  test("a user of +@read may ask and not write", async () => {
    const user = await userWith("~*", "-@all", "+@read");
    const reply = user.call("VSTORE.CARD", "docs");
    await sidecar.takeAndAnswer("vstore:queries", ":7\r\n");
    expect(await reply).toBe(7);
    await expect(user.call("VSTORE.DEL", "docs", "a")).rejects.toThrow("NOPERM");
    user.disconnect();
  });
});

describe.skipIf(!isServerSince(7, 4))("the ACL category @vstore (Redis 7.4, Valkey 8, or newer)", () => {
  test.each([...names.split(" "), "LEAD", "ATTACH", "REPLY"])("has VSTORE.%s", async (name) => {
    expect(await categoriesOf(name)).toContain("@vstore");
  });

  test("lets a user call nothing else", async () => {
    const user = await userWith("~*", "-@all", "+@vstore");
    const reply = user.call("VSTORE.DEL", "docs", "a");
    await sidecar.takeAndAnswer("vstore:{docs}:log", ":1\r\n");
    expect(await reply).toBe(1);
    await expect(user.call("GET", "docs")).rejects.toThrow("NOPERM");
    user.disconnect();
  });
});

test.each([
  ["vstore.timeout", "5000"],
  ["vstore.wait-timeout", "600000"],
])("CONFIG knows %s and its range", async (name, standard) => {
  expect(await sidecar.redis.config("GET", name)).toEqual([name, standard]);
  for (const bad of ["0", "-1", "3600001", "x"])
    await expect(sidecar.redis.config("SET", name, bad)).rejects.toThrow();
  for (const good of ["1", "3600000", standard]) await sidecar.redis.config("SET", name, good);
});

test("the settings can be given at the start", async () => {
  const other = await startRedis({ args: ["--vstore.timeout", "1234"] });
  onTestFinished(() => other.stop());
  const client = await RespClient.connect(other.port);
  expect(await client.send("CONFIG", "GET", "vstore.timeout")).toContain("1234");
  client.close();
});

test("INFO vstore has every field, and plain INFO leaves modules out as always", async () => {
  const text = await sidecar.redis.info("vstore");
  const fields = [...text.matchAll(/^vstore_(\w+):/gm)].map(([, field]) => field);
  expect(fields).toEqual([
    ...["attached", "sidecar", "reader_attached", "reader", "queued_reads", "queued_read_bytes"],
    ...["protocol", "last_attach_ms_ago", "pending"],
    ...["requests_log", "requests_queries", "requests_control"],
    ...["replies", "replies_unknown", "replies_malformed"],
    ...["timeouts", "stranded", "disconnects", "refused_down", "refused_busy"],
    ...["refused_replicas", "followers_in_step", "followers_ready", "followers_needed"],
    ...["follows", "followed", "followed_lost", "followed_untold", "cache_values_gone"],
  ]);
  expect(await sidecar.redis.info("everything")).toContain("# vstore");
});

afterEach(async () => {
  expect(await sidecar.info("pending")).toBe("0");
});
