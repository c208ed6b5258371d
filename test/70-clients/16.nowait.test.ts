/** Writes that are answered once they are in the log, and WAIT, which tells when they are applied. */
import { describe, expect, test } from "vitest";
import { fp32 } from "../harness/fp32.ts";
import { connectClient, until } from "../harness/serving.ts";
import { eachTestOnStage } from "../harness/stage.ts";

const stage = eachTestOnStage({ appendonly: "always" });
const idPattern = /^\d+-\d+$/;

const call = (command: string, ...args: (string | number | Buffer)[]) =>
  stage.redis.call(`VSTORE.${command}`, ...args) as Promise<string>;
const waited = (...args: string[]) => call("WAIT", "c", ...args) as unknown;

async function serve(dimensions = 2): Promise<ReturnType<typeof stage.join>> {
  const sidecar = stage.join();
  await sidecar.waitReady();
  await call("CREATE", "c", "DIM", dimensions, "METRIC", "L2");
  return sidecar;
}

describe("NOWAIT", () => {
  test("answers the entry's id, for every write of a collection, and the write has its effect", async () => {
    await serve();
    const ids = [
      await call("INSERT", "c", "a", "FP32", fp32(1, 2), "NOWAIT"),
      await call("INSERT", "c", "b", "VALUES", 2, 3, 4, "SETATTR", '{"x":1}', "nowait"),
      await call("MINSERT", "c", 2, "d", "e", "FP32", fp32(5, 6, 7, 8), "NOWAIT"),
      await call("SETATTR", "c", "a", '{"x":2}', "NOWAIT"),
      await call("EXPIRE", "c", "d", 1_000, "NOWAIT"),
      await call("PERSIST", "c", "d", "NOWAIT"),
      await call("DEL", "c", "e", "NOWAIT"),
    ];
    for (const id of ids) expect(id).toMatch(idPattern);
    const entries = await stage.redis.xrange("vstore:{c}:log", "-", "+");
    expect(entries.map(([id]) => id)).toEqual(ids);
    expect(entries.flatMap(([, fields]) => fields)).not.toContain("client");
    expect(await waited()).toEqual([ids.at(-1), 0, null]);
    expect(await call("GETATTR", "c", "a")).toBe('{"x":2}');
    expect(await call("TTL", "c", "d")).toBe(-1);
    expect(await call("CARD", "c")).toBe(3);
  });

  test("is a key or a blob where the command is not whole without it", async () => {
    await serve();
    const blob = Buffer.from("NOWAIT\0\0");
    expect(await call("INSERT", "c", "NOWAIT", "FP32", blob)).toBe(1);
    expect(await call("DEL", "c", "NOWAIT")).toBe(1);
    await expect(call("SETATTR", "c", "NOWAIT")).rejects.toThrow("wrong number of arguments");
    await expect(call("SEARCH", "c", "VALUES", 2, 1, 2, "NOWAIT")).rejects.toThrow("unknown option 'NOWAIT'");
  });

  test("in MULTI changes nothing: the answer is QUEUED", async () => {
    await serve();
    const replies = await stage.redis.multi().call("VSTORE.DEL", "c", "a", "b", "NOWAIT").exec();
    expect(replies![0]![1]).toMatch(/^QUEUED \d+-\d+$/);
    const [[, fields]] = (await stage.redis.xrange("vstore:{c}:log", "-", "+")) as [[string, string[]]];
    expect(fields).not.toContain("NOWAIT");
    expect(fields).toContain("b");
  });

  test("appends nothing where there is no collection, no sidecar, or no room in the log", async () => {
    const sidecar = await serve();
    await expect(call("DEL", "none", "a", "NOWAIT")).rejects.toThrow("NOCOLLECTION");
    process.kill(sidecar.pid, "SIGSTOP");
    await stage.redis.config("SET", "vstore.log-max-bytes", "1mb");
    const write = () => call("INSERT", "c", "a", "FP32", Buffer.alloc(60_000), "NOWAIT");
    await expect(
      (async () => {
        for (let i = 0; i < 100; i++) await write();
      })(),
    ).rejects.toThrow("BUSY");
    const length = await stage.redis.xlen("vstore:{c}:log");
    process.kill(sidecar.pid, "SIGCONT");
    await sidecar.stop();
    await expect(call("DEL", "c", "a", "NOWAIT")).rejects.toThrow("VSTOREDOWN");
    expect(await stage.redis.xlen("vstore:{c}:log")).toBeLessThanOrEqual(length);
  });

  test("loses no write that was answered, when the sidecar is killed", async () => {
    const sidecar = await serve();
    const dataDir = sidecar.dataDir;
    const answered: string[] = [];
    for (let batch = 0; batch < 20; batch++) {
      const pipeline = stage.redis.pipeline();
      for (let i = 0; i < 100; i++)
        pipeline.call("VSTORE.INSERT", "c", `${batch}:${i}`, "FP32", fp32(batch, i), "NOWAIT");
      const replies = await pipeline.exec();
      for (const [i, [error]] of replies!.entries()) if (error === null) answered.push(`${batch}:${i}`);
      if (batch === 10) await sidecar.kill();
    }
    expect(answered.length).toBeGreaterThanOrEqual(1_000);
    const second = stage.join({ dataDir });
    await second.waitReady();
    expect(await call("EXISTS", "c", ...answered)).toBe(answered.length);
  });
});

describe("WAIT", () => {
  test("counts what was refused between two ids, and says why the first one was", async () => {
    await serve();
    const first = await call("INSERT", "c", "bad", "FP32", fp32(1), "NOWAIT");
    const good = await call("INSERT", "c", "good", "FP32", fp32(1, 2), "NOWAIT");
    const last = await call("SETATTR", "c", "good", "[]", "NOWAIT");
    const reason = expect.stringContaining("8 bytes");
    expect(await waited()).toEqual([last, 2, reason]);
    expect(await waited(good)).toEqual([last, 1, reason]);
    expect(await waited(last, "SINCE", good)).toEqual([last, 1, expect.stringContaining("JSON object")]);
    expect(await waited(good, "SINCE", good)).toEqual([last, 0, null]);
    expect(await waited("SINCE", first)).toEqual([last, 2, reason]);
  });

  test("answers once everything before it is applied", async () => {
    const sidecar = await serve();
    process.kill(sidecar.pid, "SIGSTOP");
    const id = await call("INSERT", "c", "a", "FP32", fp32(1, 2), "NOWAIT");
    let isAnswered = false;
    const reply = (waited() as Promise<unknown>).finally(() => {
      isAnswered = true;
    });
    const other = connectClient(stage.server.url);
    await until(
      () => other.info("vstore"),
      (facts) => facts.includes("vstore_pending:1\r"),
    );
    other.disconnect();
    expect(isAnswered).toBe(false);
    process.kill(sidecar.pid, "SIGCONT");
    expect(await reply).toEqual([id, 0, null]);
    expect(await call("CARD", "c")).toBe(1);
  });

  test("refuses an id that is not there yet, and what is no id", async () => {
    await serve();
    await expect(waited("9999999999999-0")).rejects.toThrow("'id' must not be after");
    await expect(waited("soon")).rejects.toThrow("'id' must be the id of a log entry");
    await expect(call("WAIT", "none")).rejects.toThrow("NOCOLLECTION");
  });
});
