/**
 * What the index finds of data that are hard to index: for each metric, quantization and shape the recall@10 at EF 200
 * (500 for one and two bits), equal distances counted as right, and the share of the stored vectors that find
 * themselves with COUNT 1 WITHIN 0 (under IP: something as near as themselves). All shapes with 64 dimensions, real
 * word vectors, and some shapes with the dimensions of text embeddings. VECTORS, DIMENSIONS (a list), SHAPES (part of a
 * name), METRICS and QUANTS (lists) narrow it.
 */
import { measureShape, type ShapeFigures } from "../harness/shape-recall.ts";
import { type Shape, shapes } from "../harness/shapes.ts";
import { loadWords, DIMENSIONS as wordDimensions } from "../harness/words.ts";
import { indexChoices } from "../src/engine/index/choices.ts";
import { type Metric, quantizations } from "../src/engine/options.ts";
import { type Row, report } from "./harness.ts";

const list = (name: string, all: readonly string[]) => process.env[name]?.split(",") ?? all;
const rows = Number(process.env.VECTORS ?? 5_000);
const index = indexChoices.find((choice) => choice === process.env.VSTORE_INDEX) ?? "native";
const metrics = list("METRICS", ["COSINE", "L2", "IP"]);
const quants = list("QUANTS", index === "portable" ? ["F32"] : quantizations);

function rowOf(what: string, { recall, selfFound, milliseconds }: ShapeFigures): Row {
  const isMissed = recall < 0.98 || selfFound < 1;
  return {
    what,
    "recall@10": recall.toFixed(3),
    "find themselves": selfFound.toFixed(4),
    "ms/search": milliseconds.toFixed(3),
    bar: isMissed ? "MISSED" : "met",
  };
}

/** Of those that are tried with the dimensions of embeddings too. */
const EMBEDDED = ["near-duplicates, noise 1%", "duplicates mixed in", "one far outlier", "clustered"];

/** Any of them; they differ in length by how frequent they are. */
const words: Shape = {
  name: "GloVe words",
  metrics: ["COSINE", "L2", "IP"],
  make(random, _, count) {
    const { vector, words } = loadWords();
    const order = words.map((_, row) => ({ row, at: random() })).sort((a, b) => a.at - b.at);
    return Array.from({ length: count }, (_, i) => vector(order[i % order.length]!.row).slice());
  },
};

function shapesOf(dimensions: number): readonly Shape[] {
  const all = dimensions <= 64 ? shapes : shapes.filter(({ name }) => EMBEDDED.includes(name));
  return dimensions === wordDimensions ? [words] : all;
}

const ALL_DIMENSIONS = ["64", String(wordDimensions), "384", "768", "1536"];
const table: Row[] = [];
for (const dimensions of list("DIMENSIONS", ALL_DIMENSIONS).map(Number)) {
  for (const shape of shapesOf(dimensions)) {
    if (!shape.name.includes(process.env.SHAPES ?? "")) continue;
    for (const metric of shape.metrics.filter((each) => metrics.includes(each))) {
      for (const quantization of quantizations.filter((each) => quants.includes(each))) {
        const options = { dimensions, metric: metric as Metric, quantization };
        const figures = await measureShape(shape, options, { rows, index, seed: 1, queries: 100 });
        const row = rowOf(`${metric} ${quantization} ${dimensions} d, ${shape.name}`, figures);
        console.error(Object.values(row).join("  "));
        table.push(row);
      }
    }
  }
}
report({ workload: "shapes", aim: "recall@10 of 0.98, and every stored vector finds itself", rows: table });
