/**
 * Which node of a cluster a sidecar works with: the primary among those that hold the same slots as the node it is for.
 * After a fail-over that is the replica that has been promoted. While this process lives it remembers which nodes these
 * were; after a restart the cluster says so, from Redis 7.2 on also of a node that is gone.
 */
import { lookup } from "node:dns/promises";
import type { Redis } from "ioredis";
import { hostOf, nodeOf, onServer, seedsOf } from "../address.ts";

/** A node, as CLUSTER SHARDS describes it. */
interface Member {
  readonly id: string;
  readonly names: readonly string[];
  /** Of TLS the second; undefined where it listens at no such port. */
  readonly ports: readonly [number | undefined, number | undefined];
  readonly isPrimary: boolean;
  readonly isOnline: boolean;
}

interface Shard {
  readonly hasSlots: boolean;
  readonly members: readonly Member[];
}

interface Known {
  /** Ids of the nodes that share the slots, and which of them was the primary. */
  ids: readonly string[];
  primary: string;
  /** Where nodes of the cluster were seen, as addresses. */
  seeds: readonly string[];
}

/** By the address of the cluster. */
const known = new Map<string, Known>();

type Open = (url: string) => Promise<Redis>;

/** @throws Error when no node of the cluster answers, or none is the one that the address names */
export async function primaryInCluster(url: string, open: Open): Promise<string> {
  if (nodeOf(url) === "")
    throw new Error(
      "a URL of a cluster has to name a node here, such as redis+cluster://h1:6379?node=h2:6379",
    );
  const memory = known.get(url) ?? { ids: [], primary: "", seeds: [] };
  known.set(url, memory);
  let failure: unknown;
  for (const seed of new Set([...seedsOf(url), ...memory.seeds])) {
    let shards: readonly Shard[];
    try {
      shards = await askShards(seed, open);
    } catch (error) {
      failure = error;
      continue;
    }
    return choose(url, seed, shards, memory);
  }
  throw failure;
}

async function askShards(seed: string, open: Open): Promise<readonly Shard[]> {
  const redis = await open(seed);
  try {
    return ((await redis.call("CLUSTER", "SHARDS")) as unknown[]).map(shardOf);
  } finally {
    redis.disconnect();
  }
}

function shardOf(reply: unknown): Shard {
  const shard = fieldsOf(reply);
  const members = (shard.get("nodes") as unknown[]).map(fieldsOf);
  const text = (node: Map<string, unknown>, field: string) => String(node.get(field) ?? "");
  return {
    hasSlots: (shard.get("slots") as unknown[]).length > 0,
    members: members.map((node) => ({
      id: text(node, "id"),
      names: ["endpoint", "ip", "hostname"].map((field) => text(node, field)).filter(isName),
      ports: [node.get("port") as number | undefined, node.get("tls-port") as number | undefined],
      isPrimary: text(node, "role") === "master",
      isOnline: text(node, "health") === "online",
    })),
  };
}

/** A node that no other one has met does not know its own address. */
const isName = (text: string) => text !== "" && text !== "?";

function fieldsOf(reply: unknown): Map<string, unknown> {
  const words = reply as unknown[];
  return new Map(words.flatMap((word, i) => (i % 2 === 0 ? [[String(word), words[i + 1]] as const] : [])));
}

async function choose(url: string, seed: string, shards: readonly Shard[], memory: Known): Promise<string> {
  const named = await memberOf(nodeOf(url), shards);
  if (named === undefined && memory.ids.length === 0)
    throw new Error(`the cluster has no node ${nodeOf(url)}; CLUSTER NODES lists those that it has`);
  // The last primary says most: its replicas may have been given to other primaries since.
  const ids = [memory.primary, named?.id ?? "", ...memory.ids];
  const own = ids.flatMap((id) => shards.filter(({ members }) => members.some((each) => each.id === id)));
  const [shard, primary] = primaryAmong(own, named) ?? [];
  if (shard === undefined || primary === undefined)
    throw new Error(`${nodeOf(url)} is gone, and no node is known to have its slots; name one that is there`);
  memory.ids = shard.members.map(({ id }) => id);
  memory.primary = primary.id;
  const place = (member: Member) => placeOf(member, url, seed);
  memory.seeds = shards.flatMap(({ members }) => members.map(place));
  return place(primary);
}

function placeOf({ names, ports: [plain, tls] }: Member, url: string, seed: string): string {
  const port = url.startsWith("rediss") ? (tls ?? plain) : (plain ?? tls);
  return onServer(url, names[0] ?? hostOf(new URL(seed)), port!);
}

/** One that has failed keeps its slots until another node is promoted. One that is there may have none yet. */
function primaryAmong(shards: readonly Shard[], named: Member | undefined): [Shard, Member] | undefined {
  const primaries = shards.flatMap((shard) =>
    shard.members.filter(({ isPrimary }) => isPrimary).map((each): [Shard, Member] => [shard, each]),
  );
  const withSlots = primaries.filter(([{ hasSlots }]) => hasSlots);
  const online = withSlots.find(([, { isOnline }]) => isOnline);
  return online ?? withSlots[0] ?? primaries.find(([, each]) => each === named && each.isOnline);
}

/** @param node its id, or host:port */
async function memberOf(node: string, shards: readonly Shard[]): Promise<Member | undefined> {
  const members = shards.flatMap((shard) => shard.members);
  const [, host, port] = /^\[?([^\]]*)\]?:(\d+)$/.exec(node) ?? [];
  if (host === undefined) return members.find(({ id }) => id === node);
  const addresses = await lookup(host, { all: true }).catch(() => []);
  const names = [host, ...addresses.map(({ address }) => address)];
  return members.find(
    (each) => each.ports.includes(Number(port)) && each.names.some((name) => names.includes(name)),
  );
}
