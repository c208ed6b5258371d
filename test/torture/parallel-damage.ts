/**
 * The mutations of `damage.ts`, shared among processes: opening a store waits for files about as long as it computes.
 * A mutation's number decides what it does, so the shares together are what one process would have done.
 */
import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { availableParallelism } from "node:os";
import { fileURLToPath } from "node:url";
import type { DamageReport } from "./damage.ts";

/** One more than there are cores, for those that wait. */
const WORKERS = availableParallelism() + 1;
/** Small heaps, collected often: the collector's own threads would take the cores from the other workers. */
const WORKER_FLAGS = ["--single-threaded-gc"];

type Message = "mutation" | DamageReport | { failure: string };

/** @throws Error of the first worker that fails; the others are ended */
export async function damageInParallel(
  seed: number,
  count: number,
  onMutation: () => void,
): Promise<DamageReport> {
  const workers: ChildProcess[] = [];
  const share = Math.ceil(count / WORKERS);
  const reports: Promise<DamageReport>[] = [];
  for (let from = 0; from < count; from += share) {
    const worker = startWorker(seed, Math.min(share, count - from), from);
    workers.push(worker);
    reports.push(reportOf(worker, onMutation));
  }
  try {
    return (await Promise.all(reports)).reduce(sum, { mutations: 0, refused: 0, intact: 0, indexes: 0 });
  } finally {
    for (const worker of workers) worker.kill();
  }
}

function startWorker(seed: number, count: number, from: number): ChildProcess {
  const program = fileURLToPath(new URL("./damage-worker.ts", import.meta.url));
  const execArgv = [...process.execArgv, ...WORKER_FLAGS];
  return fork(program, [seed, count, from].map(String), { execArgv });
}

async function reportOf(worker: ChildProcess, onMutation: () => void): Promise<DamageReport> {
  let last: Exclude<Message, "mutation"> | undefined;
  worker.on("message", (message: Message) => {
    if (message === "mutation") onMutation();
    else last = message;
  });
  const [code, signal] = await once(worker, "close");
  if (last === undefined) throw new Error(`a process of mutations ended by itself: ${signal ?? code}`);
  if ("failure" in last) throw new Error(last.failure);
  return last;
}

function sum(a: DamageReport, b: DamageReport): DamageReport {
  return {
    mutations: a.mutations + b.mutations,
    refused: a.refused + b.refused,
    intact: a.intact + b.intact,
    indexes: a.indexes + b.indexes,
  };
}
