/**
 * Every setting of the program in one table. A setting comes from its flag, else from its environment variable,
 * else from here; whatever is unknown or out of range refuses to start and says what is allowed.
 */
import { z } from "zod";
import { indexChoices } from "../engine/index/kinds.ts";
import { logLevels } from "../log.ts";

interface Setting {
  readonly unit?: string;
  readonly default?: string | number;
  readonly description: string;
  readonly schema: z.ZodType;
}

export const settings = {
  redis_url: {
    description: "the Redis to join; without it vstore starts one of its own",
    schema: z.url({ protocol: /^rediss?$/, error: "must be a URL like redis://127.0.0.1:6379" }).optional(),
  },
  redis_server: {
    description:
      "program of vstore's own Redis; without it redis-server, or valkey-server where there is none",
    schema: z.string().min(1).optional(),
  },
  port: {
    default: 6_379,
    description: "port of vstore's own Redis on 127.0.0.1",
    schema: integer(1, 65_535),
  },
  data_dir: { default: "./data", description: "directory of the files", schema: z.string().min(1) },
  checkpoint_interval_ms: {
    unit: "ms",
    default: 30_000,
    description: "time between two checkpoints of a collection",
    schema: integer(1_000, 3_600_000),
  },
  checkpoint_log_bytes: {
    unit: "bytes",
    default: 128 * 1024 * 1024,
    description: "writes since the last checkpoint that bring the next one forward",
    schema: integer(1024 * 1024, 64 * 1024 * 1024 * 1024),
  },
  busy_poll_us: {
    unit: "us",
    default: 100,
    description:
      "after an answer, how long the next request is polled for before the process sleeps; 0 saves power",
    schema: integer(0, 10_000),
  },
  ingest_concurrency: {
    default: 4,
    description: "jobs of the queue vstore-ingest that are under way at the same time",
    schema: integer(1, 64),
  },
  ingest_jobs_per_second: {
    unit: "jobs/s",
    description: "jobs begun in a second; without it as many as there are",
    schema: integer(1, 100_000).optional(),
  },
  ingest_batch_items: {
    unit: "items",
    default: 500,
    description: "items of a job that are inserted by one MINSERT",
    schema: integer(1, 10_000),
  },
  ingest_job_items: {
    unit: "items",
    default: 10_000,
    description: "items of one job",
    schema: integer(1, 1_000_000),
  },
  ingest_job_bytes: {
    unit: "bytes",
    default: 16 * 1024 * 1024,
    description: "JSON text of one job",
    schema: integer(1_024, 256 * 1024 * 1024),
  },
  index: {
    default: "auto",
    description: "the implementation of the index; auto is native where it was built, else portable",
    schema: z.enum(indexChoices),
  },
  log_level: { default: "info", description: "how much is logged on stderr", schema: z.enum(logLevels) },
} as const satisfies Record<string, Setting>;

export type SettingName = keyof typeof settings;
export type Settings = { readonly [Name in SettingName]: z.infer<(typeof settings)[Name]["schema"]> };

export const settingNames = Object.keys(settings) as SettingName[];
export const flagOf = (name: SettingName): string => `--${name.replaceAll("_", "-")}`;
export const variableOf = (name: SettingName): string => `VSTORE_${name.toUpperCase()}`;

/** A setting that is unknown or out of range. */
export class SettingsError extends Error {}

/**
 * @param flagValue the text that the command line gives for a setting, if it does
 * @throws SettingsError that names every bad setting and where it came from
 */
export function readSettings(
  flagValue: (name: SettingName) => unknown,
  environment: Readonly<NodeJS.ProcessEnv>,
): Settings {
  const faults = unknownVariables(environment);
  const values: Record<string, unknown> = {};
  for (const name of settingNames) {
    const setting: Setting = settings[name];
    const flag = flagValue(name);
    const source = flag === undefined ? variableOf(name) : flagOf(name);
    const result = setting.schema.safeParse(flag ?? environment[variableOf(name)] ?? setting.default);
    if (result.success) values[name] = result.data;
    else faults.push(`${source} ${result.error.issues.map((issue) => issue.message).join(", ")}`);
  }
  if (faults.length > 0) throw new SettingsError(faults.join("\n"));
  return values as Settings;
}

/** "(VSTORE_PORT, 1 to 65535, default 6379)" */
export function describeSetting(name: SettingName): string {
  const setting: Setting = settings[name];
  const unit = setting.unit === undefined ? "" : ` ${setting.unit}`;
  const details = [variableOf(name)];
  if (setting.schema.description !== undefined) details.push(`${setting.schema.description}${unit}`);
  if (setting.default !== undefined) details.push(`default ${setting.default}`);
  return `${setting.description} (${details.join("; ")})`;
}

function unknownVariables(environment: Readonly<NodeJS.ProcessEnv>): string[] {
  const known = new Set(settingNames.map(variableOf));
  const unknown = Object.keys(environment).filter((name) => name.startsWith("VSTORE_") && !known.has(name));
  return unknown.map((name) => `${name} is no setting; there are ${[...known].join(", ")}`);
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
