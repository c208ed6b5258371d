/**
 * `make torture`: REPLIES replies of Redis in pieces, SEARCHES searches on both of their ways, RESEMBLANCES
 * collections of near-duplicates, CYCLES crashes, FAILOVERS hand-overs, crashes and cuts of two sidecars, half of them
 * on one Redis, half under Sentinels, LOOKUPS lookups of caches, OVERLOAD seconds of one beyond its MAXBYTES, KILLS
 * crashes under caches, and MUTATIONS damaged files. Ends with exit code 1 at the first loss, and prints the seed that
 * repeats it: `make torture SEED=<seed>`. In a long run every kind of crash has to happen, every fail point to be met,
 * and entries of caches to be evicted, to expire and to be deleted, or it ends with exit code 1 too.
 *
 * FROM is the number of the first mutation, 0 without it. A mutation that was reported is done again, alone, with
 * `make torture CYCLES=0 LOOKUPS=0 OVERLOAD=0 KILLS=0 SEED=<seed> FROM=<its number> MUTATIONS=1`.
 */
import { randomInt } from "node:crypto";
import { progress } from "../../src/cli/progress.ts";
import { CacheKills, describeKills } from "./caches/kills.ts";
import { describeLookups, lookUp, neverEnded } from "./caches/lookups.ts";
import { describeOverload, overload } from "./caches/overload.ts";
import { describeFailOvers, failOvers } from "./fail-overs/fail-overs.ts";
import { OneRedis } from "./fail-overs/one-redis.ts";
import { WithSentinels } from "./fail-overs/with-sentinels.ts";
import { damageInParallel } from "./parallel-damage.ts";
import { describeDamage, describeTorture, neverHappened } from "./report.ts";
import { compareWithExact } from "./resemblance.ts";
import { Torture } from "./torture.ts";
import { compareWays } from "./two-ways.ts";
import { compareXread } from "./xread.ts";

/** From here on the seed is no excuse: each fail point is tried a dozen times. */
const LONG_RUN_CYCLES = 1_000;
/** From here on entries have to end in every way. */
const LONG_RUN_LOOKUPS = 100_000;

const seed = Number(process.env.SEED || randomInt(2 ** 31));
const replies = Number(process.env.REPLIES || 200_000);
const searches = Number(process.env.SEARCHES || 1_000_000);
const resemblances = Number(process.env.RESEMBLANCES || 200);
const cycles = Number(process.env.CYCLES || 1_000);
const from = Number(process.env.FROM || 0);
const failOverCount = Number(process.env.FAILOVERS || 300);
const count = Number(process.env.MUTATIONS || 1_000_000);
const lookups = Number(process.env.LOOKUPS ?? 1_000_000);
const overloadSeconds = Number(process.env.OVERLOAD ?? 180);
const kills = Number(process.env.KILLS ?? 200);

console.log(`seed ${seed} (repeat with SEED=${seed})`);
try {
  if (cycles > 0) compareXread(seed, replies, counter("replies", replies));
  if (cycles > 0) await compareWays(seed, searches, counter("searches", searches));
  if (cycles > 0) await compareWithExact(seed, resemblances, counter("resemblances", resemblances));
  if (cycles > 0) await crash();
  if (cycles > 0) await failOver();
  if (lookups > 0) await lookUpCaches();
  if (overloadSeconds > 0) await overloadCache();
  if (kills > 0) console.log(describeKills(await CacheKills.run(seed, kills, counter("kills", kills))));
  console.log(describeDamage(await damageInParallel({ seed, from, count }, counter("mutations", count))));
} catch (error) {
  console.error((error as Error).message);
  process.exitCode = 1;
}

async function failOver(): Promise<void> {
  const places = [OneRedis, WithSentinels] as const;
  for (const [i, place] of places.entries()) {
    // Half of them in each place.
    const half = Math.floor((failOverCount + i) / places.length);
    const plan = { seed, count: half };
    console.log(describeFailOvers(await failOvers(place.open, plan, counter("fail-overs", half))));
  }
}

async function lookUpCaches(): Promise<void> {
  // Of 100,000 lookups' SETs, a quarter fits: the others are evicted, unless they have ended before.
  const size = { valueBytes: 4_000, memoryBytes: 14_000_000 };
  const plan = { lookups, tenants: 1_000, prompts: 25, connections: 4, ...size };
  const show = progress("lookups");
  const report = await lookUp(seed, plan, (done) => show(done, lookups));
  console.log(describeLookups(report));
  const missed = neverEnded(report);
  if (lookups < LONG_RUN_LOOKUPS || missed.length === 0) return;
  console.error(`${lookups} lookups have to see entries end in every way; none was ${missed.join(", ")}`);
  process.exitCode = 1;
}

async function overloadCache(): Promise<void> {
  const show = progress("seconds of overload");
  console.log(describeOverload(await overload(seed, overloadSeconds, (done) => show(done, overloadSeconds))));
}

async function crash(): Promise<void> {
  const report = await Torture.run(seed, cycles, counter("crashes", cycles));
  console.log(describeTorture(report));
  const missed = neverHappened(report);
  if (cycles < LONG_RUN_CYCLES || missed.length === 0) return;
  console.error(`${cycles} crashes have to be of every kind, never happened: ${missed.join(", ")}`);
  process.exitCode = 1;
}

function counter(what: string, total: number): () => void {
  const show = progress(what);
  let done = 0;
  if (total > 0) show(done, total);
  return () => show(++done, total);
}
