/**
 * `make torture`: CYCLES crashes and MUTATIONS damaged files. Ends with exit code 1 at the first loss, and prints the
 * seed that repeats it: `make torture SEED=<seed>`.
 */
import { randomInt } from "node:crypto";
import { progress } from "../../src/progress.ts";
import { damageInParallel } from "./parallel-damage.ts";
import { describeDamage, describeTorture } from "./report.ts";
import { Torture } from "./torture.ts";

const seed = Number(process.env.SEED || randomInt(2 ** 31));
const cycles = Number(process.env.CYCLES || 1_000);
const mutations = Number(process.env.MUTATIONS || 1_000_000);

console.log(`seed ${seed} (repeat with SEED=${seed})`);
try {
  console.log(describeTorture(await Torture.run(seed, cycles, counter("crashes", cycles))));
  console.log(describeDamage(await damageInParallel(seed, mutations, counter("mutations", mutations))));
} catch (error) {
  console.error((error as Error).message);
  process.exitCode = 1;
}

function counter(what: string, total: number): () => void {
  const show = progress(what);
  let done = 0;
  if (total > 0) show(done, total);
  return () => show(++done, total);
}
