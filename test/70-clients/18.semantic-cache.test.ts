/** SemanticCache of vstore/client, and its adapters for LangChain.js and the AI SDK, with an embedding of letters. */
import { HumanMessage } from "@langchain/core/messages";
import { FakeListChatModel } from "@langchain/core/utils/testing";
import { generateText, streamText, wrapLanguageModel } from "ai";
import { MockLanguageModelV3, simulateReadableStream } from "ai/test";
import { Redis } from "ioredis";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { createForAiSdk, semanticCacheMiddleware } from "../../client/ai-sdk.ts";
import { SemanticCache } from "../../client/index.ts";
import { VstoreCache } from "../../client/langchain.ts";
import { type Vstore as Server, startVstore } from "../../harness/sidecar.ts";

const letters = 26;

function embed(text: string): number[] {
  const counts = Array.from({ length: letters }, () => 0.01);
  for (const letter of text.toLowerCase()) {
    const at = letter.charCodeAt(0) - 97;
    if (at >= 0 && at < letters) counts[at]! += 1;
  }
  return counts;
}

let server: Server;
let redis: Redis;
let cache: SemanticCache;
let number = 0;
const acme = { scope: { tenant: "acme" } };

beforeAll(async () => {
  server = await startVstore();
  redis = new Redis(server.url);
});
afterAll(async () => {
  redis?.disconnect();
  await server?.stop();
});
beforeEach(() => {
  cache = new SemanticCache(redis, `cache${++number}`, { embed });
});

async function collect(pieces: AsyncIterable<string>): Promise<string[]> {
  const all: string[] = [];
  for await (const piece of pieces) all.push(piece);
  return all;
}

describe("SemanticCache", () => {
  beforeEach(() => cache.create({ dim: letters, scope: ["tenant"], within: 0.02, ex: 3_600 }));

  test("get, set, feedback, delete and info", async () => {
    await cache.create({ dim: letters });
    const id = await cache.set("capital of france", "Paris", { ...acme, tags: ["geo"], cost: 100 });
    expect(await cache.get(" capital of  france", acme)).toMatchObject({
      status: "exact",
      id,
      value: "Paris",
    });
    const near = await cache.get("capital of frances", acme);
    expect(near).toMatchObject({ status: "hit", value: "Paris" });
    expect(await cache.get("capital of france", { scope: { tenant: "globex" } })).toBeUndefined();
    expect(await cache.feedback(id, "FALSE", near!.distance)).toBeLessThan(near!.distance);
    expect(await cache.get("capital of frances", acme)).toBeUndefined();
    expect(await cache.info()).toMatchObject({
      entries: 1,
      hits: 2,
      exact_hits: 1,
      misses: 2,
      false_hits: 1,
      saved_ms: 200,
      within: 0.02,
    });
    expect(await cache.delete({ tag: "geo" })).toBe(1);
    expect(await cache.get("capital of france", acme)).toBeUndefined();
    await expect(cache.get("anything")).rejects.toThrow("'tenant' is missing");
  });

  test("a thousand concurrent misses of one question call the function once", async () => {
    let calls = 0;
    const ask = cache.wrap(async (question) => {
      calls++;
      return `the answer to ${question}`;
    });
    const answers = await Promise.all(Array.from({ length: 1_000 }, () => ask("why?", acme)));
    expect(new Set(answers)).toEqual(new Set(["the answer to why?"]));
    expect(calls).toBe(1);
    await ask("why?", acme);
    await ask("why?", { scope: { tenant: "globex" } });
    expect(calls).toBe(2);
  });

  test("an error of the function is every caller's, and is not kept", async () => {
    let calls = 0;
    const ask = cache.wrap(async () => {
      if (++calls === 1) throw new Error("the model is down");
      return "fine";
    });
    const both = await Promise.allSettled([ask("q", acme), ask("q", acme)]);
    expect(both.map(({ status }) => status)).toEqual(["rejected", "rejected"]);
    expect(await ask("q", acme)).toBe("fine");
  });

  test("an error of the cache calls the function, and is told", async () => {
    const errors: unknown[] = [];
    const broken = new SemanticCache(redis, "missing", { embed, onError: (error) => errors.push(error) });
    expect(await broken.wrap(async () => "by the model")("q")).toBe("by the model");
    expect(String(errors[0])).toContain("no collection 'missing'");
  });

  test("a scope whose value is missing is refused, and shares nothing", async () => {
    const unknown = { scope: { tenant: undefined as unknown as string } };
    await expect(cache.set("q", "secret", unknown)).rejects.toThrow("'scope' must be a string");
    await expect(cache.get("q", unknown)).rejects.toThrow("'scope' must be a string");
    await expect(cache.delete(unknown)).rejects.toThrow("'scope' must be a string");
    await expect(cache.delete({ scope: {} })).rejects.toThrow("'scope' must name at least one field");
    expect(await cache.delete({ ids: [] })).toBe(0);
    let calls = 0;
    const ask = cache.wrap(async () => String(++calls));
    const answers = await Promise.all([ask("q", unknown), ask("q", unknown)]);
    expect(answers.sort()).toEqual(["1", "2"]);
    expect(await cache.info()).toMatchObject({ entries: 0 });
  });

  test("a stream is kept once it was read to its end", async () => {
    let calls = 0;
    const ask = cache.wrapStream(async function* () {
      calls++;
      yield* ["one ", "two ", "three"];
    });
    for await (const piece of ask("count", acme)) if (piece === "two ") break;
    expect(await collect(ask("count", acme))).toEqual(["one ", "two ", "three"]);
    expect(await collect(ask("count", acme))).toEqual(["one two three"]);
    expect(calls).toBe(2);
  });

  test("concurrent streams of one question are one, each from its beginning", async () => {
    let calls = 0;
    const ask = cache.wrapStream(async function* () {
      calls++;
      yield* ["one ", "two ", "three"];
    });
    const first = ask("count", acme);
    expect(await first.next()).toEqual({ done: false, value: "one " });
    const late = Array.from({ length: 200 }, () => collect(ask(" count ", acme)));
    const other = collect(ask("count", { scope: { tenant: "other" } }));
    expect(await Promise.all(late)).toEqual(late.map(() => ["one ", "two ", "three"]));
    expect(await collect(first)).toEqual(["two ", "three"]);
    expect(await other).toEqual(["one ", "two ", "three"]);
    expect(calls).toBe(2);
    expect(await collect(ask("count", acme))).toEqual(["one two three"]);
  });

  test("an error of a shared stream reaches all, and the next call begins anew", async () => {
    let calls = 0;
    const ask = cache.wrapStream(async function* () {
      yield "half";
      if (calls++ === 0) throw new Error("broken off");
    });
    const read = async () => {
      const pieces: string[] = [];
      const failed = await (async () => {
        for await (const piece of ask("count", acme)) pieces.push(piece);
      })().catch((error: Error) => error.message);
      return [...pieces, failed];
    };
    expect(await Promise.all([read(), read()])).toEqual([
      ["half", "broken off"],
      ["half", "broken off"],
    ]);
    expect(await read()).toEqual(["half", undefined]);
    expect(await collect(ask("count", acme))).toEqual(["half"]);
    expect(calls).toBe(2);
  });

  test("a shared stream goes on until its last reader leaves", async () => {
    let [calls, ended] = [0, 0];
    const ask = cache.wrapStream(async function* () {
      calls++;
      try {
        for (let i = 0; ; i++) yield `${i} `;
      } finally {
        ended++;
      }
    });
    const [first, second] = [ask("count", acme), ask("count", acme)];
    await Promise.all([first.next(), second.next()]);
    await first.return();
    expect(await second.next()).toEqual({ done: false, value: "1 " });
    expect(ended).toBe(0);
    await second.return();
    expect(ended).toBe(1);
    const third = ask("count", acme);
    expect(await third.next()).toEqual({ done: false, value: "0 " });
    await third.return();
    expect(calls).toBe(2);
  });
});

describe("LangChain.js", () => {
  test("a model with the cache answers a like question from it, and another model does not", async () => {
    await VstoreCache.create(cache, { dim: letters, within: 0.02 });
    const withCache = new VstoreCache({ cache, ex: 100 });
    const model = new FakeListChatModel({ responses: ["first", "second", "third"], cache: withCache });
    expect((await model.invoke([new HumanMessage("capital of france")])).content).toBe("first");
    expect((await model.invoke([new HumanMessage("capital of frances")])).content).toBe("first");
    expect((await model.invoke([new HumanMessage("how many moons has jupiter")])).content).toBe("second");
    expect(await withCache.lookup("Human: capital of france", "another model")).toBeNull();
  });
});

describe("the AI SDK", () => {
  const usage = {
    inputTokens: { total: 1, noCache: 1, cacheRead: 0, cacheWrite: 0 },
    outputTokens: { total: 1, text: 1, reasoning: 0 },
  };
  const finishReason = { unified: "stop" as const, raw: "stop" };

  beforeEach(() => createForAiSdk(cache, { dim: letters, within: 0.02 }));

  test("generateText asks the model once for like questions of the same conversation", async () => {
    let calls = 0;
    const mock = new MockLanguageModelV3({
      doGenerate: async () => ({
        content: [{ type: "text", text: `answer ${++calls}` }],
        finishReason,
        usage,
        warnings: [],
      }),
    });
    const model = wrapLanguageModel({ model: mock, middleware: semanticCacheMiddleware(cache, { ex: 100 }) });
    const ask = async (prompt: string, system: string) =>
      (await generateText({ model, prompt, system })).text;
    expect(await ask("capital of france", "be brief")).toBe("answer 1");
    expect(await ask("capital of frances", "be brief")).toBe("answer 1");
    expect(await ask("capital of france", "be rude")).toBe("answer 2");
  });

  test("streamText gives a kept answer as a stream", async () => {
    let calls = 0;
    const mock = new MockLanguageModelV3({
      doStream: async () => ({
        stream: simulateReadableStream({
          chunks: [
            { type: "stream-start", warnings: [] },
            { type: "text-start", id: "1" },
            { type: "text-delta", id: "1", delta: `answer ` },
            { type: "text-delta", id: "1", delta: String(++calls) },
            { type: "text-end", id: "1" },
            { type: "finish", finishReason, usage },
          ],
        }),
      }),
    });
    const model = wrapLanguageModel({ model: mock, middleware: semanticCacheMiddleware(cache) });
    const ask = async (prompt: string) => (await collect(streamText({ model, prompt }).textStream)).join("");
    expect(await ask("capital of france")).toBe("answer 1");
    expect(await ask("capital of frances")).toBe("answer 1");
    expect(calls).toBe(1);
  });
});
