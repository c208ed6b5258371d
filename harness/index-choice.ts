/** The implementation of the index under test: the suite runs once with each, see vitest.config.ts. */
import type { IndexChoice } from "../src/engine/index/kinds.ts";

export const testIndex = (process.env.VSTORE_TEST_INDEX ?? "native") as IndexChoice;
