/** The HTTP server: who may ask, what is asked, and what it does while nothing is served. */
import { once } from "node:events";
import { request } from "node:http";
import type { Redis } from "ioredis";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { freePort } from "../../harness/free-port.ts";
import { type SidecarProcess, startSidecar, startVstore, type Vstore } from "../../harness/sidecar.ts";
import { sampleVectorsMax } from "../../src/bridge/watch/queries.ts";
import { fp32, fp32Of } from "../harness/fp32.ts";
import { connectClient, until } from "../harness/serving.ts";

const token = "a token that is long enough";

let vstore: Vstore;
let redis: Redis;
let port: number;
let url: string;

beforeAll(async () => {
  port = await freePort();
  url = `http://127.0.0.1:${port}`;
  vstore = await startVstore({}, { args: ["--http-port", String(port)] });
  redis = connectClient(vstore.url);
  await redis.call("VSTORE.CREATE", "docs", "DIM", 2, "METRIC", "L2");
  await redis.call("VSTORE.INSERT", "docs", "a", "FP32", fp32(0, 0), "SETATTR", '{"year":1999}');
  await redis.call("VSTORE.INSERT", "docs", "b", "FP32", fp32(3, 4), "SETATTR", '{"year":2001}');
});

afterAll(async () => {
  redis?.disconnect();
  await vstore?.stop();
});

function search(question: unknown, headers: Record<string, string> = { "Content-Type": "application/json" }) {
  const body = typeof question === "string" ? question : JSON.stringify(question);
  return fetch(`${url}/api/search`, { method: "POST", body, headers });
}

describe("search", () => {
  test("by key and by vector, with distances and attributes", async () => {
    const byKey = await (await search({ collection: "docs", key: "a" })).json();
    expect(byKey).toMatchObject({
      hits: [
        { key: "a", distance: 0, attributes: '{"year":1999}' },
        { key: "b", distance: 5, attributes: '{"year":2001}' },
      ],
    });
    const byVector = await (await search({ collection: "docs", vector: [3, 4], count: 1 })).json();
    expect(byVector).toMatchObject({ hits: [{ key: "b", distance: 0 }] });
  });

  test("with a filter", async () => {
    const answer = await search({ collection: "docs", key: "a", filter: ".year > 2000" });
    expect(await answer.json()).toMatchObject({ hits: [{ key: "b" }] });
  });

  test.each([
    [{ collection: "none", key: "a" }, "NOCOLLECTION", /none/],
    [{ collection: "docs", key: "none" }, "NOKEY", /'KEY' must be/],
    [{ collection: "docs", vector: [1] }, "ERR", /2 numbers, got 1/],
    [{ collection: "docs", vector: ["KEY", {}] }, "ERR", /'vector' must be an array of numbers/],
    [{ collection: "docs", vector: [{ toString: 1 }, 1] }, "ERR", /'vector' must be an array of numbers/],
    [{ collection: "docs", vector: "1 2" }, "ERR", /'vector' must be an array/],
    [{ collection: "docs", key: "a", filter: "(" }, "ERR", /filter/i],
    [{ collection: ["docs"], key: "a" }, "ERR", /'collection' must be a string/],
    [{}, "ERR", /'key' must be a string/],
    ["[", "ERR", /JSON object/],
    ["null", "ERR", /JSON object/],
  ])("%j is refused with the reason", async (question, code, message) => {
    const answer = await search(question);
    expect(answer.status).toBe(400);
    expect(await answer.json()).toEqual({ code, error: expect.stringMatching(message) });
  });

  test("takes no more than 1 MiB, and JSON only", async () => {
    const large = await search({ collection: "docs", key: "k".repeat(1024 * 1024) });
    expect(await large.json()).toMatchObject({ code: "LIMIT" });
    const form = await search({ collection: "docs", key: "a" }, { "Content-Type": "text/plain" });
    expect(form.status).toBe(400);
  });
});

test("a sample is of different vectors, each under its key, and no larger than its limit", async () => {
  await redis.call("VSTORE.CREATE", "many", "DIM", 2, "METRIC", "L2");
  const keys = Array.from({ length: 2_000 }, (_, i) => `k${i}`);
  const vectors = Float32Array.from({ length: 4_000 }, (_, i) => Math.floor(i / 2));
  await redis.call("VSTORE.MINSERT", "many", keys.length, ...keys, "FP32", fp32Of(vectors));
  const answer = await fetch(`${url}/api/sample?collection=many`);
  const sample = (await answer.json()) as { keys: string[]; vectors: string; of: number };
  expect(sample.of).toBe(2_000);
  expect(new Set(sample.keys).size).toBe(sampleVectorsMax);
  const components = new Float32Array(new Uint8Array(Buffer.from(sample.vectors, "base64")).buffer);
  expect([...components].filter((_, i) => i % 2 === 0).map((row) => `k${row}`)).toEqual(sample.keys);
});

test("the overview has collections, jobs and requests", async () => {
  const overview = (await (await fetch(`${url}/api/overview`)).json()) as {
    collections: { name: string }[];
  };
  expect(overview).toMatchObject({ serving: true, store: { damaged_collections: 0 } });
  expect(overview.collections.find(({ name }) => name === "docs")).toMatchObject({
    vectors: 2,
    dimensions: 2,
    log_lag_seconds: 0,
  });
});

describe("who may ask", () => {
  /** Fetch names the host itself. */
  const statusFor = (host: string, path = "/api/overview") =>
    new Promise((resolve, reject) => {
      const options = { host: "127.0.0.1", port, path, headers: { host } };
      request(options, ({ statusCode }) => resolve(statusCode))
        .on("error", reject)
        .end();
    });

  test("a path of which no URL can be made is a bad request, and disturbs nothing else", async () => {
    for (const path of ["//", "//[", "http://"]) expect(await statusFor("localhost", path)).toBe(400);
    const facts = (await redis.call("VSTORE.INFO")) as string[];
    expect(Number(facts[facts.indexOf("unexpected_errors") + 1])).toBe(0);
  });

  test("a question that does not arrive whole is no error of the server", async () => {
    const options = { host: "127.0.0.1", port, path: "/api/search", method: "POST" };
    const headers = { "Content-Type": "application/json", "Content-Length": 10, Expect: "100-continue" };
    const asking = request({ ...options, headers }).on("error", () => {});
    asking.flushHeaders();
    await once(asking, "continue"); // the server waits for the body
    asking.destroy();
    expect(await statusFor("localhost")).toBe(200);
    expect(vstore.sidecar.stderr).not.toContain("unexpected error of the HTTP server");
  });

  test("without a token only requests that name this machine, so that no page from elsewhere reads here", async () => {
    for (const host of ["localhost", "127.0.0.1:80", "[::1]:80"]) expect(await statusFor(host)).toBe(200);
    for (const host of ["evil.example", "localhost.evil.example", "127.0.0.1.evil.example", "10.0.0.1"])
      expect(await statusFor(host)).toBe(403);
  });

  test("nothing is allowed to other origins, and the page may load nothing from elsewhere", async () => {
    const { headers } = await fetch(`${url}/`, { headers: { Origin: "http://evil.example" } });
    expect(headers.get("access-control-allow-origin")).toBeNull();
    expect(headers.get("content-security-policy")).toContain("default-src 'self'");
  });

  test("there are no other paths, and nothing is written", async () => {
    for (const path of ["/api", "/../package.json", "/%2e%2e/package.json", "/dashboard.js/..%2f"])
      expect([403, 404]).toContain((await fetch(`${url}${path}`)).status);
    for (const method of ["POST", "PUT", "DELETE"])
      expect((await fetch(`${url}/metrics`, { method })).status).toBe(404);
  });
});

describe("another sidecar", () => {
  let sidecar: SidecarProcess | undefined;

  afterEach(async () => {
    if (sidecar?.isRunning) await sidecar.kill();
  });

  test("with a token answers who has it, and says to all that it stands by", async () => {
    const own = await freePort();
    const at = `http://127.0.0.1:${own}`;
    sidecar = startSidecar({
      redisUrl: vstore.url,
      args: ["--http-port", String(own), "--http-host", "0.0.0.0"],
      env: { VSTORE_HTTP_TOKEN: token },
    });
    await sidecar.waitLog("standing by");
    expect((await fetch(`${at}/health`)).status).toBe(200);
    const ready = await fetch(`${at}/ready`);
    expect([ready.status, await ready.text()]).toEqual([503, expect.stringContaining("standing by")]);
    const given = (authorization: string) => fetch(`${at}/metrics`, { headers: { authorization } });
    expect((await fetch(`${at}/metrics`)).status).toBe(401);
    expect((await given(`Bearer ${token}x`)).status).toBe(401);
    expect(await (await given(`Bearer ${token}`)).text()).toContain("\nvstore_serving 0\n");
    expect((await fetch(`${at}/`)).status).toBe(200);
    await sidecar.stop();
  });

  test.each([
    [["--http-host", "0.0.0.0"], /--http-token must be set/],
    [["--http-host", "127.0.0.1.evil.example"], /--http-token must be set/],
    [["--http-token", "short"], /at least 16 characters/],
    [[], /EADDRINUSE/],
  ])("does not start with %j on a port that is taken", async (args, reason) => {
    sidecar = startSidecar({ redisUrl: vstore.url, args: ["--http-port", String(port), ...args] });
    expect(await sidecar.exit()).toBe(2);
    expect(sidecar.stderr).toMatch(reason);
  });
});

test("while Redis is away it is healthy and not ready", async () => {
  const own = await freePort();
  const other = await startVstore({}, { args: ["--http-port", String(own)] });
  const status = async () => (await fetch(`http://127.0.0.1:${own}/ready`)).status;
  expect(await status()).toBe(200);
  await other.redis.stop();
  await until(status, (seen) => seen === 503);
  expect((await fetch(`http://127.0.0.1:${own}/health`)).status).toBe(200);
  const metrics = await (await fetch(`http://127.0.0.1:${own}/metrics`)).text();
  expect(metrics).toContain("\nvstore_serving 0\n");
  await other.sidecar.stop();
});
