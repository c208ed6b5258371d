/** The programs of examples/: run, and held to what they print; the README shows some of them. */
import { execFile } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, expect, test } from "vitest";
import { startVstore, type Vstore } from "../../harness/sidecar.ts";

const run = promisify(execFile);
const root = new URL("../..", import.meta.url);
const text = (path: string) => readFileSync(new URL(path, root), "utf8");

let vstore: Vstore;
beforeAll(async () => {
  vstore = await startVstore();
});
afterAll(() => vstore.stop());

const runExample = (path: string, program: string) =>
  run(program, [path], { cwd: root.pathname, env: { ...process.env, REDIS_URL: vstore.redis.url } });

test.each([
  ["examples/search.mjs", process.execPath, "README.md"],
  ["examples/node-redis.mjs", process.execPath, "docs/clients.md"],
  ["examples/search.py", "/usr/bin/python3", "README.md"],
])("what %s prints stands beside it in a page", async (path, program, page) => {
  const { stdout } = await runExample(path, program);
  expect(text(page)).toContain(text(path).trimEnd());
  expect(text(page)).toContain(stdout.trimEnd());
});

test("a BullMQ producer reads the result of its job", async () => {
  const { stdout } = await runExample("examples/ingest.mjs", process.execPath);
  expect(stdout).toBe(`{
  inserted: 2,
  updated: 0,
  failedCount: 1,
  failed: [ { index: 2, reason: "ERR 'vector' must have 3 elements, got 2" } ]
}
`);
});

test("the Vercel AI SDK's embeddings are stored and found", async () => {
  const { stdout } = await runExample("examples/ai-sdk.mjs", process.execPath);
  expect(stdout.split("\n")).toEqual([
    "Which animal lies at home? The cat sleeps on the warm sofa all day",
    "What will the weather be? Rain and snow are expected in the north tomorrow",
    "",
  ]);
});

test("a stream producer in Python gets its answers, and what was refused is in the errors stream", async () => {
  const { stdout } = await runExample("examples/stream.py", "/usr/bin/python3");
  expect(stdout.replaceAll(/'\d+-\d+'/g, "id").split("\n")).toEqual([
    "{'req': id, 'ok': ':1\\r\\n'}",
    `{'req': id, 'err': "-ERR 'vector' must be 12 bytes (3 x float32), got 8\\r\\n"}`,
    "INSERT ERR 'vector' must be 12 bytes (3 x float32), got 4",
    "[['0.875', '0.0625', '0.375'], ['0', '0.625', '0.5']]",
    "",
  ]);
});

test("the semantic cache's example compares thresholds on its questions, and draws them", async () => {
  const picture = join(mkdtempSync(join(tmpdir(), "vstore-")), "thresholds.svg");
  const env = { ...process.env, REDIS_URL: vstore.redis.url, QUESTIONS: "300", PICTURE: picture };
  const { stdout } = await run(process.execPath, ["examples/semantic-cache/run.mjs"], {
    cwd: root.pathname,
    env,
  });
  const rows = stdout
    .split("\n")
    .filter((line) => /'(fixed|corrected|learnt)'/.test(line))
    .map((line) => line.split("│").map((cell) => cell.replaceAll("'", "").trim()));
  const share = (kind: string, within: string, column: number) =>
    Number.parseFloat(rows.find((row) => row[2] === kind && row[3] === within)![column]!);
  const [hits, falseHits] = [5, 7];
  expect(rows.map(([, , kind]) => kind)).toEqual([
    ...Array(7).fill("fixed"),
    ...Array(6).fill("corrected"),
    ...Array(6).fill("learnt"),
  ]);
  expect(share("fixed", "0.06", hits)).toBeGreaterThan(share("fixed", "0", hits));
  expect(share("fixed", "0.06", falseHits)).toBeGreaterThan(share("fixed", "0", falseHits));
  expect(share("learnt", "0", falseHits)).toBeLessThan(share("fixed", "0.06", falseHits));
  const svg = readFileSync(picture, "utf8");
  expect(svg.match(/<circle/g)!.length).toBe(rows.length + 3);
  rmSync(dirname(picture), { recursive: true });
});
