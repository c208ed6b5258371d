/**
 * The program itself, dist/cli.js, as a process of its own: started, stopped in order, or killed. Nothing survives the
 * test process, however that ends.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { testIndex, testShortWay } from "./index-choice.ts";
import { endingWithThis, ownDirectory, removeWithProcesses } from "./left-behind.ts";
import { type RedisOptions, type RedisServer, startRedis } from "./redis-server.ts";

export interface SidecarOptions {
  /** The Redis to join; without it the program starts its own. */
  redisUrl?: string;
  /** Kept when the sidecar is gone; without it a new one, which is removed with the sidecar. */
  dataDir?: string;
  args?: string[];
  /** A program, and its arguments, that runs the rest of its command line in its own place, such as setpriv. */
  through?: string[];
  /** The Node that runs it; without it the one of the tests. */
  node?: string;
  /** Added to an environment without any VSTORE_ variable. */
  env?: Record<string, string>;
}

/** As it ships. */
const programPath = fileURLToPath(new URL("../dist/cli.js", import.meta.url));
/** The same in fewer files, which start faster: test/harness/joined-program.ts. */
const joinedPath = process.env.TESTED_PROGRAM;
const readyMillisecondsMax = 90_000;

const children = new Set<ChildProcess>();
process.on("exit", () => {
  for (const child of children) child.kill("SIGKILL");
});

export class SidecarProcess {
  readonly dataDir: string;
  readonly #child: ChildProcess;
  #stdout = "";
  #stderr = "";

  constructor(child: ChildProcess, dataDir: string) {
    this.dataDir = dataDir;
    this.#child = child;
    child.stdout?.on("data", (data: Buffer) => {
      this.#stdout += data;
    });
    child.stderr?.on("data", (data: Buffer) => {
      this.#stderr += data;
    });
  }

  get pid(): number {
    return this.#child.pid!;
  }

  get stdout(): string {
    return this.#stdout;
  }

  get stderr(): string {
    return this.#stderr;
  }

  get isRunning(): boolean {
    return this.#child.exitCode === null && this.#child.signalCode === null;
  }

  waitReady(): Promise<void> {
    return this.waitFor(() => this.#stdout.includes("vstore ready "), "the ready line");
  }

  /** Waits until the log says it. */
  waitLog(text: string): Promise<void> {
    return this.waitFor(() => this.#stderr.includes(text), text);
  }

  async waitFor(condition: () => boolean, what: string): Promise<void> {
    const deadline = Date.now() + readyMillisecondsMax;
    while (!condition()) {
      if (!this.isRunning || Date.now() > deadline) {
        throw new Error(`waited in vain for: ${what}\n${this.#stdout}\n${this.#stderr}`);
      }
      await sleep(20);
    }
  }

  /** The exit code, once the process is gone. */
  async exit(): Promise<number | null> {
    if (this.isRunning) await once(this.#child, "exit");
    return this.#child.exitCode;
  }

  /** In order; anything but exit code 0 is an error. */
  async stop(signal: "SIGTERM" | "SIGINT" | "SIGHUP" = "SIGTERM"): Promise<void> {
    this.#child.kill(signal);
    const code = await this.exit();
    if (code !== 0)
      throw new Error(`the sidecar ended with ${code ?? this.#child.signalCode}\n${this.#stderr}`);
  }

  /** SIGKILL: a crash. */
  async kill(): Promise<void> {
    this.#child.kill("SIGKILL");
    await this.exit();
  }
}

/** Starts the program; does not wait for anything. */
export function startSidecar({
  redisUrl,
  dataDir,
  args = [],
  through = [],
  node,
  env = {},
}: SidecarOptions = {}): SidecarProcess {
  if (!existsSync(programPath)) throw new Error(`${programPath} is missing: run make build`);
  const directory = dataDir ?? ownDirectory("data");
  const redis = redisUrl === undefined ? [] : ["--redis-url", redisUrl];
  // What ships is tried on every Node, and under limits.
  const isPlain = node === undefined && through.length === 0;
  const path = (isPlain && joinedPath) || programPath;
  const serve = [node ?? process.execPath, path, "serve", "--data-dir", directory, ...redis, ...args];
  const [program, ...rest] = [...through, ...serve];
  const child = spawn(...endingWithThis(program!, rest), {
    stdio: ["ignore", "pipe", "pipe"],
    env: {
      ...withoutSettings(process.env),
      VSTORE_INDEX: testIndex,
      VSTORE_SHORT_WAY: testShortWay,
      ...env,
    },
  });
  children.add(child);
  child.once("exit", () => {
    children.delete(child);
    if (dataDir === undefined) removeWithProcesses(directory);
  });
  return new SidecarProcess(child, directory);
}

export interface Vstore {
  readonly redis: RedisServer;
  readonly sidecar: SidecarProcess;
  readonly url: string;
  readonly port: number;
  stop(): Promise<void>;
}

/** A private redis-server with the module and a sidecar that serves it; stop it in `afterAll`. */
export async function startVstore(
  redisOptions: RedisOptions = {},
  options: SidecarOptions = {},
): Promise<Vstore> {
  const redis = await startRedis(redisOptions);
  const sidecar = startSidecar({ ...options, redisUrl: redis.url });
  await sidecar.waitReady();
  const stop = async () => {
    await sidecar.stop();
    await redis.stop();
  };
  return { redis, sidecar, url: redis.url, port: redis.port, stop };
}

function withoutSettings(environment: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  return Object.fromEntries(Object.entries(environment).filter(([name]) => !name.startsWith("VSTORE_")));
}
