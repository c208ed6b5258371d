/**
 * The heartbeat's thread: every second it renews the lease and, once clients are served, tells the module that the
 * sidecar is there, on a connection of its own. So neither depends on how long a turn of the serving event loop takes.
 * When that loop gives no sign of life, the thread detaches, so that clients hear that no sidecar serves them. After a
 * longer silence it gives the lease up.
 *
 * Started by heartbeat.ts. It ends with an error when the lease is lost or cannot be renewed, and the session with it.
 */
import { setTimeout as delay } from "node:timers/promises";
import { parentPort, workerData } from "node:worker_threads";
import { createLog, takeOverConsole } from "../../log.ts";
import { connect } from "../redis/connection.ts";
import { beatMs, leaseMs, sendAttach, sendRenew } from "./lease.ts";
import { Pulse } from "./pulse.ts";

/** Silence of the serving loop after which the sidecar is detached, and after which it no longer leads. */
const silenceMsMax = 5_000;
const deadMsMax = 60_000;

export interface HeartbeatSettings {
  readonly url: string;
  readonly lease: string;
  readonly syncFollowers: number;
  readonly memory: SharedArrayBuffer;
}

/** The messages to the thread; it answers each with itself once it is done. */
export type Wish = "attach" | "detach";
/** The message of the thread once it has renewed the lease for the first time. */
const beats = "beats";

const { url, lease, syncFollowers, memory } = workerData as HeartbeatSettings;
// The main thread talks to the same Redis through the same library, and logs its warnings.
takeOverConsole(createLog("info"), "debug");
const pulse = new Pulse(memory);
const redis = await connect(url, "vstore-heartbeat");
let isWanted = false;
let isAttached = false;
/** Commands to Redis are sent in order. */
let turn: Promise<void> = Promise.resolve();

parentPort!.on("message", (wish: Wish) => {
  isWanted = wish === "attach";
  turn = turn.then(async () => {
    await follow(true);
    parentPort!.postMessage(wish);
  });
});

for (let isFirst = true; ; isFirst = false) {
  turn = turn.then(beat);
  await turn;
  if (isFirst) parentPort!.postMessage(beats);
  await delay(beatMs);
}

async function beat(): Promise<void> {
  if (pulse.silenceMs > deadMsMax)
    throw new Error(`the event loop gave no sign of life for ${pulse.silenceMs} ms`);
  await within(leaseMs - beatMs, sendRenew(redis, lease, pulse));
  await follow();
}

/** @param isAsked also where this thread has nothing to take back: the main one attaches before it */
async function follow(isAsked = false): Promise<void> {
  const isToAttach = isWanted && pulse.silenceMs <= silenceMsMax;
  if (isToAttach || isAttached || isAsked) await sendAttach(redis, lease, isToAttach, syncFollowers);
  isAttached = isToAttach;
}

/** @throws Error when the promise takes longer than `ms` */
async function within(ms: number, promise: Promise<void>): Promise<void> {
  const timer = new AbortController();
  const limit = delay(ms, undefined, { signal: timer.signal }).then(() => {
    throw new Error(`the lease could not be renewed within ${ms} ms`);
  });
  try {
    await Promise.race([promise, limit]);
  } finally {
    timer.abort();
    limit.catch(() => {});
  }
}
