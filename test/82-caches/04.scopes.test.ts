/**
 * Lookups of many tenants, whose questions are nearly the same, while entries are written, expire, are evicted and are
 * deleted by their tag: no answer is another tenant's, beyond its distance, expired, or of a deleted tag, and exact
 * repeats are found. `make torture` does the same with a million.
 */
import { expect, test } from "vitest";
import { testSeed } from "../../harness/random.ts";
import { lookUp } from "../torture/caches/lookups.ts";

test("no wrong scope, none too far, none expired, none of a deleted tag; exact repeats are found", async () => {
  const size = { valueBytes: 16_000, memoryBytes: 2_500_000 };
  const plan = { lookups: 3_000, tenants: 40, prompts: 25, connections: 2, ...size };
  const report = await lookUp(testSeed(), plan);
  expect(report.hits).toBeGreaterThan(plan.lookups / 100);
  expect(report.exact).toBeGreaterThan(0);
  expect(report.repeats).toBeGreaterThan(plan.lookups / 20);
  expect(report.deletions).toBeGreaterThan(0);
});
