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
/** Under L2 few of the vectors of all magnitudes at once differ in their distance from others (bench shapes). */
const held = shapes.filter(({ name }) => name !== "magnitudes 1e-30 to 1e30 mixed");
/** So many queries that chance hardly counts: under IP one bit does not tell on which side a far outlier lies. */
const settings = { rows: 700, queries: 40, seed, index: testIndex, selfStep: 5 };

describe.skipIf(testIndex === "portable").each(held.map((shape, turn) => [shape.name, shape, turn] as const))(
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
