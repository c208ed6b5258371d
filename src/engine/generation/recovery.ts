/**
 * Opens the files of a collection: reads the manifest, verifies what it names, ignores everything beyond it. Only the
 * index may be missing or damaged, since it can be made again. The log's later entries are replayed by the caller.
 */
import * as fs from "node:fs";
import { DamagedFileError } from "../../errors.ts";
import { checksumText } from "../disk/checksum.ts";
import { removeFiles } from "../disk/files.ts";
import { countedSegments } from "../disk/inventory.ts";
import { type Lineage, type Manifest, readManifest, writeManifest } from "../disk/manifest.ts";
import {
  generationDirectory,
  isColumnsFile,
  isIndexFile,
  isOtherGeneration,
  MANIFEST_FILE,
  TEMPORARY_SUFFIX,
} from "../disk/names.ts";
import { loadPageChecksums } from "../disk/pages/load-checksums.ts";
import { PageChecksums } from "../disk/pages/page-checksums.ts";
import { firstSegmentBytes } from "../disk/segment.ts";
import { removeSegmentsFrom, Segments } from "../disk/segments.ts";
import { ChangeLog } from "../filter/change-log.ts";
import { restoredFilters } from "../filter/filters.ts";
import { loadIndex } from "../index/index-file.ts";
import { type IndexChoice, indexKind } from "../index/kinds.ts";
import type { VectorIndexKind } from "../index/vector-index.ts";
import type { CollectionOptions } from "../options.ts";
import { Attributes } from "../slots/attributes.ts";
import { Bitmap } from "../slots/bitmap.ts";
import { loadColumns } from "../slots/columns-file.ts";
import { DeadlineHeap } from "../slots/deadline-heap.ts";
import { Keys } from "../slots/keys.ts";
import type { Parts, Warn } from "./parts.ts";

/** Writes the files of an empty collection into an empty directory. */
export async function createFiles(
  directory: string,
  name: string,
  options: CollectionOptions,
  id: string,
  lineage?: Lineage,
): Promise<void> {
  const sizes = { firstSegmentBytes: firstSegmentBytes(options.dimensions) };
  const fixed = { name, createdId: id, appliedId: id, lineage, options, ...sizes, generation: 0 };
  await writeManifest(directory, { ...fixed, ...(await createEmptyFiles(directory)) });
}

/** What a manifest says of the files of one generation. */
type Contents = Pick<
  Manifest,
  "slots" | "live" | "segments" | "pages" | "keys" | "attributes" | "index" | "columns"
>;

/** Writes the files of a generation without vectors; returns what a manifest says of them. */
export async function createEmptyFiles(files: string): Promise<Contents> {
  const logs = [Keys.create(files), Attributes.create(files)] as const;
  const pages = PageChecksums.create(files);
  const [keys, attributes] = await Promise.all(logs.map((log) => log.flush()));
  const pagesEnd = await pages.flush();
  for (const file of [...logs, pages]) file.close();
  return {
    slots: 0,
    live: 0,
    segments: [],
    pages: pagesEnd,
    keys: keys!,
    attributes: attributes!,
    index: null,
    columns: undefined,
  };
}

/**
 * Opens the files of a collection.
 *
 * @param warn told of a damaged index, which is built again
 * @throws {DamagedFileError} when anything but the index is not what the manifest says
 */
export async function openFiles(directory: string, warn: Warn, choice: IndexChoice): Promise<Parts> {
  const manifest = await readManifest(directory);
  const parts = await openGeneration(directory, manifest, indexKind(manifest.options, choice), warn);
  // Only now: a manifest that an operator put back may name less than what is there, and be refused.
  await removeUnnamed(parts);
  return parts;
}

/** Opens the generation that the manifest names; where that fails, nothing stays open. */
export async function openGeneration(
  directory: string,
  manifest: Manifest,
  kind: VectorIndexKind,
  warn: Warn,
): Promise<Parts> {
  const opened: { close(): void }[] = [];
  try {
    return await openParts(directory, manifest, kind, warn, opened);
  } catch (error) {
    for (const each of opened) each.close();
    throw error;
  }
}

/** @param opened gets what has to be closed, as it is opened */
async function openParts(
  directory: string,
  manifest: Manifest,
  kind: VectorIndexKind,
  warn: Warn,
  opened: { close(): void }[],
): Promise<Parts> {
  const files = generationDirectory(directory, manifest.generation);
  const { segments, pages } = await openRows(files, manifest, warn);
  opened.push(segments, pages);
  const live = Bitmap.below(manifest.slots);
  const keys = await Keys.open(files, manifest.keys, manifest.slots, (slot) => live.delete(slot));
  opened.push(keys.log);
  const changed = new ChangeLog();
  const from = manifest.columns?.attributesBytes;
  const later = (slot: number) => changed.add(slot, slot + 1);
  const attributes = await Attributes.open(files, manifest.attributes, manifest.slots, from, later);
  opened.push(attributes.log);
  if (live.count !== manifest.live || keys.table.size !== manifest.live) {
    const found = `${keys.table.size} keys and ${live.count} live slots, expected ${manifest.live}`;
    throw new DamagedFileError(`${directory}/${MANIFEST_FILE}`, 0, found);
  }
  const columns = await loadColumns(files, manifest.columns, warn);
  const saved = columns && (await restoredFilters(columns, changed));
  const expiring = await DeadlineHeap.of(keys.deadlines);
  const source = { segments, live };
  const index = await loadIndex(files, manifest.index, kind, source, warn);
  const watermark = index === undefined ? 0 : manifest.index!.watermark;
  const parts = {
    directory,
    files,
    manifest,
    ...source,
    pages,
    keys,
    expiring,
    attributes,
    saved,
    indexKind: kind,
    watermark,
  };
  return { ...parts, index: index ?? (await kind.create(source)) };
}

async function openRows(
  files: string,
  manifest: Manifest,
  warn: Warn,
): Promise<Pick<Parts, "segments" | "pages">> {
  const saved = await loadPageChecksums(files, manifest, warn);
  const segments = Segments.open(files, manifest.options, manifest.slots, manifest.firstSegmentBytes);
  const counts = [...segments.covering(manifest.slots)].map(({ rows }) => rows);
  if (saved !== undefined && counts.every((rows, number) => manifest.segments[number]?.rows === rows)) {
    segments.trust(manifest, saved);
    return { segments, pages: PageChecksums.resume(files, countedSegments(manifest), manifest.pages!) };
  }
  const read = PageChecksums.create(files);
  for (const { segment, rows } of segments.covering(manifest.slots)) {
    const expected = manifest.segments[segment.shape.number];
    const found = await segment.checksumTo(rows, read);
    if (expected?.rows === rows && expected.checksum === found) continue;
    segments.close();
    const what = `${rows} rows with checksum ${checksumText(found)}`;
    throw new DamagedFileError(segment.path, 0, `${what}, the manifest says ${JSON.stringify(expected)}`);
  }
  return { segments, pages: read };
}

/**
 * Removes what a crash left beyond the manifest: prepared segments, unfinished files, and an index or a generation that
 * the manifest does not name.
 */
async function removeUnnamed({ directory, files, manifest }: Parts): Promise<void> {
  await removeOtherGenerations(directory, manifest.generation);
  removeSegmentsFrom(files, manifest.segments.length);
  for (const name of fs.readdirSync(files)) {
    const isOrphan =
      (isIndexFile(name) && name !== manifest.index?.file) ||
      (isColumnsFile(name) && name !== manifest.columns?.file);
    if (isOrphan || name.endsWith(TEMPORARY_SUFFIX)) fs.rmSync(`${files}/${name}`);
  }
}

/** Deletes the files of every generation but one, on other threads: their pages take the system a while. */
export async function removeOtherGenerations(directory: string, generation: number): Promise<void> {
  for (const name of fs.readdirSync(directory)) {
    if (isOtherGeneration(name, generation)) await removeFiles(`${directory}/${name}`);
  }
}
