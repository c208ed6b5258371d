/** Ways to reach a Redis: TLS, a socket, IPv6, a user, a database. Each with a real server. */
import { execFileSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { Redis } from "ioredis";
import { afterEach, describe, expect, test } from "vitest";
import { freePort } from "../../harness/free-port.ts";
import { type RedisServer, startRedis } from "../../harness/redis-server.ts";
import { type SidecarProcess, startSidecar } from "../../harness/sidecar.ts";
import { placeOf, publicUrl, redisCli } from "../../src/bridge/redis/address.ts";
import { temporaryDirectory } from "../harness/directory.ts";
import { until } from "../harness/serving.ts";

let server: RedisServer;
let running: SidecarProcess[] = [];

afterEach(async () => {
  for (const sidecar of running) await sidecar.kill();
  running = [];
  await server?.stop();
});

async function serves(redisUrl: string, ...args: string[]): Promise<SidecarProcess> {
  const sidecar = launch(redisUrl, ...args);
  await sidecar.waitReady();
  const redis = new Redis({ port: server.port, host: "127.0.0.1", protocol: 2 });
  await redis.call("VSTORE.CREATE", "c", "DIM", 2);
  expect(await redis.call("VSTORE.INSERT", "c", "a", "VALUES", 2, 1, 0)).toBe(1);
  redis.disconnect();
  return sidecar;
}

function launch(redisUrl: string, ...args: string[]): SidecarProcess {
  const sidecar = startSidecar({ redisUrl, args });
  running.push(sidecar);
  return sidecar;
}

/** Of a certificate authority, and of a server and a client that it vouches for. */
function certificates(): Record<"ca" | "cert" | "key", string> {
  const directory = temporaryDirectory();
  const [ca, caKey] = [join(directory, "ca.pem"), join(directory, "ca.key")];
  const [cert, key, request] = ["cert.pem", "key.pem", "request.pem"].map((name) => join(directory, name));
  const openssl = (...args: string[]) => execFileSync("openssl", args, { stdio: "pipe" });
  const anew = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];
  openssl("req", "-x509", ...anew, "-keyout", caKey, "-out", ca, "-subj", "/CN=vstore tests");
  openssl("req", ...anew, "-keyout", key!, "-out", request!, "-subj", "/CN=localhost");
  const names = join(directory, "names");
  execFileSync("sh", ["-c", `echo subjectAltName=DNS:localhost,IP:127.0.0.1 >'${names}'`]);
  const signing = ["-CA", ca, "-CAkey", caKey, "-CAcreateserial", "-extfile", names];
  openssl("x509", "-req", "-in", request!, ...signing, "-out", cert!);
  return { ca, cert: cert!, key: key! };
}

describe("TLS", () => {
  async function secureServer() {
    const files = certificates();
    const port = await freePort();
    const tls = ["--tls-port", `${port}`, "--tls-ca-cert-file", files.ca];
    server = await startRedis({
      args: [...tls, "--tls-cert-file", files.cert, "--tls-key-file", files.key],
    });
    return { files, url: `rediss://127.0.0.1:${port}` };
  }

  test("with a certificate of the client, the thread of the queue included", async () => {
    const { files, url } = await secureServer();
    const flags = ["--tls-ca", files.ca, "--tls-cert", files.cert, "--tls-key", files.key];
    const sidecar = await serves(url, ...flags);
    expect(sidecar.stdout).toContain(`vstore ready ${url}\n`);
    const clients = new Redis({ port: server.port, host: "127.0.0.1", protocol: 2 });
    await clients.set("vstore:bull:vstore-ingest:id", 0); // as the first producer does
    await until(
      () => clients.client("LIST") as Promise<string>,
      (list) => list.includes("name=vstore-bullmq-ingest"),
    );
    clients.disconnect();
    await sidecar.stop();
  });

  test("without one the server refuses, and the reason is logged", async () => {
    const { files, url } = await secureServer();
    const sidecar = launch(url, "--tls-ca", files.ca);
    await sidecar.waitLog("not serving: ");
    expect(sidecar.stdout).toBe("");
  });

  test("a certificate that the system does not know is refused without --tls-ca", async () => {
    const { files, url } = await secureServer();
    const sidecar = launch(url, "--tls-cert", files.cert, "--tls-key", files.key);
    await sidecar.waitLog("not serving: ");
    expect(sidecar.stderr).toMatch(/unable to verify|self.signed/i);
  });
});

test("a socket, a user with a password", async () => {
  const path = join(temporaryDirectory(), "redis ü.sock");
  server = await startRedis({ args: ["--unixsocket", path] });
  const admin = new Redis({ port: server.port, host: "127.0.0.1", protocol: 2 });
  await admin.call("ACL", "SETUSER", "side@car", "on", ">p/w", "~*", "&*", "+@all");
  admin.disconnect();
  const sidecar = await serves(`redis+unix://side%40car:p%2Fw@localhost${encodeURI(path)}`);
  expect(sidecar.stdout).toContain("vstore ready redis+unix://side%40car:***@");
  expect(sidecar.stdout + sidecar.stderr).not.toContain("p%2Fw");
  await sidecar.stop();
});

const hasIpv6 =
  existsSync("/proc/net/if_inet6") && readFileSync("/proc/net/if_inet6", "utf8").includes(" lo");
test.runIf(hasIpv6)("IPv6", async () => {
  server = await startRedis({ args: ["--bind", "127.0.0.1", "::1"] });
  await (await serves(`redis://[::1]:${server.port}`)).stop();
});

test("a database that exists is used, and one that does not is refused at the start", async () => {
  server = await startRedis();
  const refused = launch(`redis://127.0.0.1:${server.port}/99`);
  expect(await refused.exit()).toBe(2);
  expect(refused.stderr.trimEnd().split("\n")).toEqual([
    `vstore: --redis-url redis://127.0.0.1:${server.port}/99: that Redis has no database 99: its setting 'databases' is smaller`,
  ]);
  const redis = new Redis({ port: server.port, host: "127.0.0.1", protocol: 2, db: 3 });
  const sidecar = launch(`redis://127.0.0.1:${server.port}/3`);
  await sidecar.waitReady();
  expect(await redis.exists("vstore:leader")).toBe(1);
  redis.disconnect();
  await sidecar.stop();
});

test.each([
  ["redis://h", { host: "h", port: 6_379, db: 0 }, "redis://h", "redis-cli -u redis://h"],
  [
    "redis://127.0.0.1:7000/2",
    { host: "127.0.0.1", port: 7_000, db: 2 },
    "redis://127.0.0.1:7000/2",
    undefined,
  ],
  ["redis://[2001:db8::1]", { host: "2001:db8::1", port: 6_379, db: 0 }, "redis://[2001:db8::1]", undefined],
  ["redis://:p%40@h/1", { host: "h", port: 6_379, db: 1, password: "p@" }, "redis://:***@h/1", undefined],
  [
    "redis+sentinel://u:p%40@h1:26380,[::1]/main?db=2&sentinel-password=s",
    {
      sentinels: [
        { host: "h1", port: 26_380 },
        { host: "::1", port: 26_379 },
      ],
      name: "main",
      username: "u",
      password: "p@",
      db: 2,
      sentinelPassword: "s",
    },
    "redis+sentinel://u:***@h1:26380,[::1]/main",
    "redis-cli -h h1 -p 26380 SENTINEL GET-MASTER-ADDR-BY-NAME main",
  ],
  ["redis+unix:///run/r.sock?db=1", { path: "/run/r.sock", db: 1 }, undefined, "redis-cli -s /run/r.sock"],
])("%s is read as it is meant", (url, place, shown, cli) => {
  expect(placeOf(url)).toEqual(place);
  if (shown !== undefined) expect(publicUrl(url)).toBe(shown);
  if (cli !== undefined) expect(redisCli(url)).toBe(cli);
});
