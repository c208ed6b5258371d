/** Data that are hard to index, small: what the index finds of them, and that every stored vector finds itself. */
import { describe, expect, test } from "vitest";
import { testIndex } from "../../harness/index-choice.ts";
import { testSeed } from "../../harness/random.ts";
import { measureShape } from "../../harness/shape-recall.ts";
import { shapes } from "../../harness/shapes.ts";
import type { Quantization } from "../../src/engine/options.ts";

const seed = testSeed();
/** The portable index keeps float32, whatever is asked for. Codes of one and two bits have a file of their own. */
const quantizationsOf = (turn: number): readonly Quantization[] =>
  testIndex === "portable" ? ["F32"] : ["INT8", "INT4", turn % 2 === 0 ? "F16" : "F32"];

describe.each(shapes.map((shape) => [shape.name, shape] as const))("%s", (_, shape) => {
  const turn = shapes.indexOf(shape);
  for (const [at, metric] of shape.metrics.entries()) {
    test(`${metric}: recall@10 is 0.98 and every vector finds itself`, async () => {
      for (const quantization of quantizationsOf(turn + at)) {
        const options = { dimensions: 32, metric, quantization };
        const settings = { rows: 400, queries: 20, seed, index: testIndex };
        const { recall, selfFound } = await measureShape(shape, options, settings);
        expect(recall, `recall of ${quantization}`).toBeGreaterThanOrEqual(0.98);
        expect(selfFound, `found by themselves, ${quantization}`).toBe(1);
      }
    });
  }
});
