/**
 * A checkpoint makes everything up to one log entry durable and names it in the manifest: flush segments and logs, write
 * the manifest aside, rename it. The point is taken synchronously; writes go on meanwhile, since rows and records
 * before the point never change. Nothing here blocks the event loop for longer than a slice.
 */
import * as fs from "node:fs";
import { syncData } from "./files.ts";
import { saveIndex } from "./index-file.ts";
import type { Indexer } from "./indexer.ts";
import { type Manifest, type SavedIndex, writeManifest } from "./manifest.ts";
import type { Parts } from "./recovery.ts";
import type { Segments } from "./segments.ts";

/** The index is saved when its watermark has risen by this share, and by this many slots, since it last was. */
const INDEX_GROWTH_MIN = { share: 0.2, slots: 1_000 } as const;

export interface CheckpointReport {
  /** Last log id that the files cover. */
  readonly id: string;
  /** Slots that the files hold, dead ones included. */
  readonly slots: number;
  /** False when the files were up to date already. */
  readonly changed: boolean;
}

export class Checkpointer {
  readonly #parts: Parts;
  readonly #indexer: Indexer;
  readonly #appliedId: () => string;
  #manifest: Manifest;
  /** The newest saved index; the manifest names it from the next checkpoint on. */
  #savedIndex: SavedIndex | null;
  /** Checkpoints run one after the other. */
  #turn: Promise<unknown> = Promise.resolve();
  /** So do savings of the index. */
  #saving: Promise<void> = Promise.resolve();

  constructor(parts: Parts, indexer: Indexer, appliedId: () => string) {
    this.#parts = parts;
    this.#indexer = indexer;
    this.#appliedId = appliedId;
    this.#manifest = parts.manifest;
    this.#savedIndex = parts.watermark > 0 ? parts.manifest.index : null;
  }

  get manifest(): Manifest {
    return this.#manifest;
  }

  /** @throws {VstoreError} FULL; the previous checkpoint stands then */
  run(): Promise<CheckpointReport> {
    const report = this.#turn.then(() => this.#write());
    this.#turn = report.catch(() => {});
    return report;
  }

  /** Saves the index when that is worth it (or `always`, when it changed at all) and names it. */
  saveIndex(always = false): Promise<void> {
    const saved = this.#saving.then(() => this.#saveIndex(always));
    this.#saving = saved.catch(() => {});
    return saved;
  }

  /** Waits for what is under way. */
  async settle(): Promise<void> {
    await this.#saving;
    await this.#turn;
  }

  async #saveIndex(always: boolean): Promise<void> {
    const saved = this.#savedIndex?.watermark ?? 0;
    const growth = this.#indexer.watermark - saved;
    const enough = growth >= INDEX_GROWTH_MIN.slots && growth >= saved * INDEX_GROWTH_MIN.share;
    if (!enough && !(always && growth > 0)) return;
    const { directory, indexKind } = this.#parts;
    const index = await saveIndex(directory, indexKind.name, this.#indexer, this.#savedIndex);
    // A manifest must cover every slot of the index it names: this point is taken after the index's.
    this.#savedIndex = index;
    await this.run();
  }

  async #write(): Promise<CheckpointReport> {
    const previous = this.#manifest;
    const appliedId = this.#appliedId();
    if (this.#isCovered(appliedId)) return { id: appliedId, slots: previous.slots, changed: false };
    this.#manifest = await writeCheckpoint(this.#parts, appliedId, this.#savedIndex, previous);
    return { id: appliedId, slots: this.#manifest.slots, changed: true };
  }

  #isCovered(appliedId: string): boolean {
    const { segments, keys, attributes } = this.#parts;
    const last = this.#manifest;
    return (
      last.appliedId === appliedId &&
      last.slots === segments.length &&
      last.keys.bytes === keys.log.bytes &&
      last.attributes.bytes === attributes.log.bytes &&
      last.index?.file === this.#savedIndex?.file
    );
  }
}

async function writeCheckpoint(
  { directory, segments, live, keys, attributes }: Parts,
  appliedId: string,
  index: SavedIndex | null,
  previous: Manifest,
): Promise<Manifest> {
  const point = { appliedId, slots: segments.length, live: live.count };
  const [keysEnd, attributesEnd, segmentEnds] = await Promise.all([
    keys.log.flush(),
    attributes.log.flush(),
    flushSegments(segments, point.slots, previous),
  ]);
  const ends = { keys: keysEnd, attributes: attributesEnd, segments: segmentEnds };
  const manifest: Manifest = { ...previous, ...point, ...ends, index };
  await writeManifest(directory, manifest);
  if (previous.index !== null && previous.index.file !== index?.file) {
    await fs.promises.rm(`${directory}/${previous.index.file}`, { force: true });
  }
  return manifest;
}

/** Flushes the segments that have rows the previous checkpoint did not cover. */
async function flushSegments(
  segments: Segments,
  slots: number,
  previous: Manifest,
): Promise<Manifest["segments"]> {
  const ends: { rows: number; checksum: number }[] = [];
  for (const { segment, rows } of [...segments.covering(slots)]) {
    const covered = previous.segments[segment.shape.number];
    if (covered?.rows === rows) {
      ends.push(covered);
    } else {
      await syncData(segment.descriptor);
      ends.push({ rows, checksum: await segment.checksumTo(rows) });
    }
  }
  return ends;
}
