/**
 * The sidecar's own Redis or Valkey, for users who have none: on 127.0.0.1, with the module loaded and AOF on, its
 * files beside vstore's. It has a process group of its own, so that Ctrl-C in a terminal reaches only the sidecar,
 * which then stops it in order.
 *
 * A sidecar that was killed leaves it running. It inherited the lock on its directory, so the next sidecar notices it
 * on whatever port it listens and wherever the directory was moved: it adopts the server on its own port, and stops one
 * on another. Two servers never write to one AOF.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir, readFile, realpath, writeFile } from "node:fs/promises";
import { connect as connectSocket } from "node:net";
import path from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import type { Redis } from "ioredis";
import { DirectoryLock } from "../../engine/disk/lock.ts";
import { VstoreError } from "../../errors.ts";
import type { Logger } from "../../log.ts";
import { connect } from "./connection.ts";
import { ensureModule } from "./module-file.ts";
import { hasModule, infoField } from "./server.ts";

const host = "127.0.0.1";
/** The first of them that is installed. */
const programs = ["redis-server", "valkey-server"];
const startMsMax = 60_000;
const stopMsMax = 30_000;
/** In its directory: {pid, port} of the server that was started last. */
const serverFile = "server.json";
/** Between the last act of redis-server, closing its port, and the end of the process. */
const exitMsMax = 2_000;
/** A program that says nothing for this long is no Redis. */
const recognizeMsMax = 2_000;
const pollMs = 50;

export class EmbeddedRedis {
  readonly url: string;
  readonly #port: number;
  readonly #directory: string;
  readonly #programs: readonly string[];
  readonly #log: Logger;
  /** Undefined while a server that an earlier sidecar started has it. */
  #lock: DirectoryLock | undefined;
  /** Undefined while none of ours runs. */
  #pid: number | undefined;

  /** @param program what to run, by name or path; undefined for what is installed */
  constructor(port: number, dataDirectory: string, program: string | undefined, log: Logger) {
    this.url = `redis://${host}:${port}`;
    this.#port = port;
    this.#directory = path.resolve(dataDirectory, "redis");
    this.#programs = program === undefined ? programs : [program];
    this.#log = log;
  }

  /** Starts it unless it runs already. @throws Error that says what to do, when it cannot be started */
  async ensureRunning(): Promise<void> {
    if (this.#pid !== undefined && isAlive(this.#pid)) return;
    await mkdir(this.#directory, { recursive: true });
    if (await isListening(this.#port)) this.#pid = await this.#adopt();
    else this.#pid = await this.#start();
  }

  /** Resolves when the process is gone. */
  async stop(): Promise<void> {
    const pid = this.#pid;
    if (pid === undefined || !isAlive(pid)) return;
    process.kill(pid, "SIGTERM");
    if (await becomesTrue(async () => !(await isListening(this.#port)), stopMsMax)) {
      // Not for longer: an adopted process may stay as a zombie.
      await becomesTrue(() => !isAlive(pid), exitMsMax);
      this.#lock?.release();
      return;
    }
    this.#log.error({ pid }, "the embedded Redis did not stop in time; killing it");
    process.kill(pid, "SIGKILL");
  }

  async #start(): Promise<number> {
    this.#lock ??= tryLock(this.#directory) ?? (await this.#stopOrphan());
    const child = await this.#spawn(await ensureModule(this.#log));
    await writeFile(this.#serverFile, JSON.stringify({ pid: child.pid, port: this.#port }));
    const isUp = await becomesTrue(
      async () => hasExited(child) || (await isListening(this.#port)),
      startMsMax,
    );
    if (!isUp || hasExited(child)) fail(`${child.spawnfile} did not start: ${await this.#lastLogLine()}`);
    child.unref();
    return child.pid!;
  }

  async #spawn(module: string): Promise<ChildProcess> {
    for (const program of this.#programs) {
      const child = spawn(program, this.#arguments(module), {
        stdio: ["ignore", "ignore", "ignore", this.#lock!.descriptor],
        detached: true,
      });
      const fault = await once(child, "spawn").then(
        () => undefined,
        (error: NodeJS.ErrnoException) => error,
      );
      if (fault === undefined) return child;
      if (fault.code !== "ENOENT") fail(`--redis-server ${program} cannot be run: ${fault.code}`);
    }
    const tried = this.#programs.join(", ");
    return fail(`not found: ${tried}; install Redis 7.0 or Valkey 7.2, or newer, or set --redis-server`);
  }

  #arguments(module: string): string[] {
    return [
      ["--port", String(this.#port), "--bind", host, "--dir", this.#directory],
      // A client that sends requests and does not read must not fill the memory; one answer has at most 256 MiB.
      ["--client-output-buffer-limit", "normal 512mb 256mb 60"],
      ["--appendonly", "yes", "--save", "", "--maxmemory-policy", "noeviction"],
      ["--logfile", path.join(this.#directory, "redis.log"), "--loadmodule", module],
    ].flat();
  }

  /** What an earlier sidecar started on another port. @throws Error that says what to do when it cannot be stopped */
  async #stopOrphan(): Promise<DirectoryLock> {
    const { pid, port } = JSON.parse(await readFile(this.#serverFile, "utf8").catch(() => "{}"));
    const refusal = `a Redis${pid ? ` (process ${pid})` : ""} that an earlier run left behind still writes to ${this.#directory}; stop it, then start again`;
    if (!(await this.#isOrphan(pid, port))) fail(refusal);
    this.#log.info({ port, pid }, "stopping the Redis that an earlier run left behind on another port");
    process.kill(pid, "SIGTERM");
    const gone = () => {
      this.#lock = tryLock(this.#directory);
      return this.#lock !== undefined;
    };
    if (!(await becomesTrue(gone, stopMsMax))) fail(refusal);
    return this.#lock!;
  }

  /** Whether that process is a Redis in our directory: the number alone may be another's by now. */
  async #isOrphan(pid: unknown, port: unknown): Promise<boolean> {
    if (typeof pid !== "number" || typeof port !== "number") return false;
    const url = `redis://${host}:${port}`;
    const timely = { socketTimeout: recognizeMsMax, commandTimeout: recognizeMsMax };
    const redis = await connect(url, "vstore-adopt", timely).catch(() => undefined);
    try {
      return redis !== undefined && (await this.#isOurs(redis)) && (await processId(redis)) === pid;
    } catch {
      return false;
    } finally {
      redis?.disconnect();
    }
  }

  get #serverFile(): string {
    return path.join(this.#directory, serverFile);
  }

  /** The pid of the Redis on our port, if it is the one that a killed sidecar left on the same files. */
  async #adopt(): Promise<number> {
    const taken = `port ${this.#port} is taken by another program; stop it, choose another --port, or join it with --redis-url`;
    const redis = await connect(this.url, "vstore-adopt", { socketTimeout: recognizeMsMax }).catch(() =>
      fail(taken),
    );
    try {
      if (!(await this.#isOurs(redis))) fail(taken);
      this.#log.info({ port: this.#port }, "taking over the Redis that an earlier run left behind");
      return await processId(redis);
    } finally {
      redis.disconnect();
    }
  }

  async #isOurs(redis: Redis): Promise<boolean> {
    const [, directory] = (await redis.config("GET", "dir").catch(() => [])) as string[];
    return directory === (await realpath(this.#directory)) && (await hasModule(redis));
  }

  async #lastLogLine(): Promise<string> {
    const text = await readFile(path.join(this.#directory, "redis.log"), "utf8").catch(() => "");
    return text.trimEnd().split("\n").at(-1) ?? "";
  }
}

const processId = async (redis: Redis): Promise<number> =>
  Number(infoField(await redis.info("server"), "process_id"));

/** Undefined when a server has it. */
function tryLock(directory: string): DirectoryLock | undefined {
  try {
    return DirectoryLock.acquire(directory);
  } catch (error) {
    if (error instanceof VstoreError && error.code === "LOCKED") return undefined;
    throw error;
  }
}

function fail(message: string): never {
  throw new Error(message);
}

function hasExited(child: ChildProcess): boolean {
  return child.exitCode !== null || child.signalCode !== null;
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

async function isListening(port: number): Promise<boolean> {
  const socket = connectSocket(port, host);
  try {
    await once(socket, "connect");
    return true;
  } catch {
    return false;
  } finally {
    socket.destroy();
  }
}

async function becomesTrue(condition: () => boolean | Promise<boolean>, ms: number): Promise<boolean> {
  const deadline = Date.now() + ms;
  while (Date.now() < deadline) {
    if (await condition()) return true;
    await delay(pollMs);
  }
  return false;
}
