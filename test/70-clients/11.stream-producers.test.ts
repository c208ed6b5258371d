/** A stream client in another language: clients/stream_producer.py appends to a log with redis-py, Debian's package. */
import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { afterAll, beforeAll, expect, test } from "vitest";
import { startVstore, type Vstore } from "../../harness/sidecar.ts";

const run = promisify(execFile);
const program = fileURLToPath(new URL("../clients/stream_producer.py", import.meta.url));

let vstore: Vstore;
beforeAll(async () => {
  vstore = await startVstore();
});
afterAll(() => vstore.stop());

test("what it appends is applied and answered; what is malformed is reported, and never stops the log", async () => {
  const { stderr } = await run("/usr/bin/python3", ["-B", program, String(vstore.port)]);
  expect(stderr).toMatch(/\nRan \d tests in [\d.]+s\n\nOK\n$/);
});
