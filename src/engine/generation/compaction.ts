/**
 * Compaction: the live vectors are written, in slot order, into the files of a next generation, which then takes the
 * place of the old one. It runs beside reads and writes:
 *
 *   copying → indexing → (writes came in between: again) → copying the rest → switching, in one tick → durable → old
 *   files deleted
 *
 * Until the manifest names the next generation the old files and the log are the truth; from then on the new ones are.
 */
import * as fs from "node:fs";
import { VstoreError } from "../../errors.ts";
import { ignoreFull, removeFiles } from "../disk/files.ts";
import type { Manifest, SavedIndex } from "../disk/manifest.ts";
import { generationDirectory } from "../disk/names.ts";
import { failPoint } from "../fail-point.ts";
import { saveIndex } from "../index/index-file.ts";
import { attributesBytes } from "../slots/attributes.ts";
import { NONE } from "../slots/key-table.ts";
import { DEADLINE_RECORD_BYTES, putBytes, REMOVE_BYTES } from "../slots/keys.ts";
import { SLICE_MS_MAX, TimeSlice, TURN_MS_MAX } from "../time-slice.ts";
import type { Generation } from "./generation.ts";
import type { Parts, Warn } from "./parts.ts";
import { createEmptyFiles, openGeneration } from "./recovery.ts";

/** Slots that may be left without an index. */
const REST_SLOTS_MAX = 500;
/** Rounds of catching up: writers may be faster for ever. */
const ROUNDS_MAX = 10;
/** Slots copied between two requests for disk space. */
const BATCH_SLOTS = 256;
const NO_TEXT = Buffer.alloc(0);

export class Compaction {
  readonly #old: Generation;
  readonly #manifest: Manifest;
  readonly #warn: Warn;
  #next: Generation | undefined;
  /** Old slots below this one have been copied if they were alive. */
  #copied = 0;
  /** Of those, the ones that died, or got other attributes or another deadline, since. */
  readonly #changed = new Set<number>();
  #stopped = false;

  /** @param manifest the collection's current one */
  constructor(old: Generation, manifest: Manifest, warn: Warn) {
    this.#old = old;
    this.#manifest = manifest;
    this.#warn = warn;
    old.watcher = (slot) => {
      if (slot < this.#copied) this.#changed.add(slot);
    };
  }

  /**
   * Builds the next generation up to a small rest.
   *
   * @throws {VstoreError} FULL; TRYAGAIN when it was stopped
   */
  async prepare(
    start: (parts: Parts) => Generation,
  ): Promise<{ next: Generation; index: SavedIndex | null }> {
    const next = start(await this.#createFiles());
    this.#next = next;
    for (let round = 0; round < ROUNDS_MAX && this.#rest > REST_SLOTS_MAX; round++) {
      await this.#copy(SLICE_MS_MAX);
      await next.indexer.build();
      this.#assertWanted();
    }
    const { files, indexKind } = next.parts;
    if (next.indexer.watermark === 0) return { next, index: null };
    // Without room for the index the switch goes on, since it frees room. The index is saved after it, or built again.
    const index = await saveIndex(files, indexKind, next.indexer, null).catch(ignoreFull);
    return { next, index: index ?? null };
  }

  /**
   * Copies what came since, until hardly more is left than what one turn of the event loop brings: each round is as
   * long as the writes of the one before it were many. It takes half of the event loop, so that writers are not faster.
   *
   * @throws {VstoreError} FULL; TRYAGAIN when it was stopped
   */
  async catchUp(): Promise<void> {
    for (let round = 0; round < ROUNDS_MAX && this.#rest > 0; round++) await this.#copy(TURN_MS_MAX);
  }

  /**
   * Copies the rest at once; from then on the next generation holds all that the old one does. @throws {VstoreError}
   * FULL
   */
  finish(): void {
    this.#assertWanted();
    while (this.#copied < this.#length) this.#copySlot();
    for (const slot of this.#changed) this.#repeatChange(slot);
    this.#old.watcher = undefined;
  }

  /** Makes `prepare` fail soon. */
  stop(): void {
    this.#stopped = true;
    void this.#next?.indexer.close();
  }

  /** Removes what was built. */
  async abandon(): Promise<void> {
    this.#old.watcher = undefined;
    await this.#next?.close();
    await removeFiles(this.#files);
  }

  get #files(): string {
    return generationDirectory(this.#old.parts.directory, this.#manifest.generation + 1);
  }

  get #length(): number {
    return this.#old.parts.segments.length;
  }

  get #rest(): number {
    return this.#length - this.#copied + this.#changed.size;
  }

  async #createFiles(): Promise<Parts> {
    await removeFiles(this.#files);
    fs.mkdirSync(this.#files);
    const manifest = { ...this.#manifest, generation: this.#manifest.generation + 1 };
    const empty = await createEmptyFiles(this.#files);
    const { directory, indexKind } = this.#old.parts;
    return openGeneration(directory, { ...manifest, ...empty }, indexKind, this.#warn);
  }

  async #copy(sliceMs: number): Promise<void> {
    const slice = new TimeSlice(sliceMs);
    const end = this.#length;
    while (this.#copied < end) {
      this.#assertWanted();
      failPoint("compaction-copying");
      await this.#next!.parts.segments.reserve(BATCH_SLOTS);
      for (let i = 0; i < BATCH_SLOTS && this.#copied < end; i++) {
        if (slice.spent) await slice.pause();
        this.#copySlot();
      }
    }
    let left = this.#changed.size; // more may come meanwhile, for ever
    for (const slot of this.#changed) {
      if (left-- === 0) break;
      if (slice.spent) await slice.pause();
      this.#repeatChange(slot);
    }
  }

  #copySlot(): void {
    const slot = this.#copied++;
    const { live, keys, segments, attributes } = this.#old.parts;
    if (!live.has(slot)) return;
    const key = keys.table.keyOf(slot);
    const text = attributes.get(slot) ?? NO_TEXT;
    this.#next!.ensure(1, putBytes(key), attributesBytes(text.length));
    this.#next!.put(
      key,
      segments.provedRow(slot),
      { text, json: undefined },
      this.#old.expiry.deadlineOf(slot),
    );
  }

  /**
   * An updated key usually needs no work: copying its later slot kills the earlier one. But the key may be removed
   * before that, so the change is kept until then.
   */
  #repeatChange(slot: number): void {
    const key = this.#old.parts.keys.table.keyOf(slot);
    const now = this.#old.slotOf(key);
    if (now >= this.#copied) return;
    this.#changed.delete(slot);
    if (now === NONE) this.#repeatRemoval(key);
    else if (now === slot) this.#repeatDetails(key, slot);
  }

  #repeatRemoval(key: Uint8Array): void {
    this.#next!.ensure(0, REMOVE_BYTES, 0);
    this.#next!.remove(key);
  }

  #repeatDetails(key: Uint8Array, slot: number): void {
    const next = this.#next!;
    const [text, deadline] = detailsOf(this.#old, slot);
    const copy = next.slotOf(key);
    const [textThere, deadlineThere] = detailsOf(next, copy);
    next.ensure(0, DEADLINE_RECORD_BYTES, attributesBytes(text.length));
    if (!text.equals(textThere)) next.setAttributes(copy, { text, json: undefined });
    if (deadline !== deadlineThere) next.setDeadline(copy, deadline);
  }

  #assertWanted(): void {
    if (this.#stopped) throw new VstoreError("TRYAGAIN", "the compaction was stopped");
  }
}

function detailsOf({ parts, expiry }: Generation, slot: number): [text: Buffer, deadline: number] {
  return [parts.attributes.get(slot) ?? NO_TEXT, expiry.deadlineOf(slot)];
}
