/**
 * Every setting of the program in one table. A setting comes from its flag, else from its environment variable
 * (commander reads both), else from here. A setting that is unknown or out of range refuses to start and says what is
 * allowed.
 */
import { z } from "zod";
import { roles } from "../bridge/followers/roles.ts";
import { faultOf, placeOf, withNode, withTls } from "../bridge/redis/address.ts";
import { indexChoices } from "../engine/index/choices.ts";
import { didYouMean } from "../engine/similar-name.ts";
import { limits } from "../limits.ts";
import type { LogLevel } from "../log.ts";

const logLevels = [
  "fatal",
  "error",
  "warn",
  "info",
  "debug",
  "trace",
  "silent",
] as const satisfies readonly LogLevel[];

const shortWays = ["on", "off"] as const;

export interface Setting {
  /** What stands for its value in the help. */
  readonly value: string;
  readonly unit?: string;
  readonly choices?: readonly string[];
  readonly default?: string | number;
  readonly description: string;
  readonly schema: z.ZodType;
}

export const settings = {
  redis_url: {
    value: "url",
    description:
      "the Redis to join, or Sentinels or nodes of a cluster that know it; without it vstore starts one of its own",
    schema: redisUrl().optional(),
  },
  node: {
    value: "node",
    description:
      "of a cluster, the node that the sidecar is for, by its id or host:port; it follows fail-overs",
    schema: z
      .string()
      .regex(/^([0-9a-f]{40}|.+:\d{1,5})$/, "must be the id of a node, 40 hexadecimal digits, or host:port")
      .optional(),
  },
  tls_ca: {
    value: "file",
    description: "certificates that the Redis of a rediss:// URL is checked against; without it the system's",
    schema: text().optional(),
  },
  tls_cert: {
    value: "file",
    description: "certificate that vstore shows to that Redis",
    schema: text().optional(),
  },
  tls_key: {
    value: "file",
    description: "the key of that certificate",
    schema: text().optional(),
  },
  redis_server: {
    value: "program",
    description:
      "program of vstore's own Redis; without it redis-server, or valkey-server where there is none",
    schema: text().optional(),
  },
  port: {
    value: "port",
    default: 6_379,
    description: "port of vstore's own Redis on 127.0.0.1",
    schema: integer(1, 65_535),
  },
  role: {
    value: "role",
    default: "leader",
    choices: roles,
    description:
      "leader serves, or stands by while another one does; follower keeps a copy of its files; auto follows, and serves when no other does",
    schema: z.enum(roles),
  },
  data_dir: {
    value: "directory",
    default: "./data",
    description: "directory of the files",
    schema: text(),
  },
  checkpoint_interval_ms: {
    value: "ms",
    unit: "ms",
    default: 30_000,
    description: "time between two checkpoints of a collection",
    schema: integer(1_000, 3_600_000),
  },
  checkpoint_log_bytes: {
    value: "bytes",
    unit: "bytes",
    default: 128 * 1024 * 1024,
    description: "writes since the last checkpoint that bring the next one forward",
    schema: integer(1024 * 1024, 64 * 1024 * 1024 * 1024),
  },
  follower_log_bytes: {
    value: "bytes",
    unit: "bytes",
    default: 256 * 1024 * 1024,
    description: "bytes of the log of a collection that are kept for followers that are behind",
    schema: integer(1024 * 1024, 64 * 1024 * 1024 * 1024),
  },
  sync_followers: {
    value: "count",
    default: 0,
    description: "followers that have to apply a write before it is answered",
    schema: integer(0, 16),
  },
  candidate_wait_ms: {
    value: "ms",
    unit: "ms",
    default: 2_000,
    description:
      "with --sync-followers, how long a follower waits for others that may be ahead before it leads",
    schema: integer(0, 60_000),
  },
  part_timeout_ms: {
    value: "ms",
    unit: "ms",
    default: 3_000,
    description: "how long a part of a collection with SHARDS may take to answer",
    schema: integer(100, 600_000),
  },
  busy_poll_us: {
    value: "us",
    unit: "us",
    default: 100,
    description:
      "after an answer, how long to poll for the next request before the process sleeps; 0 saves power",
    schema: integer(0, 10_000),
  },
  short_way: {
    value: "on|off",
    default: "on",
    choices: shortWays,
    description:
      "off: plain searches, small reads and inserts take the way of all requests, with the same answers at a higher cost",
    schema: z.enum(shortWays),
  },
  search_threads: {
    value: "threads",
    default: 0,
    description: "threads of the native index that search; 0 for one per core that the process may run on",
    schema: integer(0, limits.threadsMax),
  },
  build_threads: {
    value: "threads",
    default: 0,
    description: "threads that link vectors into the native index, behind all others; 0 for one per core",
    schema: integer(0, limits.threadsMax),
  },
  ingest_concurrency: {
    value: "jobs",
    default: 4,
    description: "jobs of the queue vstore-ingest that are under way at the same time",
    schema: integer(1, 64),
  },
  ingest_jobs_per_second: {
    value: "jobs",
    unit: "jobs/s",
    description: "jobs begun in a second; without it as many as there are",
    schema: integer(1, 100_000).optional(),
  },
  ingest_batch_items: {
    value: "items",
    unit: "items",
    default: 500,
    description: "items of a job that are inserted by one MINSERT",
    schema: integer(1, 10_000),
  },
  ingest_job_items: {
    value: "items",
    unit: "items",
    default: 10_000,
    description: "items of one job",
    schema: integer(1, 1_000_000),
  },
  ingest_job_bytes: {
    value: "bytes",
    unit: "bytes",
    default: 16 * 1024 * 1024,
    description: "JSON text of one job",
    schema: integer(1_024, 256 * 1024 * 1024),
  },
  index: {
    value: "name",
    default: "auto",
    choices: indexChoices,
    description: "the implementation of the index; auto is native where it was built, else portable",
    schema: z.enum(indexChoices),
  },
  memory_limit: {
    value: "bytes",
    unit: "bytes",
    description:
      "memory that vstore should stay within: vectors give way first, then the index; without it the cgroup's limit",
    schema: integer(64 * 1024 * 1024, 2 ** 50).optional(),
  },
  http_port: {
    value: "port",
    description:
      "port of /metrics, /health, /ready and the page to look at; without it there is no HTTP server",
    schema: integer(1, 65_535).optional(),
  },
  http_host: {
    value: "address",
    default: "127.0.0.1",
    description: "address of the HTTP server; any but a loopback address needs a token",
    schema: text(),
  },
  http_token: {
    value: "token",
    description: "what a request to the HTTP server must have as Authorization: Bearer …",
    schema: z.string().min(16, { error: "must have at least 16 characters" }).optional(),
  },
  log_level: {
    value: "level",
    default: "info",
    choices: logLevels,
    description: "how much is logged on stderr",
    schema: z.enum(logLevels),
  },
} as const satisfies Record<string, Setting>;

export type SettingName = keyof typeof settings;
export type Settings = { readonly [Name in SettingName]: z.infer<(typeof settings)[Name]["schema"]> };

export const settingNames = Object.keys(settings) as SettingName[];
export const flagOf = (name: SettingName): string => `--${name.replaceAll("_", "-")}`;
export const variableOf = (name: SettingName): string => `VSTORE_${name.toUpperCase()}`;

/** A setting that is unknown or out of range. */
export class SettingsError extends Error {}

/** A setting as the command line and the environment give it. */
export interface Given {
  readonly value: unknown;
  readonly source: "cli" | "env" | "default" | undefined;
}

/** @throws SettingsError that names every bad setting and where it came from */
export function readSettings(
  given: (name: SettingName) => Given,
  environment: Readonly<NodeJS.ProcessEnv>,
): Settings {
  const faults = unknownVariables(environment);
  const values: Record<string, unknown> = {};
  for (const name of settingNames) {
    const { value, source } = given(name);
    const result = (settings[name] as Setting).schema.safeParse(value);
    if (result.success) values[name] = result.data;
    else {
      const where = source === "env" ? variableOf(name) : flagOf(name);
      faults.push(`${where} ${result.error.issues.map((issue) => issue.message).join(", ")}`);
    }
  }
  if (values.role !== "leader" && values.redis_url === undefined)
    faults.push("--role follower and auto need --redis-url: no other sidecar joins vstore's own Redis");
  if (faults.length > 0) throw new SettingsError(faults.join("\n"));
  return withWholeUrl(values as Settings);
}

/** The files of TLS and the node of a cluster go into the URL, which reaches every place that connects. */
function withWholeUrl(given: Settings): Settings {
  const { redis_url, node, tls_ca: ca, tls_cert: cert, tls_key: key } = given;
  try {
    // Its own Redis speaks no TLS and is no node of a cluster, as this URL says.
    const url = withNode(withTls(redis_url ?? "redis://127.0.0.1", { ca, cert, key }), node);
    placeOf(url); // reads the files
    return { ...given, redis_url: redis_url && url };
  } catch (error) {
    throw new SettingsError((error as Error).message);
  }
}

/** "port of vstore's own Redis on 127.0.0.1; 1 to 65535" */
export function describeSetting(name: SettingName): string {
  const setting: Setting = settings[name];
  const range = setting.schema.description;
  const unit = setting.unit === undefined ? "" : ` ${setting.unit}`;
  return range === undefined ? setting.description : `${setting.description}; ${range}${unit}`;
}

/**
 * Variables that Kubernetes sets for a service that is called vstore, or vstore-redis: VSTORE_SERVICE_HOST,
 * VSTORE_PORT=tcp://10.0.0.1:6379, VSTORE_PORT_6379_TCP_ADDR. They are no settings.
 */
export function variablesOfKubernetes(environment: Readonly<NodeJS.ProcessEnv>): string[] {
  const isOne = ([name, value = ""]: [string, string | undefined]) =>
    /^VSTORE(_\w+)?_(SERVICE_(HOST|PORT(_\w+)?)|PORT_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)$/.test(name) ||
    (/^VSTORE(_\w+)?_PORT$/.test(name) && /^(tcp|udp|sctp):\/\//.test(value));
  return Object.entries(environment)
    .filter(isOne)
    .map(([name]) => name)
    .sort();
}

function unknownVariables(environment: Readonly<NodeJS.ProcessEnv>): string[] {
  const known = settingNames.map(variableOf);
  const unknown = Object.keys(environment).filter(
    (name) => name.startsWith("VSTORE_") && !known.includes(name),
  );
  return unknown.map(
    (name) => `${name} is not a setting${didYouMean(name, known) || `; there are ${known.join(", ")}`}`,
  );
}

function redisUrl() {
  return z.string().check((context) => {
    const fault = faultOf(context.value);
    if (fault !== undefined) context.issues.push({ code: "custom", message: fault, input: context.value });
  });
}

function text() {
  return z.string().min(1, { error: "must not be empty" });
}

/** Decimal digits, because Number("") and Number("0x10") are numbers too. */
function integer(min: number, max: number) {
  const error = `must be a whole number from ${min} to ${max}`;
  return z.coerce
    .string()
    .regex(/^\d+$/, { error, abort: true })
    .transform(Number)
    .pipe(z.number().min(min, { error }).max(max, { error }))
    .describe(`${min} to ${max}`);
}
