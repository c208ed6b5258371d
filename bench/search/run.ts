/**
 * Compares vstore with other engines on the same vectors, queries and graph settings, in one run: `npm run
 * bench:search`. settings.ts says what can be chosen. Everything that runs is reported, everything that cannot is named
 * with the reason.
 */
import * as fs from "node:fs";
import { fileURLToPath } from "node:url";
import { bars } from "./bars.ts";
import { charts } from "./charts.ts";
import { CACHE, dataset, datasetNames, prepare } from "./datasets.ts";
import { engineNames } from "./engines.ts";
import { writePage, writePictures } from "./pictures.ts";
import type { Entry, Results, Skipped } from "./results.ts";
import { measureSet } from "./sets.ts";
import { EF_CONSTRUCTION, K, M, queriesOf, readSettings } from "./settings.ts";
import { barRows, curves, summary } from "./tables.ts";
import { type Answers, runTask, type Task } from "./tasks.ts";

const settings = readSettings(datasetNames, engineNames);
const path = (relative: string) => fileURLToPath(new URL(relative, import.meta.url));

async function must<T extends Task>(task: T): Promise<Answers[T["task"]]> {
  const outcome = await runTask(task);
  if ("error" in outcome) throw new Error(`${task.task}: ${outcome.error}`);
  return outcome.ok;
}

async function measure(): Promise<Results> {
  const { size, rounds } = settings;
  const before = await must({ task: "calibrate" });
  console.table([before]);
  const entries: Entry[] = [];
  const skipped: Skipped[] = [];
  for (const name of settings.sets) {
    prepare(dataset(name), size);
    const measured = await measureSet(name, settings);
    entries.push(...measured.entries);
    skipped.push(...measured.skipped);
  }
  const scan = settings.engines.some((name) => name.startsWith("vstore"))
    ? await must({ task: "scan", size })
    : undefined;
  return {
    date: new Date().toISOString(),
    node: process.version,
    settings: { size, queries: queriesOf(size), k: K, M, efConstruction: EF_CONSTRUCTION, rounds },
    calibration: { before, after: await must({ task: "calibrate" }) },
    entries,
    skipped,
    scan,
    bars: bars(entries, size, scan),
  };
}

function write(results: Results): void {
  fs.writeFileSync(path(`../results/${settings.name}.json`), `${JSON.stringify(results, undefined, 1)}\n`);
  const tables = {
    Bars: barRows(results),
    Engines: summary(results),
    Machine: [
      { when: "before", ...results.calibration.before },
      { when: "after", ...results.calibration.after },
    ],
    "Every point": curves(results),
    Skipped: results.skipped.map((each) => ({ ...each })),
  };
  for (const [title, rows] of Object.entries(tables)) {
    console.log(`\n${title}`);
    console.table(rows);
  }
  if (results.scan !== undefined) console.log(results.scan);
  writePage(path(`../results/${settings.name}.html`), charts(results), tables);
  writePictures(path(`../../docs/pictures/${settings.name}`), charts(results));
}

fs.mkdirSync(CACHE, { recursive: true });
write(await measure());
