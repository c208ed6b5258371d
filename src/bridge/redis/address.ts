/**
 * Where a Redis is and how to reach it, in one URL that travels through the program, also into threads:
 *
 *   redis://user:password@host:6379/0          rediss:// is the same through TLS
 *   redis+unix:///run/redis.sock?db=0          with a user: redis+unix://user:password@localhost/run/redis.sock
 *   redis+sentinel://user:password@host:26379,host:26379/name?db=0    the primary that Sentinels name
 *   redis+cluster://user:password@host:6379,host:6379?node=id         the primary of the slots of that node
 *
 * The files of TLS stand in its query (`ca`, `cert`, `key`); the flags --tls-ca, --tls-cert and --tls-key put them
 * there.
 */
import { readFileSync } from "node:fs";
import type { RedisOptions } from "ioredis";

const defaultPort = 6_379;
const defaultSentinelPort = 26_379;
const several = ["redis+sentinel:", "rediss+sentinel:", "redis+cluster:", "rediss+cluster:"];
const schemes = ["redis:", "rediss:", "redis+unix:", ...several];
/** Scheme and user, then the Sentinels or the nodes, then the rest. */
const severalText = /^(rediss?\+(?:sentinel|cluster):\/\/(?:[^@/?#]*@)?)([^/?#]+)(.*)$/;
/** A query's name of each host but the first: a URL has one. */
const otherHost = "host";
/** A query's name of the node of a cluster that is meant. */
const nodeQuery = "node";
const tlsFiles = ["ca", "cert", "key"] as const;
export type TlsFiles = { readonly [File in (typeof tlsFiles)[number]]?: string | undefined };

export type Place = Pick<
  RedisOptions,
  "host" | "port" | "path" | "username" | "password" | "db" | "tls" | "sentinels" | "name"
>;

/** Why the text is no address, in a phrase; undefined when it is one. */
export function faultOf(text: string): string | undefined {
  const url = tryParse(text);
  if (url === null || !schemes.includes(url.protocol)) {
    return "must be a URL like redis://127.0.0.1:6379, rediss://host:6379 or redis+unix:///run/redis.sock";
  }
  if (isSentinel(url)) return faultOfSentinels(url);
  if (isCluster(url)) return areHosts(url) ? undefined : "must name nodes like host:6379,host:6379";
  if (url.protocol === "redis+unix:") {
    if (url.pathname.length < 2) return "must name the path of the socket";
    return isDatabase(url.searchParams.get("db") ?? "0") ? undefined : databaseFault("?db=1");
  }
  if (url.hostname === "") return "must name a host";
  return isDatabase(url.pathname.slice(1) || "0") ? undefined : databaseFault("/1");
}

const isDatabase = (text: string): boolean => /^\d{1,9}$/.test(text);
const databaseFault = (example: string): string =>
  `must end with the number of a database, such as ${example}`;

function areHosts(url: URL): boolean {
  const isHost = (host: string) => (tryParse(`redis://${host}`)?.hostname ?? "") !== "";
  return url.hostname !== "" && url.searchParams.getAll(otherHost).every(isHost);
}

function faultOfSentinels(url: URL): string | undefined {
  if (url.pathname.length < 2) return "must end with the name of the primary, such as /mymaster";
  if (!areHosts(url)) return "must name Sentinels like host:26379,host:26379";
  return isDatabase(url.searchParams.get("db") ?? "0") ? undefined : databaseFault("?db=1");
}

const isSentinel = ({ protocol }: URL): boolean => protocol.endsWith("+sentinel:");
const isCluster = ({ protocol }: URL): boolean => protocol.endsWith("+cluster:");
const isTls = ({ protocol }: URL): boolean => protocol.startsWith("rediss");
/** An IPv6 address stands in brackets in a URL, and without them everywhere else. */
export const hostOf = ({ hostname }: URL): string => hostname.replace(/^\[(.*)\]$/, "$1");

function parse(text: string): URL {
  const [, start, hosts, end] = severalText.exec(text) ?? [];
  if (hosts === undefined) return new URL(text);
  const [first, ...others] = hosts.split(",");
  const url = new URL(`${start}${first}${end}`);
  for (const other of others) url.searchParams.append(otherHost, other);
  return url;
}

function tryParse(text: string): URL | null {
  try {
    return parse(text);
  } catch {
    return null;
  }
}

/** @throws Error when a file of TLS cannot be read */
export function placeOf(text: string): Place {
  const url = parse(text);
  const secrets = {
    ...(url.username && { username: decodeURIComponent(url.username) }),
    ...(url.password && { password: decodeURIComponent(url.password) }),
  };
  if (url.protocol === "redis+unix:") {
    return {
      ...secrets,
      path: decodeURIComponent(url.pathname),
      db: Number(url.searchParams.get("db") ?? 0),
    };
  }
  if (isSentinel(url)) return { ...secrets, ...throughSentinels(url) };
  return {
    ...secrets,
    host: hostOf(url),
    port: Number(url.port || defaultPort),
    db: Number(url.pathname.slice(1) || 0),
    ...(isTls(url) && { tls: tlsOf(url) }),
  };
}

/** Sentinels may have a user of their own, in the query; files of TLS are for them and for Redis. */
function throughSentinels(url: URL): RedisOptions {
  const query = (name: string) => url.searchParams.get(name) ?? undefined;
  const others = url.searchParams.getAll(otherHost).map((host) => new URL(`redis://${host}`));
  const [sentinelUsername, sentinelPassword] = [query("sentinel-user"), query("sentinel-password")];
  const tls = isTls(url) ? tlsOf(url) : undefined;
  return {
    sentinels: [url, ...others].map((each) => ({
      host: hostOf(each),
      port: Number(each.port || defaultSentinelPort),
    })),
    name: decodeURIComponent(url.pathname.slice(1)),
    db: Number(query("db") ?? 0),
    ...(sentinelUsername !== undefined && { sentinelUsername }),
    ...(sentinelPassword !== undefined && { sentinelPassword }),
    ...(tls && { tls, sentinelTLS: tls, enableTLSForSentinelMode: true }),
  };
}

/** How to reach one Sentinel itself. */
export type Sentinel = Place & { readonly host: string; readonly port: number };

/** The Sentinels of the address, and the name of the primary there; none where it is of another kind. */
export function sentinelsOf(text: string): { sentinels: readonly Sentinel[]; name: string } {
  const url = parse(text);
  if (!isSentinel(url)) return { sentinels: [], name: "" };
  const { sentinels, name, sentinelUsername, sentinelPassword, sentinelTLS } = throughSentinels(url);
  const common = {
    ...(sentinelUsername && { username: sentinelUsername }),
    ...(sentinelPassword && { password: sentinelPassword }),
    ...(sentinelTLS && { tls: sentinelTLS }),
  };
  const each = sentinels!.map(({ host, port }) => ({ ...common, host: host!, port: port! }));
  return { sentinels: each, name: name! };
}

function tlsOf(url: URL): NonNullable<RedisOptions["tls"]> {
  const named = tlsFiles.filter((file) => url.searchParams.has(file));
  return Object.fromEntries(named.map((file) => [file, tlsFile(file, url.searchParams.get(file)!)]));
}

function tlsFile(name: string, path: string): Buffer {
  try {
    return readFileSync(path);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    throw new Error(
      `--tls-${name}, or ${name} of the URL, must name a file that can be read: ${path} (${code})`,
    );
  }
}

/** The address with the files of TLS in it. @throws Error when one is given and the address is not rediss:// */
export function withTls(text: string, files: TlsFiles): string {
  const given = tlsFiles.filter((file) => files[file] !== undefined);
  if (given.length === 0) return text;
  const url = parse(text);
  if (!isTls(url)) throw new Error(`--tls-${given[0]} needs a rediss:// URL`);
  for (const file of given) url.searchParams.set(file, files[file]!);
  return url.href;
}

/** The same user, database and TLS on another server. Not of Sentinels, which name the server themselves. */
export function onServer(text: string, host: string, port: number): string {
  const url = parse(text);
  const name = host.includes(":") ? `[${host}]` : host;
  if (isCluster(url)) {
    for (const query of [otherHost, nodeQuery]) url.searchParams.delete(query);
    return new URL(`${isTls(url) ? "rediss" : "redis"}://${userOf(url)}${name}:${port}${url.search}`).href;
  }
  if (url.protocol !== "redis+unix:") {
    url.hostname = name;
    url.port = String(port);
    return url.href;
  }
  return `redis://${userOf(url)}${name}:${port}/${url.searchParams.get("db") ?? 0}`;
}

const userOf = ({ username, password }: URL) => (username || password ? `${username}:${password}@` : "");

/** Whether it names nodes of a cluster: `seedsOf()`, of which one knows where the primary of `nodeOf()` is. */
export function namesCluster(text: string): boolean {
  return isCluster(parse(text));
}

/** "" where none is named. */
export const nodeOf = (text: string): string => parse(text).searchParams.get(nodeQuery) ?? "";

/** The nodes that a URL of a cluster names, an address each. */
export function seedsOf(text: string): string[] {
  const url = parse(text);
  const others = url.searchParams.getAll(otherHost).map((host) => new URL(`redis://${host}`));
  return [url, ...others].map((each) => onServer(text, hostOf(each), Number(each.port || defaultPort)));
}

/** The address of a cluster with the node that is meant. @throws Error where only one of both is there */
export function withNode(text: string, node: string | undefined): string {
  const url = parse(text);
  if (node !== undefined) {
    if (!isCluster(url)) throw new Error("--node needs a redis+cluster:// URL");
    url.searchParams.set(nodeQuery, node);
  }
  if (isCluster(url) && !url.searchParams.get(nodeQuery))
    throw new Error(
      "a redis+cluster:// URL needs --node: the id or host:port of the node that the sidecar is for",
    );
  return node === undefined ? text : url.href;
}

/** Whether it names Sentinels, and so always the primary. */
export function namesSentinels(text: string): boolean {
  return isSentinel(parse(text));
}

/** The address without its password and its query, for people to read. */
export function publicUrl(text: string): string {
  const url = parse(text);
  if (url.password !== "") url.password = "***";
  const others = url.searchParams.getAll(otherHost);
  if (url.protocol !== "redis+unix:") url.search = "";
  if (others.length > 0) return url.href.replace(url.host, [url.host, ...others].join(","));
  return url.href.replace(/\/$/, "");
}

/** The redis-cli command line for this address. */
export function redisCli(text: string): string {
  const url = parse(text);
  if (isSentinel(url)) {
    const { host, port } = throughSentinels(url).sentinels![0]!;
    return `redis-cli -h ${host} -p ${port} SENTINEL GET-MASTER-ADDR-BY-NAME ${url.pathname.slice(1)}`;
  }
  if (isCluster(url)) return `redis-cli -c -h ${url.hostname} -p ${url.port || defaultPort}`;
  if (url.protocol === "redis+unix:") return `redis-cli -s ${decodeURIComponent(url.pathname)}`;
  if (
    url.protocol === "redis:" &&
    url.hostname === "127.0.0.1" &&
    url.username === "" &&
    url.password === ""
  ) {
    return `redis-cli -p ${url.port || defaultPort}`;
  }
  const files = { ca: "--cacert", cert: "--cert", key: "--key" };
  const tls = tlsFiles.filter((file) => url.searchParams.has(file));
  const flags = tls.map((file) => ` ${files[file]} ${url.searchParams.get(file)}`);
  return `redis-cli -u ${publicUrl(text)}${flags.join("")}`;
}
