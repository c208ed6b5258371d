import { readFileSync } from "node:fs";
import { embed, embedMany } from "ai";
import { Redis } from "ioredis";
import { Vstore } from "vstore/client";

// A model of your provider comes here, such as openai.embeddingModel("text-embedding-3-small"). This one is made of
// the word vectors in examples/words: a text is the mean of its words.
const file = (name) => readFileSync(new URL(`words/${name}`, import.meta.url));
const rows = new Map(
  String(file("words-10k.txt"))
    .trimEnd()
    .split("\n")
    .map((word, row) => [word, row]),
);
// Every 20 components are a scale and 20 signed bytes.
const bytes = file("words-10k.i8");
const component = (word, i) => {
  const group = (rows.get(word) * 5 + Math.floor(i / 20)) * 24;
  return bytes.readFloatLE(group) * bytes.readInt8(group + 4 + (i % 20));
};
const vectorOf = (text) => {
  const known = (text.toLowerCase().match(/\w+/g) ?? []).filter((word) => rows.has(word));
  return Array.from(
    { length: 100 },
    (_, i) => known.reduce((sum, word) => sum + component(word, i), 0) / known.length,
  );
};
const model = {
  specificationVersion: "v3",
  provider: "local",
  modelId: "mean-of-words",
  maxEmbeddingsPerCall: 100,
  supportsParallelCalls: true,
  doEmbed: async ({ values }) => ({ embeddings: values.map(vectorOf), warnings: [] }),
};

const redis = new Redis(process.env.REDIS_URL ?? "redis://127.0.0.1:6379");
const vstore = new Vstore(redis, { batch: true });
const texts = [
  "The cat sleeps on the warm sofa all day",
  "The bank raised the interest on loans again",
  "Rain and snow are expected in the north tomorrow",
];

const { embeddings } = await embedMany({ model, values: texts });
await vstore.create("notes", { dim: 100, nx: true });
await Promise.all(
  texts.map((text, i) => vstore.insert("notes", `note:${i}`, embeddings[i], { attributes: { text } })),
);

for (const question of ["Which animal lies at home?", "What will the weather be?"]) {
  const { embedding } = await embed({ model, value: question });
  const [nearest] = await vstore.search("notes", embedding, { count: 1, withAttrs: true });
  // generateText({ model: …, prompt: `${nearest.attributes.text}\n\n${question}` }) would go on from here.
  console.log(`${question} ${nearest.attributes.text}`);
}
redis.disconnect();
