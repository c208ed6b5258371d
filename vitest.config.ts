import { defineConfig } from "vitest/config";

/** What the portable index has to pass too: everything that depends on the index. */
const indexTests = ["test/2[0-5]*.test.ts", "test/51*.test.ts", "test/52*.test.ts", "test/56*.test.ts"];

export default defineConfig({
  test: {
    pool: "forks",
    // Two cores: more test files at once would only make the real servers they start time out.
    maxWorkers: 2,
    testTimeout: 60_000,
    hookTimeout: 60_000,
    projects: [
      { extends: true, test: { name: "native", include: ["test/**/*.test.ts"] } },
      {
        extends: true,
        test: { name: "portable", include: indexTests, env: { VSTORE_TEST_INDEX: "portable" } },
      },
    ],
  },
});
