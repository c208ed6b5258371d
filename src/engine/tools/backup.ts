/**
 * A consistent copy of a data directory, taken while its sidecar serves and without asking it: of each collection the
 * state of one checkpoint. Nothing is kept unless all of it is whole.
 */
import * as fs from "node:fs";
import { VstoreError } from "../../errors.ts";
import { readText, replaceFile } from "../disk/files.ts";
import { countedBytes } from "../disk/inventory.ts";
import { CONTROL_FORMAT } from "../disk/layout.ts";
import { type Manifest, unseal } from "../disk/manifest.ts";
import { readCheckedManifest } from "../disk/manifest-check.ts";
import { CONTROL_FILE, MANIFEST_FILE } from "../disk/names.ts";
import { buildAside } from "./aside.ts";
import { writeBackupFile } from "./backup-file.ts";
import { copyCollection } from "./copy-collection.ts";
import { listDataDirectory } from "./data-directory.ts";
import { damageText } from "./findings.ts";
import { lossesOf, Meter, type OnProgress } from "./verify.ts";
import type { CollectionReport } from "./verify-collection.ts";

/** How often a collection is begun again because a checkpoint replaced a file meanwhile. */
const ATTEMPTS_MAX = 8;

/** What was copied: the manifest of each collection. */
export type CopyReport = readonly Manifest[];

/**
 * Copies the data directory to `target`, which must not exist or be empty. Files that are never written to again are
 * hard links where that is possible.
 *
 * @throws {VstoreError} ERR (target, no data directory), LOCKED, FULL, DAMAGED with all damages, TRYAGAIN
 */
export async function backup(directory: string, target: string, onProgress: OnProgress): Promise<CopyReport> {
  listDataDirectory(directory);
  return buildAside(directory, target, async (partial) => {
    // Before the collections: a control entry that it covers must be reflected in them, not the other way round.
    await copyControl(directory, partial);
    const reports = await copyCollections(directory, partial, true, onProgress);
    const collections = reports.map((report) => report.directory);
    await writeBackupFile(partial, { createdAt: new Date().toISOString(), collections });
    return reports.map((report) => report.manifest!);
  });
}

/** Also of use to restore. @throws {VstoreError} FULL, DAMAGED */
export async function copyControl(from: string, to: string): Promise<void> {
  const path = `${from}/${CONTROL_FILE}`;
  const text = await readText(path);
  if (text === undefined) return;
  unseal(path, CONTROL_FORMAT, text);
  await replaceFile(to, CONTROL_FILE, text);
}

/** Also of use to restore. @throws {VstoreError} FULL, DAMAGED, TRYAGAIN */
export async function copyCollections(
  from: string,
  to: string,
  share: boolean,
  onProgress: OnProgress,
): Promise<CollectionReport[]> {
  const { collections, misnamed } = listDataDirectory(from);
  const meter = new Meter(await bytesOf(from, collections), onProgress);
  const reports: CollectionReport[] = [];
  for (const entry of collections) {
    const report = await copyStable(from, to, entry, share, meter);
    if (report !== undefined) reports.push(report);
  }
  meter.finish();
  const losses = lossesOf({ directory: from, collections: reports, files: [], leftovers: [] });
  const unknown = misnamed.map((entry) => `${entry}: no name that vstore gives to a directory`);
  const faults = [...unknown, ...losses.map(damageText)];
  if (faults.length === 0) return reports;
  throw new VstoreError("DAMAGED", [`${from} is damaged, nothing was copied:`, ...faults].join("\n  "));
}

/** Repeats a copy that a checkpoint has disturbed. Undefined when the collection was dropped meanwhile. */
async function copyStable(
  from: string,
  to: string,
  entry: string,
  share: boolean,
  meter: Meter,
): Promise<CollectionReport | undefined> {
  const begin = meter.done;
  const path = `${from}/${entry}/${MANIFEST_FILE}`;
  for (let attempt = 1; attempt <= ATTEMPTS_MAX; attempt++) {
    const before = await readText(path);
    meter.backTo(begin);
    const onRead = (bytes: number) => meter.add(bytes);
    const report = await copyCollection(from, to, entry, { share, onRead });
    const isWhole = report?.files.every(({ damages }) => damages.length === 0);
    if (isWhole || (await readText(path)) === before) return report ?? withoutManifest(from, entry);
  }
  throw new VstoreError("TRYAGAIN", `${path} was replaced ${ATTEMPTS_MAX} times while it was being copied`);
}

function withoutManifest(from: string, entry: string): CollectionReport | undefined {
  if (!fs.existsSync(`${from}/${entry}`)) return undefined;
  const file = `${entry}/${MANIFEST_FILE}`;
  const damages = [{ file, offset: 0, what: "the file is missing" }];
  const files = [{ file, bytes: undefined, damages, isRebuilt: false }];
  return { directory: entry, manifest: undefined, files, leftovers: [] };
}

async function bytesOf(directory: string, entries: readonly string[]): Promise<number> {
  let sum = 0;
  for (const entry of entries) {
    const manifest = await readCheckedManifest(directory, entry).catch(() => undefined);
    if (manifest !== undefined) sum += countedBytes(manifest);
  }
  return sum;
}
