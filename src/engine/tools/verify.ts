/**
 * Checks a whole data directory without changing a byte of it, and reports each damage with its place. It goes on after
 * a damage, so that it reports all of them.
 */

import * as path from "node:path";
import { readControl } from "../disk/control-file.ts";
import { DirectoryLock } from "../disk/lock.ts";
import { BACKUP_FILE, CONTROL_FILE } from "../disk/names.ts";
import { readBackupFile } from "./backup-file.ts";
import { isLibraryStore, listDataDirectory } from "./data-directory.ts";
import { type Damage, Findings } from "./findings.ts";
import { CollectionCheck, type CollectionReport, type FileReport } from "./verify-collection.ts";

/** How far a long piece of work is, in bytes; called first with nothing done, last with all. */
export type OnProgress = (done: number, total: number) => void;

export interface VerifyReport {
  readonly directory: string;
  readonly collections: readonly CollectionReport[];
  /** Of the data directory itself. */
  readonly files: readonly FileReport[];
  /** What a crash left: harmless, removed at the next start. */
  readonly leftovers: readonly string[];
}

/**
 * Verifies a data directory that no process uses, a backup, or a store of the library, which is one collection without
 * a name.
 *
 * @throws {VstoreError} LOCKED; ERR when it is none of them
 */
export async function verify(directory: string, onProgress: OnProgress): Promise<VerifyReport> {
  const isStore = isLibraryStore(directory);
  if (!isStore) listDataDirectory(directory);
  const lock = DirectoryLock.acquireShared(directory);
  try {
    return await (isStore ? verifyStore : verifyFiles)(directory, onProgress);
  } finally {
    lock?.release();
  }
}

async function verifyStore(directory: string, onProgress: OnProgress): Promise<VerifyReport> {
  const { dir, base } = path.parse(path.resolve(directory));
  const check = await CollectionCheck.begin(dir, base, "");
  const meter = new Meter(check.bytes, onProgress);
  const report = await check.run((bytes) => meter.add(bytes));
  meter.finish();
  return { directory, collections: [report], files: [], leftovers: [] };
}

/** The same, for a caller that has excluded writers. */
export async function verifyFiles(directory: string, onProgress: OnProgress): Promise<VerifyReport> {
  const { collections, misnamed, leftovers } = listDataDirectory(directory);
  const checks: CollectionCheck[] = [];
  for (const entry of collections) checks.push(await CollectionCheck.begin(directory, entry));
  const meter = new Meter(
    checks.reduce((sum, check) => sum + check.bytes, 0),
    onProgress,
  );
  const reports: CollectionReport[] = [];
  for (const check of checks) reports.push(await check.run((bytes) => meter.add(bytes)));
  meter.finish();
  const own = [
    await checkControl(directory),
    ...(await checkBackup(directory)),
    ...misnamed.map(misnamedReport),
  ];
  return { directory, collections: reports, files: own, leftovers };
}

/** All that is damaged, in the order of the report. */
export function damagesOf({ files, collections }: VerifyReport): Damage[] {
  return [...files, ...collections.flatMap((each) => each.files)].flatMap(({ damages }) => damages);
}

/** Those that cost data: an index is only built again. */
export function lossesOf({ files, collections }: VerifyReport): Damage[] {
  return [...files, ...collections.flatMap((each) => each.files)]
    .filter(({ isRebuilt }) => !isRebuilt)
    .flatMap(({ damages }) => damages);
}

/** Bytes done of a total that is known before. The last step makes up for the bytes that a damaged file lacks. */
export class Meter {
  readonly #total: number;
  readonly #onProgress: OnProgress;
  #done = 0;

  constructor(total: number, onProgress: OnProgress) {
    this.#total = total;
    this.#onProgress = onProgress;
    onProgress(0, total);
  }

  add(bytes: number): void {
    this.#done = Math.min(this.#done + bytes, this.#total);
    if (this.#done < this.#total) this.#onProgress(this.#done, this.#total);
  }

  get done(): number {
    return this.#done;
  }

  /** For work that is begun again. */
  backTo(done: number): void {
    this.#done = done;
  }

  finish(): void {
    if (this.#total > 0) this.#onProgress(this.#total, this.#total);
  }
}

/** A directory in which nothing was ever created has none. */
async function checkControl(directory: string): Promise<FileReport> {
  const findings = new Findings(CONTROL_FILE);
  await findings.attempt(() => readControl(directory));
  return { file: CONTROL_FILE, bytes: undefined, damages: findings.damages, isRebuilt: false };
}

/** Of a backup: whether it still has everything. */
async function checkBackup(directory: string): Promise<FileReport[]> {
  const findings = new Findings(BACKUP_FILE);
  const content = await findings.attempt(() => readBackupFile(directory));
  if (content === undefined && findings.isWhole) return [];
  return [{ file: BACKUP_FILE, bytes: undefined, damages: findings.damages, isRebuilt: false }];
}

function misnamedReport(entry: string): FileReport {
  const damage = { file: entry, offset: 0, what: "no name that vstore gives to a directory" };
  return { file: entry, bytes: undefined, damages: [damage], isRebuilt: false };
}
