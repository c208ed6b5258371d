/**
 * Codes of one and two bits, on data that are hard to index, with the EF that the guide advises: each shape with one
 * metric for each.
 */
import { describe, expect, test } from "vitest";
import { testIndex } from "../../harness/index-choice.ts";
import { testSeed } from "../../harness/random.ts";
import { measureShape } from "../../harness/shape-recall.ts";
import { shapes } from "../../harness/shapes.ts";

const seed = testSeed();
const settings = { rows: 700, queries: 20, seed, index: testIndex, selfStep: 5 };
/** Those that ask the most of few bits, beyond the turns: long vectors among short ones, and an inner product. */
const hardest = [
  ["one far outlier", "IP"],
  ["magnitudes 1e-30 to 1e30 mixed", "L2"],
] as const;

describe
  .skipIf(testIndex === "portable")
  .each(shapes.map((shape, turn) => [shape.name, shape, turn] as const))(
  "%s",
  (_, { metrics, ...shape }, turn) => {
    test.each([
      ["BIN", metrics[turn % metrics.length]!],
      ["INT2", metrics[(turn + 1) % metrics.length]!],
    ] as const)("%s, %s: recall@10 is 0.98 and every vector finds itself", async (quantization, metric) => {
      const options = { dimensions: 32, metric, quantization };
      const { recall, selfFound } = await measureShape({ metrics, ...shape }, options, settings);
      expect(recall).toBeGreaterThanOrEqual(0.98);
      expect(selfFound, "found by themselves").toBe(1);
    });
  },
);

describe.skipIf(testIndex === "portable").each(hardest)("%s, %s", (name, metric) => {
  test.each(["BIN", "INT2"] as const)(
    "%s: recall@10 is 0.99 and every vector finds itself",
    async (quantization) => {
      const shape = shapes.find((each) => each.name === name)!;
      const options = { dimensions: 32, metric, quantization };
      const { recall, selfFound } = await measureShape(shape, options, settings);
      expect(recall).toBeGreaterThanOrEqual(0.99);
      expect(selfFound, "found by themselves").toBe(1);
    },
  );
});
