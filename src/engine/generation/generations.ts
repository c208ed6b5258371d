/**
 * The files of a collection through time: which generation serves, the checkpoints that make it durable, the
 * compactions that put another one in its place, and the index that is saved beside.
 */

import { VstoreError } from "../../errors.ts";
import type { Manifest } from "../disk/manifest.ts";
import { releaseMappings } from "../disk/mapping.ts";
import { failPoint } from "../fail-point.ts";
import { Checkpointer, type CheckpointReport, type LogPoint } from "./checkpoint.ts";
import { Compaction } from "./compaction.ts";
import { Generation } from "./generation.ts";
import { LargeBatch, type Rows } from "./large-batch.ts";
import type { OnDamage, Parts, Warn } from "./parts.ts";
import { removeOtherGenerations } from "./recovery.ts";

export interface GenerationsHooks {
  /** The last log entry that was run, as of now. */
  readonly logPoint: Readonly<LogPoint>;
  /** The time by which reads judge, in ms since 1970. */
  now(): number;
  readonly warn: Warn;
  readonly damaged: OnDamage;
}

export class Generations {
  readonly #hooks: GenerationsHooks;
  readonly #checkpointer: Checkpointer;
  #current: Generation;
  #compaction: Compaction | undefined;
  #compacting: Promise<void> = Promise.resolve();
  /** A compaction is about to put other files in the place of these, until it resolves. */
  #switching: Promise<void> | undefined;
  #endSwitching = () => {};
  /** Files of an earlier generation are left, and no longer used. */
  #hasOldFiles = false;
  /** Where a checkpoint ends that comes after a damage was found; until then where the collection is. */
  #lastId: string | undefined;
  /** What reads get once the files are closed. */
  #ended: VstoreError | undefined;

  constructor(parts: Parts, hooks: GenerationsHooks) {
    this.#hooks = hooks;
    this.#current = this.#start(parts);
    this.#checkpointer = new Checkpointer(this.#current, () => ({
      appliedId: this.#lastId ?? hooks.logPoint.appliedId,
      lineage: hooks.logPoint.lineage,
    }));
  }

  /**
   * Replaced as a whole by a compaction.
   *
   * @throws {VstoreError} once its files are closed: so a read that has waited meanwhile ends, and touches none
   */
  get current(): Generation {
    if (this.#ended !== undefined) throw this.#ended;
    return this.#current;
  }

  /** Writes it ahead, but never to files that are about to be replaced. @throws {VstoreError} ERR, FULL, LIMIT */
  async writeLargeBatch(rows: Rows): Promise<LargeBatch> {
    while (this.#switching !== undefined) await this.#switching;
    return LargeBatch.write(this.current, rows);
  }

  /**
   * The hashes of many keys, in slices. Resolves to a function that has them, or undefined after a compaction that came
   * in between: its table has others.
   */
  async hashesOf(keys: readonly Uint8Array[]): Promise<() => Uint32Array | undefined> {
    const { current } = this;
    const hashes = await current.parts.keys.table.hashesOf(keys);
    return () => (current === this.#current ? hashes : undefined);
  }

  /** Of the last checkpoint. */
  get manifest(): Manifest {
    return this.#checkpointer.manifest;
  }

  /** See Collection. */
  get isCovered(): boolean {
    return this.#checkpointer.isCovered;
  }

  /** See Collection. */
  async checkpoint(): Promise<CheckpointReport> {
    const report = await this.#checkpointer.run();
    // A compaction that is under way has files of its own, and removes the others when it is done.
    if (this.#compaction === undefined) await this.#removeOldFiles();
    return report;
  }

  /** See Collection. */
  async compact(): Promise<void> {
    if (this.#compaction !== undefined) return;
    this.#compaction = new Compaction(this.#current, this.#checkpointer.manifest, this.#hooks.warn);
    this.#compacting = this.#compact(this.#compaction).finally(() => {
      this.#compaction = undefined;
    });
    try {
      await this.#compacting;
    } finally {
      // Only now: everything that knew the old files is unreachable.
      releaseMappings();
    }
  }

  async close(): Promise<void> {
    await this.#stop();
    await this.#saveDerived(true);
    await this.checkpoint();
    await this.#end(new VstoreError("TRYAGAIN", `collection '${this.manifest.name}' is being closed`));
  }

  /** @param keepsAttributes leaves their file open, to be read. Returns the parts. */
  async abandon(keepsAttributes = false): Promise<Parts> {
    await this.#stop();
    await this.#checkpointer.idle();
    const error = new VstoreError("NOCOLLECTION", `collection '${this.manifest.name}' was dropped`);
    await this.#end(error, keepsAttributes);
    return this.#current.parts;
  }

  async #end(error: VstoreError, keepsAttributes = false): Promise<void> {
    this.#ended ??= error;
    await this.#current.close(keepsAttributes);
  }

  async #stop(): Promise<void> {
    this.#compaction?.stop();
    await this.#compacting.catch(() => {});
    await this.#current.indexer.close();
  }

  async #compact(compaction: Compaction): Promise<void> {
    const old = this.#current;
    try {
      const { next, index } = await compaction.prepare((parts) => this.#start(parts));
      await this.#checkpointer.replaceFiles(next, index, {
        prepare: () => this.#catchUp(compaction),
        run: () => {
          compaction.finish();
          this.#current = next;
          next.sum = old.sum;
          next.sum?.moveTo(next.parts);
        },
      });
    } catch (error) {
      if (this.#current === old) await compaction.abandon();
      throw error;
    } finally {
      this.#endSwitching();
      if (this.#current !== old) await this.#retire(old);
    }
    this.#current.indexer.noticeGrowth();
  }

  /** The last large batch is copied before the switch, a slice at a time, and no other one begins until then. */
  async #catchUp(compaction: Compaction): Promise<void> {
    await compaction.catchUp();
    this.#switching = new Promise((over) => {
      this.#endSwitching = () => {
        this.#switching = undefined;
        over();
      };
    });
    while (this.#current.largeBatch !== undefined) await this.#current.largeBatch;
    await compaction.catchUp();
  }

  async #retire(old: Generation): Promise<void> {
    await old.close();
    this.#hasOldFiles = true;
    await this.#removeOldFiles();
  }

  /** Not while the manifest names them. */
  async #removeOldFiles(): Promise<void> {
    if (!this.#hasOldFiles || !this.#checkpointer.isNamed) return;
    failPoint("compaction-before-removal");
    await removeOtherGenerations(this.#current.parts.directory, this.#checkpointer.manifest.generation);
    this.#hasOldFiles = false;
  }

  #refuse(error: VstoreError): void {
    if (this.#ended !== undefined) return;
    this.#ended = error;
    this.#lastId = this.#hooks.logPoint.appliedId;
    this.#hooks.damaged(error);
  }

  #start(parts: Parts): Generation {
    parts.segments.onDamage = (error) => this.#refuse(error);
    return new Generation(parts, {
      indexed: async (generation) => {
        if (generation === this.#current) await this.#saveDerived();
      },
      failed: (error) => this.#report("indexing stopped", error),
      damaged: (generation) => this.#rebuild(generation),
      now: this.#hooks.now,
    });
  }

  #rebuild(generation: Generation): void {
    const { name, index } = generation.parts.manifest;
    const details = { collection: name, file: `${generation.parts.files}/${index?.file}` };
    this.#hooks.warn("the saved index is damaged and is built again", details);
    if (generation !== this.#current) return;
    this.#checkpointer.forgetIndex();
    generation.indexer.noticeGrowth();
  }

  /** Saves index and columns. Ignores a full disk: what is not saved the next start builds again. */
  async #saveDerived(always = false): Promise<void> {
    await this.#checkpointer
      .saveIndex(always)
      .catch((error) => this.#report("the index was not saved", error));
    await this.#checkpointer
      .saveColumns(always)
      .catch((error) => this.#report("the columns were not saved", error));
  }

  #report(what: string, error: unknown): void {
    this.#hooks.warn(what, { collection: this.manifest.name, reason: String(error) });
  }
}
