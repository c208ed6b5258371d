/**
 * A private redis-server for one test file: on 127.0.0.1 and a free port, in a directory of its own that is removed
 * when the server stops. It ends with the test process at the latest.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { closeSync, existsSync, openSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createConnection } from "node:net";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { freePort } from "./free-port.ts";
import { endingWithThis, ownDirectory, removeWithProcesses } from "./left-behind.ts";
import { serverProgram } from "./server-program.ts";

export interface RedisOptions {
  /** Load vstore.so. */
  module?: boolean;
  appendonly?: "no" | "everysec" | "always";
  /** Further arguments for redis-server, such as `--maxmemory 1mb`. */
  args?: string[];
  /** Makes it a Sentinel that watches the primary of this name and port: alone, or with others. */
  sentinelOf?: { name: string; port: number; quorum?: number };
  /** An existing directory to work in; it is kept when the server stops. */
  directory?: string;
  port?: number;
}

export const modulePath = fileURLToPath(new URL("../redis/vstore.so", import.meta.url));
const startMillisecondsMax = 20_000;
/** Another process may take the free port before Redis does. */
const startAttemptsMax = 5;

/** Servers to clean up if the test process ends before them. */
const children = new Set<ChildProcess>();
const directories = new Set<string>();
process.on("exit", cleanUp);
// A signal would end the process without its exit handlers, of which the sidecars' harness has one too.
for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => process.exit(1));
// The process that started the test process is gone.
process.once("disconnect", () => process.exit(1));

function cleanUp(): void {
  for (const child of children) child.kill("SIGKILL");
  for (const directory of directories) removeWithProcesses(directory);
}

export class RedisServer {
  readonly port: number;
  readonly directory: string;
  readonly #options: RedisOptions;
  #child: ChildProcess | undefined;

  constructor(options: RedisOptions, directory: string, port: number) {
    this.#options = options;
    this.directory = directory;
    this.port = port;
  }

  get url(): string {
    return `redis://127.0.0.1:${this.port}`;
  }

  get pid(): number {
    if (this.#child?.pid === undefined) throw new Error("redis-server is not running");
    return this.#child.pid;
  }

  /** The file that Redis appends to, if it does and has never rewritten it. */
  get aofPath(): string {
    const directory = join(this.directory, "appendonlydir");
    return join(directory, readdirSync(directory).find((name) => name.endsWith(".incr.aof"))!);
  }

  /** What the server has logged, in all its runs. */
  log(): string {
    return readFileSync(this.#logPath, "utf8");
  }

  /** Starts the process and waits until it answers. */
  async run(): Promise<void> {
    const output = openSync(this.#logPath, "a");
    const [command, args] = endingWithThis(serverProgram, this.#arguments());
    const child = spawn(command, args, { stdio: ["ignore", output, output] });
    closeSync(output);
    children.add(child);
    child.once("exit", () => children.delete(child));
    this.#child = child;
    await once(child, "spawn");
    await this.#untilItAnswers(child);
  }

  /** SIGTERM: Redis saves what its configuration says. Removes the directory if the harness made it. */
  async stop(): Promise<void> {
    await this.#end("SIGTERM");
    if (!directories.delete(this.directory)) return;
    rmSync(this.directory, { recursive: true, force: true });
  }

  /** SIGKILL: a crash. The directory stays, for `restart`. */
  async kill(): Promise<void> {
    await this.#end("SIGKILL");
  }

  /** A new process in the same directory and on the same port; one that still runs is stopped first. */
  async restart(): Promise<void> {
    await this.#end("SIGTERM");
    await this.run();
  }

  get #logPath(): string {
    return join(this.directory, "redis.log");
  }

  #arguments(): string[] {
    const { module = true, appendonly = "no", args = [], sentinelOf } = this.#options;
    if (sentinelOf !== undefined) return [this.#sentinelConfiguration(sentinelOf), "--sentinel"];
    return [
      ...["--bind", "127.0.0.1", "--port", String(this.port), "--dir", this.directory],
      ...["--appendonly", appendonly === "no" ? "no" : "yes"],
      ...(appendonly === "no" ? ["--save", ""] : ["--appendfsync", appendonly, "--save", ""]),
      // A primary would wait 5 s for further replicas before it sends its data.
      ...["--repl-diskless-sync-delay", "0"],
      ...["--enable-debug-command", "yes", "--enable-module-command", "yes"],
      ...(module ? ["--loadmodule", modulePath] : []),
      ...args,
    ];
  }

  /** A Sentinel writes into this file what it learns. */
  #sentinelConfiguration({ name, port, quorum = 1 }: NonNullable<RedisOptions["sentinelOf"]>): string {
    const path = join(this.directory, "sentinel.conf");
    const lines = [
      ...["bind 127.0.0.1", `port ${this.port}`, `dir ${this.directory}`],
      `sentinel monitor ${name} 127.0.0.1 ${port} ${quorum}`,
      `sentinel down-after-milliseconds ${name} 1000`,
      `sentinel failover-timeout ${name} 5000`,
    ];
    if (!existsSync(path)) writeFileSync(path, `${lines.join("\n")}\n`);
    return path;
  }

  async #untilItAnswers(child: ChildProcess): Promise<void> {
    const deadline = Date.now() + startMillisecondsMax;
    while (!(await serves(this.port, child.pid!))) {
      if (child.exitCode !== null || child.signalCode !== null || Date.now() > deadline) {
        await this.kill();
        throw new Error(`redis-server did not start on port ${this.port}:\n${this.log()}`);
      }
      await sleep(20);
    }
  }

  async #end(signal: "SIGTERM" | "SIGKILL"): Promise<void> {
    const child = this.#child;
    this.#child = undefined;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const gone = once(child, "exit");
    child.kill(signal);
    await gone;
  }
}

/** Starts a server; stop it in `afterAll`. */
export async function startRedis(options: RedisOptions = {}): Promise<RedisServer> {
  if (options.module !== false && !existsSync(modulePath))
    throw new Error(`${modulePath} is missing: run make build`);
  for (let attempt = 1; ; attempt++) {
    const directory = options.directory ?? makeDirectory();
    const server = new RedisServer(options, directory, options.port ?? (await freePort()));
    try {
      await server.run();
      return server;
    } catch (error) {
      await server.stop();
      const portWasTaken = String(error).includes("Address already in use");
      if (!portWasTaken || options.port !== undefined || attempt === startAttemptsMax) throw error;
    }
  }
}

function makeDirectory(): string {
  const directory = ownDirectory("redis");
  directories.add(directory);
  return directory;
}

/**
 * True once the process serves commands on the port, false while it is not there or still loading. Two test processes
 * may be given the same free port: what answers then may be the other one's server.
 */
function serves(port: number, pid: number): Promise<boolean> {
  return new Promise((resolve) => {
    let answer = "";
    const socket = createConnection({ port, host: "127.0.0.1" });
    socket.write("PING\r\nINFO server\r\n");
    socket.on("data", (data) => {
      answer += data;
      // A Sentinel knows no QUIT.
      if (/^-|^process_id:\d+\r$/m.test(answer)) socket.destroy();
    });
    socket.once("error", () => resolve(false));
    socket.once("close", () =>
      resolve(answer.startsWith("+PONG") && answer.includes(`process_id:${pid}\r\n`)),
    );
  });
}

function once(child: ChildProcess, event: "spawn" | "exit"): Promise<void> {
  return new Promise((resolve, reject) => {
    child.once(event, () => resolve());
    child.once("error", reject);
  });
}
