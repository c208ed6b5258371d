/**
 * Where a Redis is and how to reach it, in one URL that travels through the program, also into threads:
 *
 *   redis://user:password@host:6379/0          rediss:// is the same through TLS
 *   redis+unix:///run/redis.sock?db=0          with a user: redis+unix://user:password@localhost/run/redis.sock
 *
 * The files of TLS stand in its query (`ca`, `cert`, `key`); the flags --tls-ca, --tls-cert and --tls-key put them
 * there.
 */
import { readFileSync } from "node:fs";
import type { RedisOptions } from "ioredis";

const defaultPort = 6_379;
const schemes = ["redis:", "rediss:", "redis+unix:"];
const tlsFiles = ["ca", "cert", "key"] as const;
export type TlsFiles = { readonly [File in (typeof tlsFiles)[number]]?: string | undefined };

type Place = Pick<RedisOptions, "host" | "port" | "path" | "username" | "password" | "db" | "tls">;

/** Why the text is no address, in a phrase; undefined when it is one. */
export function faultOf(text: string): string | undefined {
  const url = URL.parse?.(text) ?? tryParse(text);
  if (url === null || !schemes.includes(url.protocol)) {
    return "must be a URL like redis://127.0.0.1:6379, rediss://host:6379 or redis+unix:///run/redis.sock";
  }
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

function tryParse(text: string): URL | null {
  try {
    return new URL(text);
  } catch {
    return null;
  }
}

/** @throws Error when a file of TLS cannot be read */
export function placeOf(text: string): Place {
  const url = new URL(text);
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
  return {
    ...secrets,
    // An IPv6 address stands in brackets in a URL, and without them everywhere else.
    host: url.hostname.replace(/^\[(.*)\]$/, "$1"),
    port: Number(url.port || defaultPort),
    db: Number(url.pathname.slice(1) || 0),
    ...(url.protocol === "rediss:" && { tls: tlsOf(url) }),
  };
}

function tlsOf(url: URL): NonNullable<RedisOptions["tls"]> {
  const named = tlsFiles.filter((file) => url.searchParams.has(file));
  return Object.fromEntries(named.map((file) => [file, readFileSync(url.searchParams.get(file)!)]));
}

/** The address with the files of TLS in it. @throws Error when one is given and the address is not rediss:// */
export function withTls(text: string, files: TlsFiles): string {
  const given = tlsFiles.filter((file) => files[file] !== undefined);
  if (given.length === 0) return text;
  const url = new URL(text);
  if (url.protocol !== "rediss:") throw new Error(`--tls-${given[0]} needs a rediss:// URL`);
  for (const file of given) url.searchParams.set(file, files[file]!);
  return url.href;
}

/** The address without its password and its query, for people to read. */
export function publicUrl(text: string): string {
  const url = new URL(text);
  if (url.password !== "") url.password = "***";
  if (url.protocol !== "redis+unix:") url.search = "";
  return url.href.replace(/\/$/, "");
}

/** The redis-cli command line for this address. */
export function redisCli(text: string): string {
  const url = new URL(text);
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
