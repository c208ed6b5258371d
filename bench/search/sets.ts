/**
 * All engines on one set: each is built and made ready by itself, then they are searched in turn, round by round, so
 * that what slows the machine down for a while slows them all down.
 */
import * as fs from "node:fs";
import { median } from "../harness.ts";
import { medianCurve } from "./curve.ts";
import { CACHE } from "./datasets.ts";
import { engineKind } from "./engines.ts";
import type { Built, Ping, Ready, Searched, Subject } from "./measure.ts";
import { dropFromCache } from "./page-cache.ts";
import type { Entry, Skipped } from "./results.ts";
import type { Settings } from "./settings.ts";
import { type Outcome, runTask } from "./tasks.ts";

/** One engine's measurements so far. */
interface Run {
  readonly subject: Subject;
  build: Entry["build"];
  cold: Ready;
  warm: Ready;
  readonly oneCore: Searched[];
  readonly allCores: Searched[];
}

export async function measureSet(
  set: string,
  { size, engines, rounds }: Settings,
): Promise<{ entries: Entry[]; skipped: Skipped[] }> {
  const skipped: Skipped[] = [];
  let runs: Run[] = [];
  const attempt = async <T>(engine: string, work: () => Promise<T>): Promise<T | undefined> => {
    try {
      return await work();
    } catch (error) {
      const reason = (error as Error).message;
      skipped.push({ set, engine, reason });
      console.log(`${set}: ${engine} skipped: ${reason}`);
      return undefined;
    }
  };
  const work = `${CACHE}/work`;
  fs.rmSync(work, { recursive: true, force: true });
  for (const engine of engines) {
    const run = await attempt(engine, () => begin({ set, size, engine, directory: `${work}/${engine}` }));
    if (run !== undefined) runs.push(run);
  }
  for (let round = 1; round <= rounds; round++) {
    const still: Run[] = [];
    for (const run of runs) {
      console.log(`${set}: ${run.subject.engine} searches, round ${round} of ${rounds}`);
      if (await attempt(run.subject.engine, () => searchOnce(run))) still.push(run);
    }
    runs = still;
  }
  fs.rmSync(work, { recursive: true, force: true });
  return { entries: runs.map(finish), skipped };
}

async function begin(subject: Subject): Promise<Run> {
  console.log(`${subject.set}: ${subject.engine} builds`);
  const build = await buildAll(subject);
  dropFromCache(subject.directory);
  const cold = expect(await runTask({ task: "ready", ...subject }));
  const warm = expect(await runTask({ task: "ready", ...subject }));
  return { subject, build, cold, warm, oneCore: [], allCores: [] };
}

/** What is built last stays. */
async function buildAll(subject: Subject): Promise<Entry["build"]> {
  const { cores } = engineKind(subject.engine);
  const oneCore = cores === "server" ? undefined : await build(subject, "one");
  const allCores = cores === "one-thread" ? undefined : await build(subject, "all");
  return { oneCore, allCores };
}

async function build(subject: Subject, cores: "one" | "all"): Promise<Built> {
  fs.rmSync(subject.directory, { recursive: true, force: true });
  fs.mkdirSync(subject.directory, { recursive: true });
  return expect(await runTask({ task: "build", ...subject }, cores));
}

async function searchOnce({ subject, oneCore, allCores }: Run): Promise<true> {
  const { cores } = engineKind(subject.engine);
  if (cores !== "server") oneCore.push(expect(await runTask({ task: "search", ...subject }, "one")));
  if (cores !== "one-thread") allCores.push(expect(await runTask({ task: "search", ...subject })));
  return true;
}

function finish({ subject, build, cold, warm, oneCore, allCores }: Run): Entry {
  const { set, engine } = subject;
  const curve = (rounds: readonly Searched[]) =>
    rounds.length === 0 ? undefined : medianCurve(rounds.map(({ points }) => points));
  const pings = allCores.map(({ ping }) => ping).filter((ping) => ping !== undefined);
  return {
    set,
    engine,
    settings: engineKind(engine).settings,
    build,
    cold,
    warm,
    oneCore: curve(oneCore),
    allCores: curve(allCores),
    ping: medianPing(pings),
  };
}

function medianPing(pings: readonly Ping[]): Ping | undefined {
  if (pings.length === 0) return undefined;
  return { p50Ms: median(pings.map(({ p50Ms }) => p50Ms)), qps: median(pings.map(({ qps }) => qps)) };
}

function expect<T>(outcome: Outcome<T>): T {
  if ("error" in outcome) throw new Error(outcome.error);
  return outcome.ok;
}
