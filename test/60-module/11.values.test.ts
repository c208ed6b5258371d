/** WITHVALUES as the module answers it: with the rights of the caller, at the moment of the answer, in pieces. */
import { Redis } from "ioredis";
import { afterAll, beforeAll, beforeEach, describe, expect, onTestFinished, test } from "vitest";
import { type RedisServer, startRedis } from "../../harness/redis-server.ts";
import { limits } from "../../src/limits.ts";
import { PlayedSidecar } from "../harness/played-sidecar.ts";
import { RespClient } from "../harness/resp.ts";

let redis: RedisServer;
let sidecar: PlayedSidecar;
const queries = "vstore:queries";

beforeAll(async () => {
  redis = await startRedis({ args: ["--vstore.timeout", "30000"] });
  sidecar = await PlayedSidecar.attach(redis.port);
  await sidecar.createLog("docs");
});
afterAll(async () => {
  sidecar.close();
  await redis.stop();
});
beforeEach(async () => {
  await sidecar.redis.del("text", "hash", "list");
  await sidecar.redis.set("text", "hello");
  await sidecar.redis.hset("hash", "title", "Doc", "year", "1999");
  await sidecar.redis.rpush("list", "a");
});

const bulk = (text: string, type = "$") => `${type}${text.length}\r\n${text}\r\n`;
const shown = (key: string) => bulk(key, "@");
const arrayOf = (items: string[]) => `*${items.length}\r\n${items.join("")}`;
const fields = (...names: string[]) => `^${names.length}\r\n${names.map((name) => bulk(name)).join("")}`;

/** A client of its own that asks; resolves to what it is told when the sidecar answers so. */
async function ask(answer: string, { protocol = 2 as 2 | 3, user = "" } = {}): Promise<string> {
  const client = await RespClient.connect(redis.port, protocol);
  onTestFinished(() => client.close());
  if (user !== "") expect(await client.send("AUTH", user, "pw")).toContain("OK");
  client.write("VSTORE.SEARCH", "docs", "KEY", "a");
  await sidecar.takeAndAnswer(queries, answer);
  return client.read();
}

/** The same with a client that is quick with large answers. */
async function askLarge(answer: string): Promise<Buffer[]> {
  const client = new Redis(redis.port, { protocol: 2 });
  onTestFinished(() => client.disconnect());
  const asked = client.callBuffer("VSTORE.SEARCH", "docs", "KEY", "a");
  asked.catch(() => {});
  await sidecar.takeAndAnswer(queries, answer);
  return (await asked) as Buffer[];
}

async function createUser(...rules: string[]): Promise<void> {
  await sidecar.redis.acl("SETUSER", "guest", "reset", "on", ">pw", "+vstore.search", "~docs", ...rules);
}

describe.each([2, 3] as const)("RESP%i", (protocol) => {
  const [nil, map] = protocol === 2 ? ["$-1\r\n", "*4\r\n"] : ["_\r\n", "%2\r\n"];

  test("strings, hashes and what is neither", async () => {
    const answer = arrayOf(["text", "hash", "list", "nothing"].map(shown));
    const hash = map + ["title", "Doc", "year", "1999"].map((each) => bulk(each)).join("");
    expect(await ask(answer, { protocol })).toBe(arrayOf([bulk("hello"), hash, nil, nil]));
  });

  test("fields of hashes", async () => {
    const hash = `${map}${bulk("year")}${bulk("1999")}${bulk("none")}${nil}`;
    const answer = fields("year", "none") + arrayOf([shown("text"), shown("hash")]);
    expect(await ask(answer, { protocol })).toBe(arrayOf([bulk("hello"), hash]));
  });

  test("a long answer without values is the same as a short one", async () => {
    const numbers = Array.from({ length: 20_000 }, (_, i) => `:${i}\r\n`);
    expect(await ask(arrayOf(numbers), { protocol })).toBe(arrayOf(numbers));
  });
});

test.each([
  ["^1\r\n*0\r\n"],
  ["^1\r\n:1\r\n*0\r\n"],
  [`${fields("a")}`],
  [`*1\r\n${fields("a")}*0\r\n`],
  ["@9\r\nkey\r\n"],
])("%j is malformed", async (answer) => {
  const client = await RespClient.connect(redis.port);
  onTestFinished(() => client.close());
  client.write("VSTORE.SEARCH", "docs", "KEY", "a");
  const request = await sidecar.take(queries);
  await expect(sidecar.answer(request, answer)).rejects.toThrow("malformed");
  expect(await client.read()).toBe("-ERR the sidecar sent a malformed reply\r\n");
});

describe("the caller's rights", () => {
  const answer = arrayOf(["text", "vstore:leader", "hash"].map(shown));
  const nil = "$-1\r\n";

  test("keys that the user may not read are nil, vstore's own too", async () => {
    await createUser("+get", "+hgetall");
    expect(await ask(answer, { user: "guest" })).toBe(arrayOf([nil, nil, nil]));
    await createUser("+get", "+hgetall", "~te*", "%W~hash", "%R~vstore:other");
    expect(await ask(answer, { user: "guest" })).toBe(arrayOf([bulk("hello"), nil, nil]));
  });

  test("an administrator sees all", async () => {
    expect(await ask(arrayOf([shown("vstore:leader")]))).toContain("played:");
  });

  test.each([
    ["GET", "text", ["+hgetall"]],
    ["HGETALL", "hash", ["+get"]],
  ])("a user that may read the key but not send %s is told so", async (command, key, rules) => {
    await createUser("~*", ...rules);
    const told = await ask(arrayOf([shown(key)]), { user: "guest" });
    expect(told).toMatch(new RegExp(`^-NOPERM WITHVALUES .* may not send ${command}\r\n$`));
  });

  test("FIELDS asks for HMGET", async () => {
    await createUser("~*", "+hgetall");
    const wanted = fields("year") + arrayOf([shown("hash")]);
    expect(await ask(wanted, { user: "guest" })).toMatch(/^-NOPERM .*HMGET/);
    await createUser("~*", "+hmget");
    expect(await ask(wanted, { user: "guest" })).toContain("1999");
  });

  test("a selector gives what it says and no more", async () => {
    await createUser("(+strlen ~hash)", "(+get ~text)");
    expect(await ask(arrayOf([shown("text")]), { user: "guest" })).toBe(arrayOf([bulk("hello")]));
    expect(await ask(arrayOf([shown("hash")]), { user: "guest" })).toMatch(/^-NOPERM /);
  });

  test("are those of the moment of the answer, and so are the values", async () => {
    await createUser("~*", "+@all");
    const client = await RespClient.connect(redis.port);
    onTestFinished(() => client.close());
    await client.send("AUTH", "guest", "pw");
    client.write("VSTORE.SEARCH", "docs", "KEY", "a");
    const request = await sidecar.take(queries);
    await sidecar.redis.set("text", "later");
    await sidecar.redis.acl("SETUSER", "guest", "resetkeys", "~docs", "~text");
    await sidecar.answer(request, answer);
    expect(await client.read()).toBe(arrayOf([bulk("later"), nil, nil]));
  });
});

describe("limits", () => {
  test("a hash of as many fields as may be is shown, a larger one needs FIELDS", async () => {
    const { valueHashFieldsMax: most } = limits;
    await sidecar.redis.hset("hash", Object.fromEntries(Array.from({ length: most - 2 }, (_, i) => [i, i])));
    expect(await ask(shown("hash"))).toMatch(new RegExp(`^\\*${2 * most}\r\n`));
    await sidecar.redis.hset("hash", "more", "x");
    expect(await ask(shown("hash"))).toMatch(new RegExp(`^-LIMIT .*more than ${most} fields`));
    expect(await ask(fields("more") + shown("hash"))).toBe(`*2\r\n${bulk("more")}${bulk("x")}`);
  });

  test("a hash is not copied before it is known to fit, and names of fields count", async () => {
    const half = "x".repeat(limits.valuesBytesMax / 2);
    await sidecar.redis.hset("hash", { one: half, two: half });
    await expect(askLarge(shown("hash"))).rejects.toThrow(/^LIMIT /);
    await sidecar.redis.hset("hash", "one", "x");
    const whole = await askLarge(shown("hash"));
    expect(whole.map((each) => each.length).sort()).toEqual([1, 3, 3, 3, 4, 4, 5, half.length].sort());
    await sidecar.redis.hset("hash", "two", "x");
    const long = fields("y".repeat(1024 * 1024));
    expect(await askLarge(long + arrayOf(Array(64).fill(shown("hash"))))).toHaveLength(64);
    await expect(askLarge(long + arrayOf(Array(65).fill(shown("hash"))))).rejects.toThrow(/^LIMIT /);
  });

  test("two thousand hashes of 256 fields come whole, and other clients are served meanwhile", async () => {
    const [keys, names] = [2_000, 256];
    const { redis: owner } = sidecar;
    const script = `for k = 0, ARGV[1] - 1 do local hash = {}
      for f = 1, ARGV[2] do hash[2 * f - 1] = 'f' .. f; hash[2 * f] = 'v' .. k end
      redis.call('HSET', 'many:' .. k, unpack(hash)) end`;
    await owner.eval(script, 0, keys, names);
    const client = new Redis(redis.port, { protocol: 2 });
    onTestFinished(() => client.disconnect());
    const asked = client.call("VSTORE.SEARCH", "docs", "KEY", "a") as Promise<string[][]>;
    const request = await sidecar.take(queries);
    await sidecar.answer(request, arrayOf(Array.from({ length: keys }, (_, k) => shown(`many:${k}`))));
    let pings = 0;
    for (; Number(await sidecar.info("pending")) > 0; pings++) await owner.ping();
    expect(pings).toBeGreaterThan(10);
    const answer = await asked;
    expect(answer).toHaveLength(keys);
    for (const k of [0, 1, 999, keys - 1])
      expect(answer[k]).toEqual(expect.arrayContaining([`f${names}`, `v${k}`]));
  });
});

describe("an answer in pieces", () => {
  const many = 120;
  const size = 256 * 1024;
  const answer = arrayOf(Array.from({ length: many / 2 }, (_, i) => shown(`big:${i}`)));

  /** The keys that are read last. */
  const last = (count: number) => Array.from({ length: count }, (_, i) => `big:${many / 2 - 1 - i}`);

  beforeEach(async () => {
    const value = "z".repeat(size);
    await sidecar.redis.mset(Object.fromEntries(Array.from({ length: many }, (_, i) => [`big:${i}`, value])));
  });

  /** Begins an answer. Returns its client, and what `next` gave, which Redis has run right after the first piece. */
  async function begin(next: (id: string) => string[]): Promise<{ client: RespClient; given: unknown }> {
    const client = await RespClient.connect(redis.port);
    onTestFinished(() => client.close());
    const id = (await client.send("CLIENT", "ID")).slice(1, -2);
    client.write("VSTORE.SEARCH", "docs", "KEY", "a");
    const request = await sidecar.take(queries);
    const [name, ...args] = next(id) as [string, ...string[]];
    // In one write: this process may stand still for longer than the answer takes.
    const both = sidecar.redis.pipeline().call("VSTORE.REPLY", request.stream, request.id, answer);
    const [, [, given]] = (await both.call(name, ...args).exec()) as [unknown, [unknown, unknown]];
    expect(await sidecar.redis.xlen(queries)).toBe(0);
    return { client, given };
  }

  test("is dropped when its client goes", async () => {
    const { given } = await begin((id) => ["CLIENT", "KILL", "ID", id]);
    expect(given).toBe(1);
    await sidecar.untilPending(0);
    expect(await ask(shown("text"))).toBe(bulk("hello"));
  });

  test("gives way to CLIENT UNBLOCK", async () => {
    for (const [how, told] of [
      ["TIMEOUT", /^-TIMEOUT /],
      ["ERROR", /^-UNBLOCKED /],
    ] as const) {
      const { client, given } = await begin((id) => ["CLIENT", "UNBLOCK", id, how]);
      expect(given).toBe(1);
      expect(await client.read()).toMatch(told);
      expect(await client.send("PING")).toBe("+PONG\r\n");
    }
    await sidecar.untilPending(0);
  });

  test("comes whole where more are under way than share the time", async () => {
    const large = Array.from({ length: 8 }, () => new Redis(redis.port, { protocol: 2 }));
    onTestFinished(() => large.forEach((client) => void client.disconnect()));
    const asked = large.map((client) => client.callBuffer("VSTORE.SEARCH", "docs", "KEY", "a"));
    const requests = [];
    for (const _ of large) requests.push(await sidecar.take(queries));
    await sidecar.redis.call("VSTORE.REPLY", ...requests.flatMap(({ stream, id }) => [stream, id, answer]));
    for (const reply of (await Promise.all(asked)) as Buffer[][]) {
      expect(reply).toHaveLength(many / 2);
      expect(reply.every((each) => each.length === size)).toBe(true);
    }
    await sidecar.untilPending(0);
  });

  test("is given though keys change, vanish and become something else meanwhile", async () => {
    const { client, given } = await begin(() => ["DEL", ...last(3)]);
    expect(given).toBe(3);
    for (let i = 0; i < many / 2; i += 3) {
      await sidecar.redis.del(`big:${i}`, `big:${i + 1}`);
      await sidecar.redis.rpush(`big:${i}`, "a list");
    }
    const reply = await client.read();
    expect(reply).toMatch(new RegExp(`^\\*${many / 2}\r\n`));
    expect(await client.send("PING")).toBe("+PONG\r\n");
  });
});
