/**
 * The mutations of `damage.ts`, shared among processes: opening a store waits for files about as long as it computes.
 * A mutation's number decides what it does, so the shares together are what one process would have done.
 */
import { rmSync } from "node:fs";
import { availableParallelism } from "node:os";
import type { DamageReport, Share } from "./damage.ts";
import { DamageProcess } from "./damage-process.ts";
import { scratchDirectory } from "./scratch.ts";

/** One more than there are cores, for those that wait. */
const PROCESSES = availableParallelism() + 1;

/**
 * @param onMutation called as each one begins
 * @throws Error of the first process that fails; the others are ended
 */
export async function damageInParallel(
  whole: Share,
  onMutation = () => {},
  processesMax = PROCESSES,
): Promise<DamageReport> {
  const directory = scratchDirectory("damage");
  const processes = divide(whole, processesMax).map((share) => {
    return new DamageProcess(share, `${directory}/${share.from}`, onMutation);
  });
  const reports = processes.map(({ report }) => report);
  try {
    return (await Promise.all(reports)).reduce(sum, { mutations: 0, refused: 0, intact: 0, indexes: 0 });
  } finally {
    for (const each of processes) each.kill();
    await Promise.allSettled(reports); // then no process writes to the directory any more
    rmSync(directory, { recursive: true });
  }
}

function divide({ seed, from, count }: Share, parts: number): Share[] {
  const size = Math.ceil(count / parts);
  const shares: Share[] = [];
  for (let at = from; at < from + count; at += size) {
    shares.push({ seed, from: at, count: Math.min(size, from + count - at) });
  }
  return shares;
}

function sum(a: DamageReport, b: DamageReport): DamageReport {
  return {
    mutations: a.mutations + b.mutations,
    refused: a.refused + b.refused,
    intact: a.intact + b.intact,
    indexes: a.indexes + b.indexes,
  };
}
