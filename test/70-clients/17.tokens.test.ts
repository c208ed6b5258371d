/** TOKEN, and reads with ASOF: no read with a token is older than what its client has seen. */
import { setTimeout as sleep } from "node:timers/promises";
import type { Redis } from "ioredis";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { Vstore } from "../../client/index.ts";
import { commands } from "../../src/commands/registry.ts";
import { encodeToken } from "../../src/commands/token.ts";
import { nextId } from "../../src/engine/log-id.ts";
import { limits } from "../../src/limits.ts";
import { fp32 } from "../harness/fp32.ts";
import { connectClient, until } from "../harness/serving.ts";
import { eachTestOnStage } from "../harness/stage.ts";

const stage = eachTestOnStage({ appendonly: "always" });
/** Another connection: a read that waits holds up what its own has sent after it. */
let other: Redis;

beforeEach(() => {
  other = connectClient(stage.server.url);
});
afterEach(() => other.disconnect());

const call = (command: string, ...args: (string | number | Buffer)[]) =>
  stage.redis.call(`VSTORE.${command}`, ...args) as Promise<unknown>;
const tokenOf = (collection = "c") => call("TOKEN", collection) as Promise<string>;

async function serve(): Promise<ReturnType<typeof stage.join>> {
  const sidecar = stage.join();
  await sidecar.waitReady();
  await call("CREATE", "c", "DIM", 2, "METRIC", "L2");
  return sidecar;
}

/** A token that asks for an entry which no log has yet, and that entry's id. */
async function tokenAhead(): Promise<{ token: string; id: string }> {
  const [, created, applied, timeline] = (await tokenOf()).split(".") as [string, string, string, string];
  const id = nextId(applied);
  return { token: encodeToken("c", { created, applied: id, timeline }), id };
}

const insert = (id: string, key: string) =>
  other.xadd("vstore:{c}:log", id, "cmd", "INSERT", "0", "c", "1", key, "2", "FP32", "3", fp32(1, 2));

describe("TOKEN", () => {
  test("is the same until something is applied, and then another one", async () => {
    await serve();
    const first = await tokenOf();
    expect(await tokenOf()).toBe(first);
    await call("INSERT", "c", "a", "FP32", fp32(1, 2));
    expect(await tokenOf()).not.toBe(first);
    await expect(tokenOf("none")).rejects.toThrow("NOCOLLECTION");
  });

  test("covers a write that was only logged", async () => {
    const sidecar = await serve();
    process.kill(sidecar.pid, "SIGSTOP");
    const id = (await call("INSERT", "c", "a", "FP32", fp32(1, 2), "NOWAIT")) as string;
    const reply = tokenOf();
    await until(
      () => other.info("vstore"),
      (facts) => facts.includes("vstore_pending:1\r"),
    );
    process.kill(sidecar.pid, "SIGCONT");
    expect((await reply).split(".")).toContain(id);
  });

  test("is good for the sidecar that comes after", async () => {
    const sidecar = await serve();
    await call("INSERT", "c", "a", "FP32", fp32(1, 2));
    const token = await tokenOf();
    await sidecar.kill();
    await stage.join({ dataDir: sidecar.dataDir }).waitReady();
    expect(await call("EXISTS", "c", "a", "ASOF", token)).toBe(1);
    expect(await tokenOf()).toBe(token);
  });
});

describe("ASOF", () => {
  test("ends every read of a collection, and changes no answer once its token is reached", async () => {
    await serve();
    await call("MINSERT", "c", 2, "a", "b", "FP32", fp32(1, 2, 3, 4), "SETATTR", '{"n":1}', "{}");
    const token = await tokenOf();
    const reads: Record<string, (string | number | Buffer)[]> = {
      GET: ["a"],
      MGET: ["a", "b", "ASOF"],
      EXISTS: ["a", "b"],
      CARD: ["FILTER", ".n == 1"],
      GETATTR: ["a"],
      TTL: ["a"],
      PTTL: ["a"],
      SCAN: [0, "MATCH", "*"],
      RANDMEMBER: [2],
      SEARCH: ["FP32", fp32(1, 2), "WITHVALUES", "FIELDS", "title", "body"],
      MSEARCH: [2, "FP32", fp32(1, 2, 3, 4)],
      EXPLAIN: ["FILTER", ".n == 1"],
    };
    const taking = [...commands.values()].filter(({ args }) => args.asOf !== undefined);
    expect(taking.map(({ name }) => name).sort()).toEqual(Object.keys(reads).sort());
    const isNoTime = (text: string) => !/^\d+\.\d{3,}$/.test(text); // EXPLAIN tells some
    const sorted = (reply: unknown) =>
      Array.isArray(reply) ? reply.map(String).filter(isNoTime).sort() : reply;
    for (const [name, words] of Object.entries(reads)) {
      const plain = sorted(await call(name, "c", ...words));
      for (const asOf of ["ASOF", "asof"])
        expect(sorted(await call(name, "c", ...words, asOf, token)), name).toEqual(plain);
      await expect(call(name, "c", ...words, "ASOF", "nonsense"), name).rejects.toThrow(
        "'ASOF' must be a token",
      );
    }
  });

  test("waits until the entry is applied, and no other read waits for it", async () => {
    await serve();
    await call("CREATE", "other", "DIM", 2);
    const { token, id } = await tokenAhead();
    const replies = [
      call("EXISTS", "c", "a", "ASOF", token),
      call("GET", "c", "a", "ASOF", token),
      call("SEARCH", "c", "FP32", fp32(1, 2), "ASOF", token),
    ];
    const busy = connectClient(stage.server.url);
    const flood = Array.from({ length: 100 }, () => busy.call("VSTORE.EXISTS", "c", "a", "ASOF", token));
    for (let i = 0; i < 5; i++) {
      expect(await other.call("VSTORE.CARD", "c")).toBe(0);
      expect(await other.call("VSTORE.CARD", "other")).toBe(0);
    }
    await insert(id, "a");
    expect(await Promise.all(replies)).toEqual([1, ["1", "2"], ["a"]]);
    expect(await Promise.all(flood)).toEqual(Array(100).fill(1));
    busy.disconnect();
  });

  test("is refused after its time, and says how far the collection is", async () => {
    await serve();
    const { token, id } = await tokenAhead();
    const applied = (await tokenOf()).split(".")[2];
    const began = performance.now();
    await expect(call("CARD", "c", "ASOF", token)).rejects.toThrow(
      `BEHIND collection 'c' is applied up to ${applied} here, the token asks for ${id}`,
    );
    expect(performance.now() - began).toBeGreaterThan(limits.asOfWaitMsMax - 100);
    await insert(id, "a");
    expect(await call("CARD", "c", "ASOF", token)).toBe(1);
  });

  test("refuses the token of a collection that was dropped, of another one, and what is none", async () => {
    await serve();
    await call("INSERT", "c", "a", "FP32", fp32(1, 2));
    const token = await tokenOf();
    await call("CREATE", "other", "DIM", 2);
    const isNone = (name: string) =>
      `'ASOF' must be a token that VSTORE.TOKEN answered for collection '${name}'`;
    await expect(call("CARD", "other", "ASOF", token)).rejects.toThrow(isNone("other"));
    for (const wrong of ["", token.slice(1), `${token}0`, token.replace(/.$/, "x"), "x".repeat(1_000_000)])
      await expect(call("CARD", "c", "ASOF", wrong)).rejects.toThrow(isNone("c"));
    await call("DROP", "c");
    await expect(call("CARD", "c", "ASOF", token)).rejects.toThrow("NOCOLLECTION");
    await call("CREATE", "c", "DIM", 2);
    await expect(call("CARD", "c", "ASOF", token)).rejects.toThrow(
      "the token of 'ASOF' is of an earlier collection 'c', which was dropped",
    );
    expect(await call("CARD", "c", "ASOF", await tokenOf())).toBe(0);
  });

  test("hears of a DROP while it waits", async () => {
    await serve();
    const { token } = await tokenAhead();
    await waitedRead("vstore:reply:x", token);
    await call("CARD", "c");
    await call("DROP", "c");
    expect(await answersOf("vstore:reply:x")).toEqual(["err", "-NOCOLLECTION no collection 'c'\r\n"]);
  });

  test("is a key where the command is not whole without it", async () => {
    await serve();
    await call("MINSERT", "c", 2, "ASOF", "b", "FP32", fp32(1, 2, 3, 4));
    expect(await call("GET", "c", "ASOF")).toEqual(["1", "2"]);
    expect(await call("EXISTS", "c", "ASOF", "b")).toBe(2);
    expect(await call("SEARCH", "c", "KEY", "ASOF", "WITHDISTANCES")).toHaveLength(4);
    await expect(call("GETATTR", "c", "b", "ASOF")).rejects.toThrow("wrong number of arguments");
    await expect(call("DEL", "c", "b", "ASOF", await tokenOf())).resolves.toBe(2);
  });

  test("waits for a stream client too", async () => {
    await serve();
    const { token, id } = await tokenAhead();
    await waitedRead("vstore:reply:x", token);
    await sleep(50);
    expect(await stage.redis.xlen("vstore:reply:x")).toBe(0);
    await insert(id, "a");
    expect(await answersOf("vstore:reply:x")).toEqual(["ok", ":1\r\n"]);
  });

  test("is an option of the typed client", async () => {
    await serve();
    const vstore = new Vstore<{ c: object }>(stage.redis);
    await vstore.insert("c", "a", [1, 2]);
    const asOf = await vstore.token("c");
    expect(await vstore.card("c", { asOf })).toBe(1);
    expect(await vstore.mget("c", ["a", "b"], { asOf })).toEqual([Float32Array.of(1, 2), null]);
    expect(await vstore.search("c", [1, 2], { count: 1, asOf })).toEqual([{ key: "a", distance: 0 }]);
    await expect(vstore.exists("c", ["a"], { asOf: "t1" })).rejects.toThrow("'ASOF' must be a token");
  });

  const waitedRead = (reply: string, token: string) =>
    stage.redis.xadd(
      "vstore:{c}:queries",
      "*",
      "cmd",
      "CARD",
      "reply",
      reply,
      "0",
      "c",
      "1",
      "ASOF",
      "2",
      token,
    );

  async function answersOf(stream: string): Promise<string[]> {
    const read = () => stage.redis.xrange(stream, "-", "+");
    const [[, fields]] = (await until(read, ({ length }) => length > 0)) as [[string, string[]]];
    return fields.slice(2);
  }
});
