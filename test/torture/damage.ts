/**
 * Damages the files of a small store, again and again, and opens it. Each collection must either have exactly the
 * contents that were written, or be refused with the file and the offset; the others must not suffer. A number gives a
 * mutation of its own: whatever is found is found again with the same seed and number. Who waits for a mutation that
 * never ends is the process outside, see `damage-process.ts`.
 */
import * as fs from "node:fs";
import { setImmediate as nextTurn } from "node:timers/promises";
import { generator } from "../../harness/random.ts";
import { Catalog } from "../../src/engine/catalog.ts";
import type { Collection } from "../../src/engine/collection.ts";
import { DamagedFileError } from "../../src/errors.ts";
import { assertContents } from "./damage-contents.ts";
import { createSpecimen, type Specimen } from "./damage-specimen.ts";
import { type Changes, mutate } from "./mutations.ts";

/** Files that may be open afterwards and were not before; a leak would leave one for many a mutation. */
const MORE_OPEN_FILES_MAX = 16;
/** Share of the damaged indexes that are built again to the end. */
const REBUILD_SHARE = 0.1;

/** The mutations of these numbers. */
export interface Share {
  readonly seed: number;
  readonly from: number;
  readonly count: number;
}

export interface DamageReport {
  mutations: number;
  /** Collections, or the whole directory, that were refused. */
  refused: number;
  /** Collections that opened with the right contents though a file of theirs was damaged. */
  intact: number;
  /** Of these, with a damaged index. */
  indexes: number;
}

interface Trial {
  readonly specimen: Specimen;
  readonly changes: Changes;
  readonly random: () => number;
  readonly report: DamageReport;
}

/**
 * @param directory where the store is put; it stays
 * @param onMutation called with the number of each one before it begins
 * @throws Error that names seed, number and mutation of the first wrong outcome
 */
export async function damage(
  { seed, from, count }: Share,
  directory: string,
  onMutation: (number: number) => void,
): Promise<DamageReport> {
  const report: DamageReport = { mutations: 0, refused: 0, intact: 0, indexes: 0 };
  const openFiles = countOpenFiles();
  const specimens = await createSpecimens(directory, seed);
  for (let number = from; number < from + count; number++) {
    onMutation(number);
    const specimen = specimens[number % specimens.length]!;
    const random = generator(seed ^ Math.imul(number + 1, 0x9e3779b1));
    const { what, changes } = mutate(specimen.files, specimen.older, random);
    await tryOut({ specimen, changes, random, report }).catch((error: Error) => {
      const at = `seed ${seed}, mutation ${number}: ${what}`;
      throw new Error(`${at}\n${error.message}`, { cause: error });
    });
    report.mutations++;
  }
  const more = countOpenFiles() - openFiles;
  if (more > MORE_OPEN_FILES_MAX) throw new Error(`seed ${seed}: ${more} files were left open`);
  return report;
}

/** One collection opens twice as fast as two, and only some kinds of damage need two. */
async function createSpecimens(directory: string, seed: number): Promise<Specimen[]> {
  const pair = await createSpecimen(`${directory}/pair`, ["one", "two"], seed, ["two"]);
  const plain = await createSpecimen(`${directory}/plain`, ["one"], seed);
  const compacted = await createSpecimen(`${directory}/compacted`, ["one"], seed, ["one"]);
  return [pair, plain, compacted, plain];
}

async function tryOut(trial: Trial): Promise<void> {
  const { specimen, changes } = trial;
  specimen.apply(changes);
  await open(trial);
  specimen.restore(changes);
}

async function open(trial: Trial): Promise<void> {
  const warnings: string[] = [];
  let catalog: Catalog;
  try {
    catalog = await Catalog.open(trial.specimen.directory, (message, details) => {
      warnings.push(`${message} ${JSON.stringify(details)}`);
    });
  } catch (error) {
    return assertRefusal(trial, "", error);
  }
  for (const name of trial.specimen.names) await checkCollection(trial, catalog, name, warnings);
  await catalog.close();
}

async function checkCollection(
  trial: Trial,
  catalog: Catalog,
  name: string,
  warnings: string[],
): Promise<void> {
  const { specimen, changes, report } = trial;
  const changed = [...changes.keys()].filter((path) => path.startsWith(`c-${name}/`));
  let collection: ReturnType<Catalog["get"]>;
  try {
    collection = catalog.get(name);
  } catch (error) {
    return assertRefusal(trial, name, error);
  }
  try {
    await assertContents(collection, specimen.contentsOf(name, collection.appliedId), trial.random);
    await proved(collection);
  } catch (error) {
    if (error instanceof DamagedFileError) return assertRefusal(trial, name, error);
    throw error;
  }
  if (changed.length > 0) report.intact++;
  const hasLostIndex = warnings.some((text) => text.includes("index") && text.includes(`c-${name}/`));
  if (!hasLostIndex) return;
  report.indexes++;
  if (trial.random() > REBUILD_SHARE) return;
  await collection.build();
  await assertContents(collection, specimen.contentsOf(name, collection.appliedId), trial.random);
}

/** Resolves when all vectors were compared with their checksums. @throws {DamagedFileError} */
async function proved(collection: Collection): Promise<void> {
  while (Number(collection.stats().unproved_bytes) > 0) await nextTurn();
}

/** Only what was damaged is refused, with file and offset, and what was not damaged stays as it was. */
function assertRefusal({ specimen, changes, report }: Trial, name: string, error: unknown): void {
  const directory = `${specimen.directory}/${name === "" ? "" : `c-${name}/`}`;
  if (!(error instanceof DamagedFileError)) throw error;
  if (!error.path.startsWith(directory) || !Number.isInteger(error.offset) || error.offset < 0) {
    throw new Error(`a report of ${error.path} at ${error.offset}, not below ${directory}`);
  }
  const prefix = directory.slice(specimen.directory.length + 1);
  if (![...changes.keys()].some((path) => path.startsWith(prefix))) {
    throw new Error(`refused though nothing of it was changed: ${error.message}`);
  }
  const harmed = specimen.changedBeside(changes).filter((path) => path.startsWith(prefix));
  if (harmed.length > 0) throw new Error(`the refusal '${error.message}' changed ${harmed.join(" ")}`);
  report.refused++;
}

function countOpenFiles(): number {
  const list = "/proc/self/fd";
  return fs.existsSync(list) ? fs.readdirSync(list).length : 0;
}
