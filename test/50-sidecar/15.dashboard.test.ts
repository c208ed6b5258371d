/** The page in a real browser: what it shows, on a phone and in the dark too, and that everybody can use it. */
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import type { Redis } from "ioredis";
import type { Browser, Page } from "playwright-core";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { freePort } from "../../harness/free-port.ts";
import { startSidecar, startVstore, type Vstore } from "../../harness/sidecar.ts";
import { loadSample } from "../../src/bridge/client/sample.ts";
import { chromiumProgram, startBrowser } from "../harness/browser.ts";
import { fp32 } from "../harness/fp32.ts";
import { connectClient, until } from "../harness/serving.ts";

const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const weightMax = 500 * 1024;
const token = "a token that is long enough";

if (chromiumProgram === undefined)
  console.warn("no Chromium, so the page is not tested: scripts/ensure-chromium.sh");

describe.skipIf(chromiumProgram === undefined)("the page", () => {
  let vstore: Vstore;
  let redis: Redis;
  let browser: Browser;
  let page: Page;
  let url: string;
  let weight = 0;
  const complaints: string[] = [];

  beforeAll(async () => {
    const port = await freePort();
    url = `http://127.0.0.1:${port}/`;
    vstore = await startVstore({}, { args: ["--http-port", String(port)] });
    await loadSample(vstore.url, () => {});
    redis = connectClient(vstore.url);
    await redis.call(
      "VSTORE.SETATTR",
      "words",
      "queen",
      '{"rank":2,"<b>bold</b>":"<img src=x onerror=alert(1)>"}',
    );
    browser = await startBrowser();
  });

  afterEach(() => page?.close());

  afterAll(async () => {
    await browser?.close();
    redis?.disconnect();
    await vstore?.stop();
  });

  async function open(options: Parameters<Browser["newPage"]>[0] = {}): Promise<void> {
    page = await browser.newPage(options);
    complaints.length = 0;
    weight = 0;
    page.on("pageerror", (error) => complaints.push(String(error)));
    page.on("console", (message) => {
      const isOwn = message.text().includes("willReadFrequently"); // of what isDrawn does
      if (["error", "warning"].includes(message.type()) && !isOwn) complaints.push(message.text());
    });
    page.on("response", async (response) => {
      if (response.url().includes("/api/")) return;
      const { length } = await response.body();
      weight += length;
    });
    await page.goto(url);
    await page.waitForSelector("#commands td:nth-child(2)");
  }

  const texts = (selector: string) => page.locator(selector).allTextContents();

  async function searchFor(query: string, filter = ""): Promise<void> {
    await page.fill("#query", query);
    await page.fill("#filter", filter);
    await page.fill("#count", "5");
    await page.evaluate("document.getElementById('outcome').textContent = ''");
    await page.click("#search button");
    await says("#outcome", /./);
  }

  const says = (selector: string, text: RegExp) =>
    until(
      () => page.textContent(selector),
      (seen) => text.test(seen ?? ""),
    );

  /** Waits until any pixel of a canvas is drawn. */
  async function isDrawn(id: string): Promise<void> {
    const look = `(() => {
      const canvas = document.getElementById(${JSON.stringify(id)});
      if (canvas.width === 0) return false;
      return canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data.some((value) => value > 0);
    })()`;
    await until(() => page.evaluate(look), Boolean);
  }

  async function violations(): Promise<string[]> {
    await page.evaluate(axe);
    const { violations: found } = (await page.evaluate("axe.run()")) as {
      violations: { id: string; nodes: { html: string }[] }[];
    };
    return found.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).join(" ")}`);
  }

  test("shows the store, its traffic and its jobs", async () => {
    await open();
    expect(await page.textContent("#state")).toBe("serving");
    expect(await texts("#collections tr td:first-child")).toEqual(["words"]);
    expect((await texts("#collections td")).slice(1, 4)).toEqual(["10,000", "100", "COSINE"]);
    expect(await texts("#commands td:first-child")).toContain("MINSERT");
    expect(await texts("#jobs td:first-child")).toContain("vstore-checkpoint");
    for (let i = 0; i < 20; i++) await redis.call("VSTORE.SEARCH", "words", "KEY", "king");
    await isDrawn("rate");
    await says("#rate-now", /^[1-9]/);
    expect(complaints).toEqual([]);
  });

  test("shows what semantic caches have answered, once there are any", async () => {
    await open();
    expect(await page.isVisible("#caches-section")).toBe(false);
    const call = (command: string, ...words: (string | number | Buffer)[]) =>
      redis.call(`VSTORE.CACHE.${command}`, "answers", ...words);
    await call("CREATE", "DIM", 2, "WITHIN", 0.1);
    const prompt = ["PROMPT", "Capital of France?"];
    await call("SET", "FP32", fp32(1, 0), "VALUE", "x".repeat(2_048), ...prompt, "ID", "1", "COST", 1_500);
    await call("SET", "FP32", fp32(-1, 0), "VALUE", "y".repeat(1_024), "PROMPT", "why?", "COST", 500);
    await call("GET", "FP32", fp32(1, 0.1));
    await call("GET", "FP32", fp32(-1, 0), "PROMPT", "why?");
    await call("GET", "FP32", fp32(0, 1));
    await call("GET", "FP32", fp32(0, 1), "VERIFY", 1);
    await call("FEEDBACK", "1", "FALSE");
    await until(
      () => texts("#caches td"),
      (cells) => cells[8] === "1",
    );
    expect(await texts("#caches td")).toEqual([
      ...["answers", "2", "3 KiB", "2", "1", "1", "1", "50 %", "1", "2 s"],
    ]);
    expect(await page.isVisible("#caches-section")).toBe(true);
    expect(await violations()).toEqual([]);
    await redis.call("VSTORE.DROP", "answers");
    await until(
      () => page.isVisible("#caches-section"),
      (seen) => !seen,
    );
    expect(complaints).toEqual([]);
  });

  test("searches by key, by a pasted vector, and with a filter", async () => {
    await open();
    await searchFor("king");
    expect(await texts("#hits td:first-child")).toEqual(["king", "prince", "queen", "son", "brother"]);
    const vector = (await redis.call("VSTORE.GET", "words", "paris")) as string[];
    await searchFor(`[${vector.join(", ")}]`);
    expect((await texts("#hits td:first-child"))[0]).toBe("paris");
    await searchFor("king", ".rank == 2");
    expect(await texts("#hits td")).toEqual([
      "queen",
      expect.stringMatching(/^0\.249/),
      expect.stringContaining("<img"),
    ]);
    await searchFor("no such word");
    expect(await page.textContent("#outcome")).toContain("'KEY' must be a key of the collection");
    expect(complaints.filter((text) => !text.includes("400"))).toEqual([]);
  });

  test("draws a map, and searches from a point of it", async () => {
    await open();
    await page.click("#draw");
    await isDrawn("map");
    await says("#map-outcome", /^500 of 10,000 vectors$/);
    await page.click("#map");
    await says("#outcome", /nearest/);
    const [first] = await texts("#hits td:first-child");
    expect(await page.inputValue("#query")).toBe(first);
    expect(complaints).toEqual([]);
  });

  test.each([
    ["light", 1_100],
    ["dark", 390],
  ] as const)("everybody can use it in %s colours, %i pixels wide", async (colorScheme, width) => {
    await open({ colorScheme, viewport: { width, height: 800 } });
    await searchFor("king");
    await page.click("#draw");
    await isDrawn("map");
    expect(await violations()).toEqual([]);
    const wide = await page.evaluate("document.documentElement.scrollWidth");
    expect(wide).toBeLessThanOrEqual(width);
    await until(
      () => weight,
      (loaded) => loaded > 20_000,
    );
    expect(weight).toBeLessThanOrEqual(weightMax);
  });

  test("asks for the token that the sidecar wants", async () => {
    const port = await freePort();
    const args = ["--http-port", String(port)];
    const sidecar = startSidecar({ redisUrl: vstore.url, args, env: { VSTORE_HTTP_TOKEN: token } });
    await sidecar.waitLog("standing by");
    page = await browser.newPage();
    await page.goto(`http://127.0.0.1:${port}/`);
    await page.waitForSelector("#sign-in:not([hidden])");
    expect(await violations()).toEqual([]);
    expect(await page.isVisible("#content")).toBe(false);
    await page.fill("#token", token);
    await page.click("#sign-in button");
    await page.waitForSelector("#content:not([hidden])");
    expect(await page.textContent("#state")).toContain("standing by");
    await sidecar.stop();
  });
});
