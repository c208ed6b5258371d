/** vstore/langchain: what LangChain.js expects of a vector store, with embeddings that count letters. */
import { Document } from "@langchain/core/documents";
import { Embeddings } from "@langchain/core/embeddings";
import { Redis } from "ioredis";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { Vstore } from "../../client/index.ts";
import { VstoreVectorStore } from "../../client/langchain.ts";
import { type Vstore as Server, startVstore } from "../../harness/sidecar.ts";

class Letters extends Embeddings {
  async embedQuery(text: string): Promise<number[]> {
    const counts = Array.from({ length: 26 }, () => 0.01);
    for (const letter of text.toLowerCase()) {
      const at = letter.charCodeAt(0) - 97;
      if (at >= 0 && at < 26) counts[at]! += 1;
    }
    return counts;
  }

  embedDocuments(texts: string[]): Promise<number[][]> {
    return Promise.all(texts.map((text) => this.embedQuery(text)));
  }
}

const documents = [
  new Document({ id: "1", pageContent: "aaaa", metadata: { year: 1999, kind: "old", tags: ["x"] } }),
  new Document({ id: "2", pageContent: "aaab", metadata: { year: 2005, kind: "new" } }),
  new Document({ id: "3", pageContent: "zzzz", metadata: { year: 2010, kind: 'a "quoted" one' } }),
];

let server: Server;
let redis: Redis;
let vstore: Vstore;
let store: VstoreVectorStore;

beforeAll(async () => {
  server = await startVstore();
  redis = new Redis(server.url);
  vstore = new Vstore(redis);
});

afterAll(async () => {
  redis?.disconnect();
  await server?.stop();
});

beforeEach(async () => {
  if ((await vstore.list()).includes("docs")) await vstore.drop("docs");
  store = await VstoreVectorStore.fromDocuments(documents, new Letters({}), { vstore, collection: "docs" });
});

const ids = (found: { id?: string | undefined }[]) => found.map(({ id }) => id);

test("finds documents with text, metadata, id and distance, nearest first", async () => {
  const found = await store.similaritySearchWithScore("aaaa", 2);
  expect(found.map(([document]) => document)).toEqual(documents.slice(0, 2));
  expect(found[0]![1]).toBeCloseTo(0, 5);
  expect(found[1]![1]).toBeGreaterThan(found[0]![1]);
});

test("fromTexts makes ids of its own, and gives each text its metadata", async () => {
  const options = { vstore, collection: "docs" };
  const texts = await VstoreVectorStore.fromTexts(
    ["qqqq", "qqqr"],
    [{ n: 1 }, { n: 2 }],
    new Letters({}),
    options,
  );
  const [first] = await texts.similaritySearch("qqqq", 1);
  expect(first).toMatchObject({
    pageContent: "qqqq",
    metadata: { n: 1 },
    id: expect.stringMatching(/^[0-9a-f-]{36}$/),
  });
});

test("adding under a known id replaces, and delete removes", async () => {
  await store.addDocuments([new Document({ pageContent: "mmmm", metadata: {} })], { ids: ["1"] });
  expect(await vstore.card("docs")).toBe(3);
  expect((await store.similaritySearch("mmmm", 1))[0]).toMatchObject({
    id: "1",
    pageContent: "mmmm",
    metadata: {},
  });
  await store.delete({ ids: ["1", "2"] });
  await store.delete({ ids: [] });
  expect(ids(await store.similaritySearch("mmmm", 10))).toEqual(["3"]);
});

describe("filters", () => {
  test.each([
    [{ kind: "new" }, ["2"]],
    [{ kind: 'a "quoted" one' }, ["3"]],
    [{ year: { $gt: 1999, $lte: 2010 } }, ["2", "3"]],
    [{ year: { $in: [1999, 2010] }, kind: { $ne: "old" } }, ["3"]],
    ['.year < 2000 or .kind == "new"', ["1", "2"]],
  ])("%j", async (filter, expected) => {
    expect(ids(await store.similaritySearch("aaaa", 10, filter)).sort()).toEqual(expected);
  });

  test("what FILTER has no words for is refused, and no part of an expression", async () => {
    await expect(store.similaritySearch("a", 1, { "year > 0 or x": 1 })).rejects.toThrow(TypeError);
    await expect(store.similaritySearch("a", 1, { year: { $regex: "x" } as never })).rejects.toThrow(
      /\$regex/,
    );
  });
});

test("maximal marginal relevance prefers what is different", async () => {
  await store.addDocuments([new Document({ pageContent: "aaaa", metadata: {} })], { ids: ["copy"] });
  const [first, second] = await store.maxMarginalRelevanceSearch("aaaa", { k: 2, fetchK: 4, lambda: 0.1 });
  expect(["1", "copy"]).toContain(first!.id);
  expect(second!.id).toBe("3");
});

test("is a retriever", async () => {
  const retriever = store.asRetriever({ k: 1, filter: { kind: "new" } });
  expect(ids(await retriever.invoke("zzzz"))).toEqual(["2"]);
});

test("more documents than one command takes", async () => {
  const many = Array.from(
    { length: 1_100 },
    (_, i) => new Document({ pageContent: `b${"c".repeat(i % 7)}`, metadata: { i } }),
  );
  expect(new Set(await store.addDocuments(many)).size).toBe(1_100);
  expect(await vstore.card("docs")).toBe(1_103);
});
