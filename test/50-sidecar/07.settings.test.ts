/** Settings: where they come from, and what refuses to start. */
import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import { nodeOf, publicUrl, seedsOf } from "../../src/bridge/redis/address.ts";
import {
  type Given,
  readSettings,
  type Setting,
  type SettingName,
  SettingsError,
  settings,
  variableOf,
  variablesOfKubernetes,
} from "../../src/cli/settings.ts";

/** As commander gives them. */
function read(flags: Partial<Record<SettingName, string>> = {}, environment: NodeJS.ProcessEnv = {}) {
  const given = (name: SettingName): Given => {
    const [flag, variable] = [flags[name], environment[variableOf(name)]];
    if (flag !== undefined) return { value: flag, source: "cli" };
    if (variable !== undefined) return { value: variable, source: "env" };
    return { value: (settings[name] as Setting).default, source: "default" };
  };
  return readSettings(given, environment);
}

describe("a setting", () => {
  test("has a default", () => {
    expect(read()).toMatchObject({
      port: 6_379,
      data_dir: "./data",
      checkpoint_interval_ms: 30_000,
      checkpoint_log_bytes: 128 * 1024 * 1024,
    });
    expect(read().redis_url).toBeUndefined();
    expect(read().redis_server).toBeUndefined();
    expect(read().ingest_jobs_per_second).toBeUndefined();
  });

  test.each([
    ["port", "0", "1 to 65535"],
    ["port", "65536", "1 to 65535"],
    ["port", "6379x", "1 to 65535"],
    ["port", "", "1 to 65535"],
    ["port", "1e3", "1 to 65535"],
    ["checkpoint_interval_ms", "999", "1000 to 3600000"],
    ["checkpoint_interval_ms", "3600001", "1000 to 3600000"],
    ["checkpoint_log_bytes", "1048575", "1048576 to"],
    ["busy_poll_us", "10001", "0 to 10000"],
    ["busy_poll_us", "-1", "0 to 10000"],
    ["ingest_concurrency", "0", "1 to 64"],
    ["ingest_concurrency", "65", "1 to 64"],
    ["ingest_jobs_per_second", "0", "1 to 100000"],
    ["ingest_batch_items", "10001", "1 to 10000"],
    ["ingest_job_items", "1000001", "1 to 1000000"],
    ["ingest_job_bytes", "1023", "1024 to"],
    ["redis_url", "http://127.0.0.1", "redis://"],
    ["redis_url", "127.0.0.1:6379", "redis://"],
    ["redis_url", "redis://127.0.0.1:6379/x", "the number of a database, such as /1"],
    ["redis_url", "redis://127.0.0.1:6379/1/2", "the number of a database"],
    ["redis_url", "redis+unix://", "the path of the socket"],
    ["redis_url", "redis+unix:///run/redis.sock?db=x", "the number of a database, such as ?db=1"],
    ["redis_url", "redis+sentinel://h1:26379,h2", "the name of the primary, such as /mymaster"],
    ["redis_url", "redis+sentinel://h1,:1/main", "Sentinels like host:26379,host:26379"],
    ["redis_url", "redis+cluster://h1,:1", "nodes like host:6379,host:6379"],
    ["node", "a-node", "40 hexadecimal digits, or host:port"],
    ["log_level", "loud", "info"],
    ["data_dir", "", "must not be empty"],
    ["redis_server", "", "must not be empty"],
  ] as const)("%s may not be %j: allowed is %s", (name, value, allowed) => {
    const flag = `--${name.replaceAll("_", "-")}`;
    expect(() => read({ [name]: value })).toThrow(SettingsError);
    expect(() => read({ [name]: value })).toThrow(allowed);
    expect(() => read({ [name]: value })).toThrow(flag);
  });

  test.each([
    ["port", "1"],
    ["port", "65535"],
    ["checkpoint_interval_ms", "1000"],
    ["checkpoint_interval_ms", "3600000"],
    ["checkpoint_log_bytes", "1048576"],
    ["ingest_concurrency", "64"],
    ["ingest_jobs_per_second", "1"],
    ["ingest_batch_items", "10000"],
    ["ingest_job_items", "1000000"],
    ["ingest_job_bytes", "1024"],
  ] as const)("%s may be %s", (name, value) => {
    expect(read({ [name]: value })[name]).toBe(Number(value));
  });

  test("that is unknown is named, with those there are; every fault at once", () => {
    const environment = { VSTORE_PROT: "1", VSTORE_LOG_LEVEL: "loud" };
    expect(() => read({}, environment)).toThrow("VSTORE_PROT is not a setting, did you mean 'VSTORE_PORT'?");
    expect(() => read({}, environment)).toThrow(/VSTORE_LOG_LEVEL/);
    expect(() => read({}, { VSTORE_XYZZY: "red" })).toThrow(/is not a setting; there are .*VSTORE_PORT/);
  });

  test("of TLS goes with a rediss:// URL, and its files are read at the start", () => {
    const files = { tls_ca: "/nonexistent/ca.pem" };
    for (const plain of [files, { ...files, redis_url: "redis://h" }])
      expect(() => read(plain)).toThrow("--tls-ca needs a rediss:// URL");
    expect(() => read({ ...files, redis_url: "rediss://h" })).toThrow("/nonexistent/ca.pem");
  });

  test("of a node goes with a redis+cluster:// URL, and is needed there", () => {
    const cluster = "redis+cluster://u:p@h1:7000,h2";
    expect(() => read({ node: "h2:7001" })).toThrow("--node needs a redis+cluster:// URL");
    expect(() => read({ node: "h2:7001", redis_url: "redis://h" })).toThrow(
      "--node needs a redis+cluster:// URL",
    );
    expect(() => read({ redis_url: cluster })).toThrow("needs --node");
    const url = read({ node: "h2:7001", redis_url: cluster }).redis_url!;
    expect(seedsOf(url)).toEqual(["redis://u:p@h1:7000", "redis://u:p@h2:6379"]);
    expect([nodeOf(url), publicUrl(url)]).toEqual(["h2:7001", "redis+cluster://u:***@h1:7000,h2"]);
  });

  test("is not what Kubernetes sets for a service called vstore", () => {
    const environment = {
      VSTORE_SERVICE_HOST: "10.0.0.1",
      VSTORE_SERVICE_PORT: "6379",
      VSTORE_SERVICE_PORT_REDIS: "6379",
      VSTORE_PORT: "tcp://10.0.0.1:6379",
      VSTORE_PORT_6379_TCP: "tcp://10.0.0.1:6379",
      VSTORE_PORT_6379_TCP_PROTO: "tcp",
      VSTORE_PORT_6379_TCP_PORT: "6379",
      VSTORE_PORT_6379_TCP_ADDR: "10.0.0.1",
      VSTORE_REDIS_SERVICE_HOST: "10.0.0.2",
      VSTORE_REDIS_PORT: "tcp://10.0.0.2:6379",
    };
    expect(variablesOfKubernetes(environment)).toEqual(Object.keys(environment).sort());
    const own = Object.keys(settings).map((name) => [variableOf(name as SettingName), "7000"]);
    expect(variablesOfKubernetes({ ...Object.fromEntries(own), VSTORE_PROT: "1" })).toEqual([]);
  });
});

describe("the program", () => {
  const program = fileURLToPath(new URL("../../dist/cli.js", import.meta.url));
  const run = (args: string[], env: NodeJS.ProcessEnv = {}) => {
    const { status, stdout, stderr } = spawnSync(process.execPath, [program, ...args], {
      env,
      encoding: "utf8",
    });
    return { status, stdout, stderr };
  };

  test.each([
    [["serve", "--port", "0"], {}, "--port must be a whole number from 1 to 65535"],
    [["serve", "--prot", "1"], {}, "unknown option '--prot'"],
    [["serve"], { VSTORE_PORT: "none" }, "VSTORE_PORT must be a whole number"],
    [["serve"], { VSTORE_COLOR: "red" }, "VSTORE_COLOR is not a setting"],
    [["serve", "--port", "0"], { VSTORE_PORT: "none" }, "--port must be a whole number"],
    [["serve"], { VSTORE_LOG_LEVEL: "loud" }, "Allowed choices are fatal, error, warn"],
    [
      ["serve", "--redis-url", "redis://127.0.0.1/x"],
      {},
      "--redis-url must end with the number of a database",
    ],
    [["sreve"], {}, "unknown command 'sreve'"],
    [["serve", "--data-dir", program], {}, "--data-dir must be a directory that can be written, or made: "],
    [["serve", "--data-dir", "/proc/no/such"], {}, "made: /proc/no/such (ENOENT)"],
    [
      ["serve", "--redis-url", "rediss://127.0.0.1", "--tls-ca", "/"],
      {},
      "--tls-ca, or ca of the URL, must name a file that can be read: / (EISDIR)",
    ],
  ])("%j with %j refuses to start", (args, env, message) => {
    const result = run(args, env);
    expect(result).toMatchObject({ status: 2, stdout: "" });
    expect(result.stderr).toContain(message);
  });

  test("tells its version, its commands and its settings", () => {
    expect(run(["--version"])).toMatchObject({
      status: 0,
      stdout: expect.stringMatching(/^\d+\.\d+\.\d+\n$/),
    });
    expect(run(["--help"]).stdout).toContain("serve");
    const help = run(["serve", "--help"]);
    expect(help.status).toBe(0);
    expect(help.stdout.replaceAll(/\s+/g, " ")).toContain(
      "1000 to 3600000 ms (default: 30000, env: VSTORE_CHECKPOINT_INTERVAL_MS)",
    );
    expect(help.stdout.replaceAll(/\s+/g, " ")).toContain('(choices: "auto", "native", "portable"');
  });
});
