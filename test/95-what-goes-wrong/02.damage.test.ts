/** Damaged files: a collection is right or it is refused. `make torture` does the same for longer. */
import { expect, test } from "vitest";
import { testSeed } from "../../harness/random.ts";
import { damageInParallel } from "../torture/parallel-damage.ts";
import { describeDamage } from "../torture/report.ts";

const MUTATIONS = 800;
const TEST_MS_MAX = 10 * 60_000;

test(
  `${MUTATIONS} mutations are refused by file and offset, or do no harm`,
  async () => {
    // In one other process, as the runner of the tests does not notice that a test loops for ever.
    const share = { seed: testSeed(), from: 0, count: MUTATIONS };
    const report = await damageInParallel(share, undefined, 1);
    console.log(describeDamage(report));
    expect(report.mutations).toBe(MUTATIONS);
    for (const outcome of [report.refused, report.intact, report.indexes]) {
      expect(outcome).toBeGreaterThan(MUTATIONS / 50);
    }
  },
  TEST_MS_MAX,
);
