/** Two sidecars that ask three Sentinels which of two Redis servers is the primary. */
import { rmSync } from "node:fs";
import { Redis } from "ioredis";
import { type RedisServer, startRedis } from "../../../harness/redis-server.ts";
import { promote } from "../../../src/bridge/client/promote.ts";
import { until } from "../../harness/serving.ts";
import { halt, isReady, type Place, Sidecars } from "./place.ts";

const name = "main";
const sentinelCount = 3;
/** A Sentinel waits for a while until it makes a returned primary a replica. */
const patienceMs = 90_000;
const retryMs = 50;
/** So many of the servers that come back are told at once what they are now; the Sentinels tell the others. */
const toldShare = 0.75;

export class WithSentinels implements Place {
  readonly shortKinds = [
    "planned fail-over",
    "kill the primary",
    "kill the primary and the leader",
    "halt the primary",
  ];
  readonly kinds = [
    ...this.shortKinds,
    "halt the primary and the leader",
    "kill the replica",
    "kill the replica and the follower",
    "kill a Sentinel",
    "kill",
    "kill the follower",
    "stop",
    "halt",
    "promote",
  ];
  readonly #servers: readonly RedisServer[];
  readonly #sentinels: readonly RedisServer[];
  readonly #watchers: readonly Redis[];
  readonly #sidecars = new Sidecars(async () => this.#url);

  private constructor(servers: readonly RedisServer[], sentinels: readonly RedisServer[]) {
    this.#servers = servers;
    this.#sentinels = sentinels;
    this.#watchers = [...servers, ...sentinels].map(({ url }) => connectTo(url));
  }

  static async open(): Promise<WithSentinels> {
    const first = await startRedis({ appendonly: "everysec" });
    const args = ["--replicaof", `127.0.0.1 ${first.port}`];
    const second = await startRedis({ appendonly: "everysec", args });
    const sentinels: RedisServer[] = [];
    for (let i = 0; i < sentinelCount; i++)
      sentinels.push(await startRedis({ sentinelOf: { name, port: first.port, quorum: 2 } }));
    return new WithSentinels([first, second], sentinels);
  }

  connect(): Redis {
    const redis = new Redis({
      sentinels: this.#sentinels.map(({ port }) => ({ host: "127.0.0.1", port })),
      name,
      protocol: 2,
      retryStrategy: () => retryMs,
      sentinelRetryStrategy: () => retryMs,
      maxRetriesPerRequest: 0,
      autoResendUnfulfilledCommands: false,
    });
    redis.on("error", () => {});
    return redis;
  }

  async start(): Promise<void> {
    await this.#untilReplicated();
    await until(
      () => this.#sentinelsKnown(),
      (known) => known.every((count) => count === sentinelCount - 1),
      patienceMs,
    );
    await (await this.#sidecars.start()).waitReady();
    await this.#sidecars.start();
  }

  async untilReady(): Promise<void> {
    await this.#untilReplicated();
    const info = async () => this.#watchers[this.#primaryAt(await this.#roles())]?.info("vstore") ?? "";
    await until(info, isReady, patienceMs);
  }

  async end(kind: string, random: () => number): Promise<void> {
    const primary = this.#servers[this.#primaryAt(await this.#roles())]!;
    const replica = this.#servers.find((server) => server !== primary)!;
    const isTold = random() < toldShare;
    if (kind === "planned fail-over") await this.#failOver(primary);
    else if (kind === "promote") await promote(this.#url);
    else if (kind === "kill a Sentinel")
      await restart(this.#sentinels[Math.floor(random() * sentinelCount)]!);
    else if (kind.startsWith("halt")) await this.#halt(kind, primary);
    else if (kind.includes("primary")) await this.#killPrimary(primary, kind.includes("leader"), isTold);
    else await this.#killOthers(kind, primary, replica);
  }

  logs(): string {
    return [this.#sidecars.logs(), ...this.#servers.map((server) => server.log())].join("\n\n");
  }

  async close(): Promise<void> {
    for (const watcher of this.#watchers) watcher.disconnect();
    await this.#sidecars.kill();
    for (const server of [...this.#sentinels, ...this.#servers]) await server.stop();
    for (const directory of this.#sidecars.directories) rmSync(directory, { recursive: true, force: true });
  }

  async #failOver(primary: RedisServer): Promise<void> {
    const asked = this.#watchers.at(-1)!;
    // Sentinels refuse while they do not know a good replica yet, and for a while after the last fail-over.
    const ask = () => asked.call("SENTINEL", "FAILOVER", name).then(String, String);
    await until(ask, (answer) => answer === "OK", patienceMs);
    await this.#untilOtherThan(primary);
  }

  async #halt(kind: string, primary: RedisServer): Promise<void> {
    const leader = this.#sidecars.leader.pid;
    if (kind === "halt") return halt(leader);
    await (kind.includes("leader") ? halt(primary.pid, leader) : halt(primary.pid));
    await this.#untilOtherThan(primary);
  }

  async #killPrimary(primary: RedisServer, withLeader: boolean, isTold: boolean): Promise<void> {
    const { leader } = this.#sidecars;
    const killed = [primary.kill(), ...(withLeader ? [leader.kill()] : [])];
    await Promise.all(killed);
    await this.#untilOtherThan(primary);
    await primary.run();
    const other = this.#servers.find((server) => server !== primary)!;
    const watcher = this.#watchers[this.#servers.indexOf(primary)]!;
    if (isTold) await watcher.call("REPLICAOF", "127.0.0.1", other.port);
    if (withLeader) await this.#sidecars.replace(leader);
  }

  async #killOthers(kind: string, primary: RedisServer, replica: RedisServer): Promise<void> {
    if (kind.includes("replica")) {
      await restart(replica);
      const watcher = this.#watchers[this.#servers.indexOf(replica)]!;
      await watcher.call("REPLICAOF", "127.0.0.1", primary.port);
    }
    if (kind === "kill the replica") return;
    const sidecar = kind.includes("follower") ? this.#sidecars.follower : this.#sidecars.leader;
    await this.#sidecars.replace(sidecar, kind === "stop");
  }

  /** Until all Sentinels name the other one. */
  async #untilOtherThan(server: RedisServer): Promise<void> {
    const named = () => Promise.all(this.#watchers.slice(this.#servers.length).map(primaryPortOf));
    await until(named, (ports) => ports.every((port) => port !== 0 && port !== server.port), patienceMs);
  }

  async #untilReplicated(): Promise<void> {
    const isReplicated = (roles: readonly string[]) =>
      this.#primaryAt(roles) >= 0 &&
      roles.some((role) => role.includes("role:slave") && role.includes("master_link_status:up"));
    await until(() => this.#roles(), isReplicated, patienceMs);
  }

  /** How many others each of the Sentinels knows. */
  #sentinelsKnown(): Promise<number[]> {
    const known = (sentinel: Redis) => sentinel.call("SENTINEL", "SENTINELS", name) as Promise<unknown[]>;
    return Promise.all(
      this.#watchers.slice(this.#servers.length).map(async (each) => (await known(each)).length),
    );
  }

  #roles(): Promise<string[]> {
    const watchers = this.#watchers.slice(0, this.#servers.length);
    return Promise.all(watchers.map((watcher) => watcher.info("replication").catch(() => "")));
  }

  /** Which one is the only primary; -1 where none is. */
  #primaryAt(roles: readonly string[]): number {
    const isPrimary = (role: string) => role.includes("role:master");
    return roles.filter(isPrimary).length === 1 ? roles.findIndex(isPrimary) : -1;
  }

  get #url(): string {
    const places = this.#sentinels.map(({ port }) => `127.0.0.1:${port}`).join(",");
    return `redis+sentinel://${places}/${name}`;
  }
}

async function primaryPortOf(sentinel: Redis): Promise<number> {
  const asked = sentinel.call("SENTINEL", "GET-MASTER-ADDR-BY-NAME", name) as Promise<string[]>;
  return asked.then(([, port]) => Number(port)).catch(() => 0);
}

async function restart(server: RedisServer): Promise<void> {
  await server.kill();
  await server.run();
}

function connectTo(url: string): Redis {
  const redis = new Redis(url, { protocol: 2, retryStrategy: () => retryMs, maxRetriesPerRequest: null });
  redis.on("error", () => {});
  return redis;
}
