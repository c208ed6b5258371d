/**
 * Moves slots from the tail into the index, in slot order, in the background. It alone changes the index, and
 * never adds to it while it is being saved. Slots below `watermark` are in the index or dead; the tail is the rest.
 */

import { giveWay } from "../time-slice.ts";
import type { VectorIndex, VectorIndexKind } from "./vector-index.ts";

/** Tail slots that are left to exact search before indexing starts by itself. */
export const TAIL_SLOTS_MAX = 1_000;
/** Tail slots from which on indexing no longer gives way to requests: scanning the tail would cost them more. */
const TAIL_SLOTS_URGENT = 10_000;
/** After growth by this factor every slot is looked for again. */
const MENDING_GROWTH = 1.5;

export interface IndexerHooks {
  /** How many slots the collection has now. */
  slots(): number;
  /** Makes sure that the rows of [from, to) are what was written; undefined where that is known. */
  prove(from: number, to: number): Promise<void> | undefined;
  /** The goal was reached. */
  idle(): Promise<void>;
  /** Indexing in the background failed; it is not tried again before the next start or BUILD. */
  failed(error: unknown): void;
  /** The saved index was damaged. It is empty now and is built again. */
  damaged(): void;
}

export class Indexer {
  readonly index: VectorIndex;
  readonly #kind: VectorIndexKind;
  readonly #hooks: IndexerHooks;
  #watermark: number;
  /** Slots below this one are to be indexed now. */
  #goal = 0;
  #work: Promise<void> | undefined;
  /** Ends when the index is neither added to nor saved. */
  #turn: Promise<unknown>;
  #automatic = true;
  /** A caller waits for the goal. */
  #urgent = false;
  #closed = false;
  /** Slots that the last look at the whole index went through, and how far the present one is. */
  #mended: number;
  #mending = Number.POSITIVE_INFINITY;

  constructor(kind: VectorIndexKind, index: VectorIndex, watermark: number, hooks: IndexerHooks) {
    this.#kind = kind;
    this.index = index;
    this.#watermark = watermark;
    this.#mended = watermark;
    this.#hooks = hooks;
    this.#turn = this.#prove().catch((error: unknown) => {
      this.#automatic = false;
      hooks.failed(error);
    });
  }

  get watermark(): number {
    return this.#watermark;
  }

  get tailLength(): number {
    return this.#hooks.slots() - this.#watermark;
  }

  /** For VSTORE.INFO, in display order. */
  stats() {
    const { health, memoryBytes, mapped } = this.index;
    return {
      indexed_slots: this.#watermark,
      missed_slots: health.missed,
      relinked_slots: health.relinked,
      centred: health.centred ? 1 : 0,
      index_bytes: memoryBytes,
      index_mapped_bytes: mapped.bytes,
      index_resident_bytes: mapped.resident,
      tail_slots: this.tailLength,
    };
  }

  /** Must be called after slots were appended. */
  noticeGrowth(): void {
    if (this.#work !== undefined || !this.#automatic || this.tailLength <= TAIL_SLOTS_MAX) return;
    this.#reachGoal().catch((error: unknown) => {
      this.#automatic = false;
      this.#hooks.failed(error);
    });
  }

  /** Indexes every slot that exists now; resolves when that is done, or the indexer is closed. */
  build(): Promise<void> {
    this.#urgent = true;
    return this.#reachGoal();
  }

  /** Writes the index to a file, between two batches; returns the watermark that the file stands for. */
  save(path: string): Promise<number> {
    return this.#exclusively(async () => {
      await this.index.save(path);
      return this.#watermark;
    });
  }

  /** Stops after the batch that is being added. */
  async close(): Promise<void> {
    this.#closed = true;
    await this.#work?.catch(() => {});
    await this.#turn;
  }

  /** The first turn: nothing may be added to an index before all of its file was read. */
  async #prove(): Promise<void> {
    if (await this.index.prove(() => this.#closed)) return;
    this.#watermark = 0;
    this.#mended = 0;
    this.#hooks.damaged();
  }

  #reachGoal(): Promise<void> {
    this.#goal = this.#hooks.slots();
    this.#work ??= this.#workOff();
    return this.#work;
  }

  async #workOff(): Promise<void> {
    try {
      while (!this.#closed && (this.#hasToAdd || this.#hasToMend())) {
        await this.#exclusively(() => (this.#hasToAdd ? this.#addBatch() : this.#mendBatch()));
        if (this.#kind.blocks && !this.#urgent && this.tailLength < TAIL_SLOTS_URGENT) await giveWay();
      }
    } finally {
      // In the same tick as the last check of the goal: raising the goal from now on starts new work.
      this.#work = undefined;
      this.#urgent = false;
    }
    if (!this.#closed) await this.#hooks.idle();
  }

  get #hasToAdd(): boolean {
    return this.#watermark < this.#goal || this.tailLength > TAIL_SLOTS_MAX;
  }

  /** Later links replace earlier ones, so once the index has grown by half it is looked through again. */
  #hasToMend(): boolean {
    if (this.#watermark >= this.#mended * MENDING_GROWTH) {
      this.#mended = this.#watermark;
      this.#mending = 0;
    }
    return this.#mending < this.#mended;
  }

  async #mendBatch(): Promise<void> {
    if (this.#closed) return;
    const end = Math.min(this.#mending + this.#kind.batchSlots, this.#mended);
    await this.index.mend(this.#mending, end);
    this.#mending = end;
  }

  async #addBatch(): Promise<void> {
    if (this.#closed) return;
    const end = Math.min(this.#watermark + this.#kind.batchSlots, this.#hooks.slots());
    await this.#hooks.prove(this.#watermark, end);
    await this.index.add(this.#watermark, end);
    await this.index.mend(this.#watermark, end);
    this.#watermark = end;
  }

  #exclusively<T>(work: () => Promise<T>): Promise<T> {
    const turn = this.#turn.then(work);
    this.#turn = turn.catch(() => {});
    return turn;
  }
}
