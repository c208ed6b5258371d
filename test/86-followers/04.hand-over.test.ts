/** A planned hand-over: clients wait a moment, and no request fails. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import type { Redis } from "ioredis";
import { afterEach, beforeEach, describe, expect, onTestFinished, test } from "vitest";
import type { SidecarProcess } from "../../harness/sidecar.ts";
import { fp32 } from "../harness/fp32.ts";
import { connectClient, until } from "../harness/serving.ts";
import { eachTestOnStage, NO_CHECKPOINTS } from "../harness/stage.ts";

const program = fileURLToPath(new URL("../../dist/cli.js", import.meta.url));
/** Of one EXISTS. */
const keysMax = 10_000;
const stage = eachTestOnStage();
let redis: Redis;

beforeEach(() => {
  redis = connectClient(stage.server.url);
});
afterEach(() => redis.disconnect());

const call = (command: string, ...args: (string | number | Buffer)[]) =>
  redis.call(`VSTORE.${command}`, ...args) as Promise<unknown>;

async function moduleFact(name: string): Promise<string> {
  return new RegExp(`^vstore_${name}:(.*)\r$`, "m").exec(await redis.info("vstore"))![1]!;
}

function start(role: string, syncFollowers = 0): SidecarProcess {
  const env = { VSTORE_ROLE: role, VSTORE_SYNC_FOLLOWERS: String(syncFollowers) };
  return stage.join({ env, checkpointIntervalMs: NO_CHECKPOINTS });
}

async function startPair(syncFollowers = 0): Promise<[SidecarProcess, SidecarProcess]> {
  const leader = start("auto", syncFollowers);
  await leader.waitReady();
  const follower = start("auto", syncFollowers);
  await untilReady();
  await call("CREATE", "c", "DIM", 2, "METRIC", "L2");
  return [leader, follower];
}

const untilReady = () =>
  until(
    () => moduleFact("followers_ready"),
    (count) => count === "1",
  );

/** Clients that write, and read what they have written, until they are told to stop. */
class Load {
  readonly #clients = Array.from({ length: 8 }, () => connectClient(stage.server.url));
  readonly #done: Promise<unknown>;
  #isOver = false;
  readonly written: string[] = [];
  readonly failed: string[] = [];
  longestMs = 0;

  constructor() {
    for (const client of this.#clients) onTestFinished(() => client.disconnect());
    this.#done = Promise.all(this.#clients.map((client, i) => this.#run(client, i)));
  }

  async stop(): Promise<void> {
    this.#isOver = true;
    await this.#done;
  }

  async #run(client: Redis, number: number): Promise<void> {
    for (let i = 0; !this.#isOver; i++) {
      const key = `${number}:${i}`;
      const begun = performance.now();
      try {
        const inserted = await client.call("VSTORE.INSERT", "c", key, "FP32", fp32(number, i));
        this.written.push(key);
        const found = (await client.call("VSTORE.SEARCH", "c", "KEY", key, "COUNT", 1)) as string[];
        if (inserted !== 1 || found[0] !== key) this.failed.push(`${key}: ${inserted}, ${found[0]}`);
      } catch (error) {
        this.failed.push(`${key}: ${error}`);
      }
      this.longestMs = Math.max(this.longestMs, performance.now() - begun);
    }
  }
}

async function untilWritten(load: Load, more: number): Promise<void> {
  const wanted = load.written.length + more;
  await until(
    () => load.written.length,
    (count) => count >= wanted || load.failed.length > 0,
  );
}

async function expectNothingLost(load: Load): Promise<void> {
  await load.stop();
  console.log(`the longest request took ${Math.round(load.longestMs)} ms`);
  expect(load.failed).toEqual([]);
  for (let at = 0; at < load.written.length; at += keysMax) {
    const keys = load.written.slice(at, at + keysMax);
    expect(await call("EXISTS", "c", ...keys)).toBe(keys.length);
  }
  expect(await call("CARD", "c")).toBe(load.written.length);
  expect(await moduleFact("refused_down")).toBe("0");
}

async function promote(): Promise<{ status: number; output: string }> {
  const child = spawn(process.execPath, [program, "promote", "--redis-url", stage.server.url]);
  let output = "";
  for (const stream of [child.stdout, child.stderr])
    stream.on("data", (data: Buffer) => {
      output += data;
    });
  const [status] = (await once(child, "close")) as [number];
  return { status, output };
}

describe("no request fails, and nothing is lost", () => {
  test("when the leader is stopped", async () => {
    const [leader, follower] = await startPair();
    const load = new Load();
    await untilWritten(load, 200);
    const waiting = call("BUILD", "c", "WAIT");
    await leader.stop();
    await follower.waitReady();
    expect(String(await waiting)).toContain("OK");
    await untilWritten(load, 200);
    await expectNothingLost(load);
    expect(leader.stderr).toContain("handed over to a follower");
  });

  test("when a follower is promoted, and the old leader follows", async () => {
    const [first, second] = await startPair();
    const load = new Load();
    for (const [from, to] of [
      [first, second],
      [second, first],
    ]) {
      await untilWritten(load, 200);
      const handedOver = from!.stderr.split("handed over").length;
      const asked = await promote();
      expect(asked, `${from!.stderr}\n\n${to!.stderr}`).toEqual({
        status: 0,
        output: expect.stringContaining("leads now"),
      });
      await to!.waitReady();
      await from!.waitFor(() => from!.stderr.split("handed over").length > handedOver, "the hand-over");
      await untilReady();
    }
    await untilWritten(load, 200);
    await expectNothingLost(load);
  });

  test("when writes are acknowledged by followers", async () => {
    const [, second] = await startPair(1);
    const load = new Load();
    await untilWritten(load, 100);
    expect((await promote()).status).toBe(0);
    await second.waitReady();
    await untilWritten(load, 100);
    await expectNothingLost(load);
  });
});

test("without a follower that may lead, the leader goes on, or stops as before", async () => {
  const leader = start("auto");
  await leader.waitReady();
  start("follower");
  await until(
    () => moduleFact("followers_in_step"),
    (count) => count === "1",
  );
  expect(await promote()).toEqual({
    status: 1,
    output: expect.stringContaining("no follower may take over"),
  });
  await call("CREATE", "c", "DIM", 2);
  await leader.stop();
  await expect(call("CARD", "c")).rejects.toThrow("VSTOREDOWN");
});

test("a leader that would not follow does not hand over when it is asked", async () => {
  const leader = start("leader");
  await leader.waitReady();
  start("auto");
  await untilReady();
  await redis.set("vstore:promote", "1");
  await leader.waitLog("it would not follow");
  await call("CREATE", "c", "DIM", 2);
  expect(await redis.exists("vstore:promote")).toBe(0);
});
