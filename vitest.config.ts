import { existsSync, readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { defineConfig } from "vitest/config";
import { BaseSequencer, type TestSpecification } from "vitest/node";

/** What the portable index has to pass too: the store's tests that ask which index to use, and some of the sidecar. */
const storeTests = readdirSync("test/20-store").map((name) => `test/20-store/${name}`);
const indexTests = [
  ...storeTests.filter((file) => readFileSync(file, "utf8").includes("index-choice.ts")),
  "test/50-sidecar/*.{serving,compactions}.test.ts",
];

/** What the module does in another way on newer servers: post-notification jobs, ACL categories, slots kept apart. */
const newerServerTests = [
  "test/87-cluster/*.slots-apart.test.ts",
  "test/60-module/*.{multi-scripts,commands,lifecycle}.test.ts",
  "test/80-keys-and-queues/*.{follow,follow-hash,follow-order,databases}.test.ts",
  "test/95-what-goes-wrong/*.paused-writes.test.ts",
  // Minutes, so only `make torture` runs them there.
  ...(process.env.VSTORE_TEST_LONG
    ? [
        "test/80-keys-and-queues/*.follow-losses.test.ts",
        "test/82-caches/*.agreement.test.ts",
        "test/87-cluster/*.{nodes,shards}.test.ts",
      ]
    : []),
];
/** There where the installed redis-server has none: scripts/ensure-newer-server.sh. */
const newerServer = fileURLToPath(new URL(".cache/valkey/usr/bin/valkey-server", import.meta.url));

/** Begun last, these would run alone at the end. */
const LONGEST =
  /\.(torture|damage|tarball|compaction|follow-losses|ingest-crashes|snapshots|fail-overs)\.test\.ts$/;

class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const sorted = await super.sort(files);
    const isLong = ({ moduleId }: TestSpecification) => LONGEST.test(moduleId);
    return [...sorted.filter(isLong), ...sorted.filter((file) => !isLong(file))];
  }
}

export default defineConfig({
  test: {
    pool: "forks",
    globalSetup: ["test/harness/sweep.ts", "test/harness/joined-program.ts"],
    // For two cores: half of their time test files wait for timers and disks.
    maxWorkers: 4,
    sequence: { sequencer: LongestFirst },
    // Patience, not a promise: on a machine under load 8 the longest takes five times as long.
    testTimeout: 180_000,
    hookTimeout: 180_000,
    projects: [
      { extends: true, test: { name: "native", include: ["test/**/*.test.ts"] } },
      {
        extends: true,
        test: { name: "portable", include: indexTests, env: { VSTORE_TEST_INDEX: "portable" } },
      },
      ...(existsSync(newerServer)
        ? [
            {
              extends: true as const,
              test: {
                name: "newer server",
                include: newerServerTests,
                env: { REDIS_SERVER: newerServer, VSTORE_TEST_SERVER: "newer" },
              },
            },
          ]
        : []),
    ],
  },
});
