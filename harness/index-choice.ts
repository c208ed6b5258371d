/** The implementation of the index under test: the suite runs once with each, see vitest.config.ts. */
import type { IndexChoice } from "../src/engine/index/kinds.ts";

export const testIndex = (process.env.VSTORE_TEST_INDEX ?? "native") as IndexChoice;

/** Whether sidecars take their short ways: TESTED_SHORT_WAY=off has the suite run without them. */
export const testShortWay = process.env.TESTED_SHORT_WAY ?? "on";
