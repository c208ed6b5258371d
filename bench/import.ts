/**
 * `vstore import` of an .fvecs file as a process of its own, beside two ceilings over as many connections, with batches
 * of the same size: MINSERT of rows that are in memory already, and XADD of the very same entries until a reader that
 * throws them away has read the last one. Memory of the process is looked at while it imports.
 */
import { type ChildProcess, fork, spawn } from "node:child_process";
import { once } from "node:events";
import * as fs from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { Redis } from "ioredis";
import type { Task } from "./discard.ts";
import { alternate, type Row, rate, report, thousands } from "./harness.ts";
import { type Argument, asEntry, randomBlobs, share, withClients, withVstore } from "./through-redis.ts";

const DIMENSIONS = 128;
/** IMPORT_VECTORS=100000 makes it short. */
const VECTORS = Number(process.env.IMPORT_VECTORS ?? 1_000_000);
const BATCH_VECTORS = 500;
const ROUNDS = 3;
const CONNECTIONS = 8;
const STREAM = "bench:ceiling";
const SAMPLE_MS = 100;
const program = fileURLToPath(new URL("../dist/cli.js", import.meta.url));

const batches = Math.ceil(VECTORS / BATCH_VECTORS);
const blobs = randomBlobs(16, BATCH_VECTORS, DIMENSIONS);

function writeFile(path: string): void {
  const descriptor = fs.openSync(path, "w");
  for (let batch = 0; batch < batches; batch++) {
    const rows = Math.min(BATCH_VECTORS, VECTORS - batch * BATCH_VECTORS);
    const block = Buffer.alloc(rows * (4 + DIMENSIONS * 4));
    for (let row = 0; row < rows; row++) {
      const start = row * (4 + DIMENSIONS * 4);
      block.writeInt32LE(DIMENSIONS, start);
      blobs[batch % blobs.length]!.copy(block, start + 4, row * DIMENSIONS * 4, (row + 1) * DIMENSIONS * 4);
    }
    fs.writeSync(descriptor, block);
  }
  fs.closeSync(descriptor);
}

/** Resident MiB of the process that imports: after a tenth of the time, and at most. */
const memory: { early: number; most: number }[] = [];

/** Vectors per second, the start of the program included. */
async function imported(url: string, file: string): Promise<number> {
  const samples: number[] = [];
  const result = await rate(VECTORS, async () => {
    const args = [program, "import", "bench", file, "--create", "--metric", "L2", "--redis-url", url];
    const child = spawn(process.execPath, args, { stdio: ["ignore", "ignore", "pipe"] });
    let stderr = "";
    child.stderr.on("data", (data) => {
      stderr += data;
    });
    const timer = setInterval(() => samples.push(residentMib(child.pid!)), SAMPLE_MS);
    const [code] = await once(child, "exit");
    clearInterval(timer);
    if (code !== 0) throw new Error(`vstore import ended with ${code}: ${stderr}`);
  });
  const whole = samples.filter((sample) => sample > 0);
  memory.push({ early: whole[Math.floor(whole.length / 10) + 5] ?? 0, most: Math.max(0, ...whole) });
  return result;
}

function residentMib(pid: number): number {
  try {
    return Number(/^VmRSS:\s+(\d+)/m.exec(fs.readFileSync(`/proc/${pid}/status`, "utf8"))?.[1] ?? 0) / 1024;
  } catch {
    return 0;
  }
}

function args(batch: number): Argument[] {
  const rows = Math.min(BATCH_VECTORS, VECTORS - batch * BATCH_VECTORS);
  const keys = Array.from({ length: rows }, (_, i) => String(batch * BATCH_VECTORS + i));
  return ["bench", rows, ...keys, "FP32", blobs[batch % blobs.length]!.subarray(0, rows * DIMENSIONS * 4)];
}

async function minserts(clients: readonly Redis[]): Promise<number> {
  await clients[0]!.call("VSTORE.CREATE", "bench", "DIM", DIMENSIONS, "METRIC", "L2");
  return rate(VECTORS, () =>
    share(clients, batches, (each, batch) => each.call("VSTORE.MINSERT", ...args(batch))),
  );
}

async function discarded(clients: readonly Redis[], reader: ChildProcess): Promise<number> {
  const result = await rate(VECTORS, async () => {
    reader.send({ stream: STREAM, entries: batches } satisfies Task);
    const isRead = once(reader, "message");
    await share(clients, batches, async (each, batch) => {
      await each.call("XADD", ...asEntry(STREAM, "MINSERT", args(batch)));
    });
    await isRead;
  });
  await clients[0]!.unlink(STREAM);
  return result;
}

const directory = fs.mkdtempSync(join(tmpdir(), "vstore-bench-"));
const file = join(directory, "base.fvecs");
try {
  writeFile(file);
  await withVstore(async ({ url }) => {
    const reader = fork(fileURLToPath(new URL("discard.ts", import.meta.url)), [url]);
    const rows: Row[] = [];
    await withClients(url, CONNECTIONS, async (clients) => {
      const dropped = async (round: Promise<number>) => {
        const result = await round;
        await clients[0]!.call("VSTORE.DROP", "bench");
        return result;
      };
      const ceilings = [
        ["MINSERT from memory", () => dropped(minserts(clients))],
        ["XADD and a reader", () => discarded(clients, reader)],
      ] as const;
      for (const [what, ceiling] of ceilings) {
        const measured = await alternate(ROUNDS, () => dropped(imported(url, file)), ceiling);
        rows.push({
          beside: what,
          "vectors/s": thousands(measured.ours),
          "ceiling/s": thousands(measured.ceiling),
          ratio: measured.ratio.toFixed(2),
          "MiB early": Math.round(Math.max(...memory.map(({ early }) => early))),
          "MiB at most": Math.round(Math.max(...memory.map(({ most }) => most))),
        });
      }
    }).finally(() => reader.disconnect());
    const aim = `0.6 of the MINSERT ceiling, memory flat; ${thousands(VECTORS)} vectors, ${CONNECTIONS} connections`;
    report({ workload: "import", aim, rows });
  });
} finally {
  fs.rmSync(directory, { recursive: true, force: true });
}
