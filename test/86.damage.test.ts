/** Damaged files: a collection is right or it is refused. `make torture` does the same for longer. */
import { expect, test } from "vitest";
import { testSeed } from "./harness/random.ts";
import { damage } from "./torture/damage.ts";
import { describeDamage } from "./torture/report.ts";

const MUTATIONS = 10_000;
const TEST_MS_MAX = 10 * 60_000;

test(
  `${MUTATIONS} mutations are refused by file and offset, or do no harm`,
  async () => {
    const report = await damage(testSeed(), MUTATIONS);
    console.log(describeDamage(report));
    expect(report.mutations).toBe(MUTATIONS);
    for (const outcome of [report.refused, report.intact, report.indexes]) {
      expect(outcome).toBeGreaterThan(MUTATIONS / 50);
    }
  },
  TEST_MS_MAX,
);
