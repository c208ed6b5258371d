/**
 * A checkpoint makes everything up to one log entry durable and names it in the manifest: flush segments and logs,
 * write the manifest aside, rename it. The point is taken synchronously; writes go on meanwhile, since rows and records
 * before the point never change. No step blocks the event loop for longer than a slice.
 */
import * as fs from "node:fs";
import { syncDirectory } from "../disk/files.ts";
import { LOG_HEADER } from "../disk/layout.ts";
import { type Manifest, type SavedColumns, type SavedIndex, writeManifest } from "../disk/manifest.ts";
import type { PageChecksums } from "../disk/pages/page-checksums.ts";
import type { Segments } from "../disk/segments.ts";
import { failPoint } from "../fail-point.ts";
import { saveIndex } from "../index/index-file.ts";
import { saveColumns } from "../slots/columns-file.ts";
import type { Generation } from "./generation.ts";
import type { Parts } from "./parts.ts";

/** The index is saved when its watermark has risen by this share, and by this many slots, since it last was. */
const INDEX_GROWTH_MIN = { share: 0.2, slots: 1_000 } as const;

/** Columns are saved when attributes.log has grown by so much since they last were, and by less at closing. */
const COLUMNS_GROWTH_MIN = { share: 0.2, bytes: 16 * 1024 } as const;
const COLUMNS_CLOSING_MIN = { share: 0.01, bytes: 1 } as const;
/** They are not saved while they have so many slots to take over. */
const COLUMNS_BEHIND_MAX = 50_000;

/** What is durable then: everything up to this entry of the log. */
export type LogPoint = Pick<Manifest, "appliedId" | "lineage">;

export interface CheckpointReport {
  /** Last log id that the files cover. */
  readonly id: string;
  /** Slots that the files hold, dead ones included. */
  readonly slots: number;
  /** False when the files were up to date already. */
  readonly changed: boolean;
}

/** How the next generation takes the place of this one. When a step throws, nothing has changed. */
export interface Switch {
  prepare(): Promise<void>;
  /** Done in one tick with the change. */
  run(): void;
}

export class Checkpointer {
  #generation: Generation;
  readonly #logPoint: () => LogPoint;
  #manifest: Manifest;
  /** Whether the manifest names the files that are written to: it does not after a switch on a full disk. */
  #isNamed = true;
  /** The newest saved index; the manifest names it from the next checkpoint on. */
  #savedIndex: SavedIndex | null;
  /** The newest saved columns, likewise. */
  #savedColumns: SavedColumns | undefined;
  /** Requested and not begun. */
  #next: Promise<CheckpointReport> | undefined;
  /** Checkpoints run one after the other. */
  #turn: Promise<unknown> = Promise.resolve();
  /** So do savings of index and columns. */
  #saving: Promise<void> = Promise.resolve();

  constructor(generation: Generation, logPoint: () => LogPoint) {
    const { parts } = generation;
    this.#generation = generation;
    this.#logPoint = logPoint;
    this.#manifest = parts.manifest;
    this.#savedIndex = parts.watermark > 0 ? parts.manifest.index : null;
    this.#savedColumns = parts.saved && parts.manifest.columns;
  }

  get manifest(): Manifest {
    return this.#manifest;
  }

  /** False while the manifest still names the files of the previous generation. */
  get isNamed(): boolean {
    return this.#isNamed;
  }

  /** @throws {VstoreError} FULL; the previous checkpoint stands then */
  run(): Promise<CheckpointReport> {
    this.#next ??= this.#queue();
    return this.#next;
  }

  /** A checkpoint that has not begun covers every request until then. */
  #queue(): Promise<CheckpointReport> {
    const report = this.#turn.then(() => {
      this.#next = undefined;
      return this.#write();
    });
    this.#turn = report.catch(() => {});
    return report;
  }

  /** Saves the index when it has grown enough (with `always`: when it changed at all) and names it. */
  saveIndex(always = false): Promise<void> {
    const saved = this.#saving.then(() => this.#saveIndex(always));
    this.#saving = saved.catch(() => {});
    return saved;
  }

  /** The saved index is damaged: the next checkpoint names none. */
  forgetIndex(): void {
    this.#savedIndex = null;
  }

  /** Saves the columns when attributes.log has grown enough (with `always`: by a little) and names them. */
  saveColumns(always = false): Promise<void> {
    const saved = this.#saving.then(() => this.#saveColumns(always));
    this.#saving = saved.catch(() => {});
    return saved;
  }

  /** Waits for the work under way. */
  async idle(): Promise<void> {
    await this.#saving;
    await this.#turn;
  }

  async #saveIndex(always: boolean): Promise<void> {
    const saved = this.#savedIndex?.watermark ?? 0;
    const { parts, indexer } = this.#generation;
    const growth = indexer.watermark - saved;
    const enough = growth >= INDEX_GROWTH_MIN.slots && growth >= saved * INDEX_GROWTH_MIN.share;
    if (!enough && !(always && growth > 0)) return;
    // A manifest must cover every slot of the index it names: its point is taken after the index's.
    this.#savedIndex = await saveIndex(parts.files, parts.indexKind, indexer, this.#savedIndex);
    await this.run();
  }

  async #saveColumns(always: boolean): Promise<void> {
    const { parts, filters } = this.#generation;
    const { attributes, files, segments } = parts;
    const known = this.#savedColumns?.attributesBytes ?? LOG_HEADER.bytes;
    const growth = attributes.log.bytes - known;
    const min = always ? COLUMNS_CLOSING_MIN : COLUMNS_GROWTH_MIN;
    if (growth < Math.max(min.bytes, known * min.share) || filters.behind > COLUMNS_BEHIND_MAX) return;
    await filters.catchUp();
    if (filters.behind > 0) return;
    // A manifest must cover every slot and record of the columns it names: its point is taken after theirs.
    const slots = () => segments.length;
    const previous = this.#savedColumns;
    this.#savedColumns = await saveColumns(files, filters.columns, slots, attributes.log.bytes, previous);
    await this.run();
  }

  /**
   * Puts the next generation in this one's place, between two checkpoints, and makes that durable.
   *
   * @throws {VstoreError} FULL; after the switch, the next checkpoint makes it durable
   */
  replaceFiles(next: Generation, index: SavedIndex | null, steps: Switch): Promise<void> {
    const replaced = this.#saving.then(() => {
      const turn = this.#turn.then(() => this.#replace(next, index, steps));
      this.#turn = turn.catch(() => {});
      return turn;
    });
    this.#saving = replaced.catch(() => {});
    return replaced;
  }

  async #replace(next: Generation, index: SavedIndex | null, { prepare, run }: Switch): Promise<void> {
    failPoint("compaction-before-switch");
    await prepare();
    run();
    failPoint("compaction-before-manifest");
    this.#generation = next;
    this.#savedIndex = index;
    this.#savedColumns = undefined;
    this.#isNamed = false;
    // Nothing of the next generation is covered yet. Until it is, the coverage of the old files stands.
    const { appliedId, lineage } = this.#manifest;
    this.#manifest = { ...next.parts.manifest, appliedId, lineage };
    await this.#write();
  }

  async #write(): Promise<CheckpointReport> {
    const previous = this.#manifest;
    const logPoint = this.#logPoint();
    const { appliedId } = logPoint;
    if (this.isCovered) return { id: appliedId, slots: previous.slots, changed: false };
    this.#manifest = await writeCheckpoint(this.#generation.parts, logPoint, previous, {
      index: this.#savedIndex,
      columns: this.#savedColumns,
    });
    this.#isNamed = true;
    return { id: appliedId, slots: this.#manifest.slots, changed: true };
  }

  /** Whether a checkpoint would change nothing. */
  get isCovered(): boolean {
    const { appliedId, lineage } = this.#logPoint();
    const { segments, pages, keys, attributes } = this.#generation.parts;
    const last = this.#manifest;
    // Files that no manifest names have to be named even when they hold nothing.
    return (
      this.#isNamed &&
      // Files of an earlier version have none, and damaged ones are made again.
      pages.isSaved &&
      last.appliedId === appliedId &&
      // Only so many timelines are remembered: files must not be left behind on an old one.
      last.lineage?.timeline === lineage?.timeline &&
      last.slots === segments.length &&
      last.keys.bytes === keys.log.bytes &&
      last.attributes.bytes === attributes.log.bytes &&
      last.index?.file === this.#savedIndex?.file &&
      // One that was built again after a damage may have the name of the damaged one.
      last.index?.checksum === this.#savedIndex?.checksum &&
      last.columns?.file === this.#savedColumns?.file
    );
  }
}

async function writeCheckpoint(
  { directory, files, segments, pages, live, keys, attributes }: Parts,
  logPoint: LogPoint,
  previous: Manifest,
  saved: Pick<Manifest, "index" | "columns">,
): Promise<Manifest> {
  const point = { ...logPoint, slots: segments.length, live: live.count };
  const [keysEnd, attributesEnd, rowsEnd] = await Promise.all([
    keys.log.flush(),
    attributes.log.flush(),
    flushRows(segments, pages, point.slots, previous),
  ]);
  const ends = { ...rowsEnd, keys: keysEnd, attributes: attributesEnd };
  const manifest: Manifest = { ...previous, ...point, ...ends, ...saved };
  // The names first: without them, what the manifest counts could be missing after a power failure.
  for (const each of new Set([files, directory])) await syncDirectory(each);
  await writeManifest(directory, manifest);
  for (const replaced of ["index", "columns"] as const) {
    const file = previous[replaced]?.file;
    if (file !== undefined && file !== saved[replaced]?.file)
      await fs.promises.rm(`${files}/${file}`, { force: true });
  }
  return manifest;
}

/** Flushes the segments that have rows the previous checkpoint did not cover, and the checksums of their pages. */
async function flushRows(
  segments: Segments,
  pages: PageChecksums,
  slots: number,
  previous: Manifest,
): Promise<Required<Pick<Manifest, "segments" | "pages">>> {
  const ends: { rows: number; checksum: number }[] = [];
  for (const { segment, rows } of [...segments.covering(slots)]) {
    const covered = previous.segments[segment.shape.number];
    if (covered?.rows === rows) {
      ends.push(covered);
    } else {
      await segment.sync();
      ends.push({ rows, checksum: await segment.checksumTo(rows, pages) });
    }
  }
  return { segments: ends, pages: await pages.flush() };
}
