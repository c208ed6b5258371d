/**
 * The collections of one data directory. A collection exists when its directory has its name: CREATE prepares one aside
 * and renames it, DROP renames it away and deletes it, so a crash leaves one state or the other. Control log entries
 * that were applied already are recognised by their ids, so replaying them is harmless.
 */
import * as fs from "node:fs";
import { VstoreError } from "../errors.ts";
import { limits } from "../limits.ts";
import { hasRoomForCollection, tooFewFiles } from "../open-files.ts";
import { type Clock, latestTime } from "./clock.ts";
import { Collection } from "./collection.ts";
import { directoryKind } from "./directory-kind.ts";
import { ControlFile } from "./disk/control-file.ts";
import { rethrow, syncDirectory } from "./disk/files.ts";
import { GroupCommit } from "./disk/group-commit.ts";
import { DirectoryLock } from "./disk/lock.ts";
import { nameIn } from "./disk/manifest.ts";
import { readCheckedManifest } from "./disk/manifest-check.ts";
import {
  collectionDirectory,
  collectionOfDirectory,
  creatingDirectory,
  dropOfDirectory,
  dropOfEnding,
  droppedDirectory,
  isLeftover,
  isReceiving,
  receivingDirectory,
  replacedDirectory,
  replacedOf,
} from "./disk/names.ts";
import { failPoint } from "./fail-point.ts";
import { DamagedCollections } from "./generation/damaged-collections.ts";
import type { Warn } from "./generation/parts.ts";
import { createFiles } from "./generation/recovery.ts";
import { RemainsByDrop } from "./generation/remains.ts";
import { assertAvailable, type IndexChoice } from "./index/kinds.ts";
import { compareIds, FIRST_ID } from "./log-id.ts";
import type { CollectionOptions } from "./options.ts";
import { sideBySide } from "./time-slice.ts";

/** Collections whose files are flushed at the same time: each has some more files open meanwhile. */
const sideBySideMax = 16;

export class Catalog {
  readonly directory: string;
  readonly #lock: DirectoryLock;
  readonly #warn: Warn;
  readonly #index: IndexChoice;
  /** The clock by which reads judge what has expired. */
  readonly clock: Clock;
  readonly #collections = new Map<string, Collection>();
  /** They stay on disk as they are. */
  readonly #damaged: DamagedCollections;
  /** What reads get of collections whose files are whole and hold what they should not. */
  readonly withheld = new Map<string, VstoreError>();
  readonly control: ControlFile;
  /** Caches that were dropped, and whose values may still be there. */
  readonly remains: RemainsByDrop;
  /** Names of collections that are being created. */
  readonly #creating = new Set<string>();
  readonly #names = new GroupCommit(() => syncDirectory(this.directory));

  private constructor(
    directory: string,
    lock: DirectoryLock,
    control: ControlFile,
    warn: Warn,
    index: IndexChoice,
    clock: Clock,
  ) {
    this.clock = clock;
    this.directory = directory;
    this.remains = new RemainsByDrop(directory);
    this.#lock = lock;
    this.control = control;
    this.#warn = warn;
    this.#damaged = new DamagedCollections(warn);
    this.#index = index;
  }

  /**
   * Opens a data directory, which is created when it does not exist. A damaged collection is reported and refused; the
   * others are served.
   *
   * @param warn told of everything that was not as it should be
   * @param clock by which reads judge what has expired
   * @throws {VstoreError} LOCKED, DAMAGED (the directory's own file); ERR when the index is not there
   */
  static async open(
    directory: string,
    warn: Warn = () => {},
    index: IndexChoice = "auto",
    clock: Clock = latestTime(),
  ): Promise<Catalog> {
    assertAvailable(index);
    fs.mkdirSync(directory, { recursive: true });
    if (directoryKind(fs.readdirSync(directory)) === "store") {
      throw new VstoreError("ERR", `${directory} is a store of the library, not a data directory`);
    }
    const lock = DirectoryLock.acquire(directory);
    try {
      const control = await ControlFile.open(directory);
      const catalog = new Catalog(directory, lock, control, warn, index, clock);
      await catalog.#load();
      return catalog;
    } catch (error) {
      lock.release();
      throw error;
    }
  }

  /** Id of the last control log entry that was applied. */
  get controlId(): string {
    return this.control.controlId;
  }

  /** Drawn when these files and a Redis first met; undefined before. */
  get storeId(): string | undefined {
    return this.control.storeId;
  }

  /** Id of the DROP of a collection, if it was dropped since these files have their store id. */
  dropId(name: string): string | undefined {
    return this.control.dropId(name);
  }

  /** From now on these files belong to another Redis. */
  adopt(storeId: string): Promise<void> {
    return this.control.adopt(storeId);
  }

  /** Whether a collection of this name exists, damaged or not. */
  has(name: string): boolean {
    return this.#collections.has(name) || this.#damaged.has(name);
  }

  /** The collection, if it exists and is not damaged. */
  find(name: string): Collection | undefined {
    return this.#collections.get(name);
  }

  /** @throws {VstoreError} NOCOLLECTION, DAMAGED; why it is withheld */
  get(name: string): Collection {
    const [collection, error] = [this.find(name), this.withheld.get(name)];
    if (collection !== undefined && error === undefined) return collection;
    throw error ?? this.#damaged.errorOf(name) ?? new VstoreError("NOCOLLECTION", `no collection '${name}'`);
  }

  /** All names, sorted; damaged collections too. */
  names(): string[] {
    return [...this.#collections.keys(), ...this.#damaged.names()].sort();
  }

  /** The collections that can be used. */
  collections(): Collection[] {
    return [...this.#collections.values()];
  }

  /**
   * Creates a collection; durable when it resolves. An id that was applied before changes nothing.
   *
   * @param id of the control log entry
   * @throws {VstoreError} COLLECTIONEXISTS, LIMIT, FULL
   */
  async create(name: string, options: CollectionOptions, id: string): Promise<Collection> {
    const collection = await this.createLike(name, options, id);
    await this.markControl(id);
    return collection;
  }

  /** The same without remembering the entry: for a collection that another data directory has already. */
  async createLike(name: string, options: CollectionOptions, id: string): Promise<Collection> {
    const existing = this.has(name) ? this.get(name) : undefined;
    if (existing !== undefined && compareIds(existing.createdId, id) >= 0) return existing;
    if (existing !== undefined) {
      throw new VstoreError("COLLECTIONEXISTS", `collection '${name}' exists already`);
    }
    this.#assertRoom();
    this.#creating.add(name);
    let collection: Collection;
    try {
      await this.#createDirectory(name, options, id);
      collection = await this.#openCollection(name);
    } finally {
      this.#creating.delete(name);
    }
    this.#collections.set(name, collection);
    return collection;
  }

  /**
   * Deletes a collection and its files; durable when it resolves. Those of a cache are kept, see `remains`.
   *
   * @param id of the control log entry; a collection that was created later is left alone, and one that this entry has
   * deleted already is no error
   * @throws {VstoreError} NOCOLLECTION
   */
  async drop(name: string, id: string): Promise<void> {
    if (!this.has(name) && compareIds(this.dropId(name) ?? FIRST_ID, id) >= 0) return;
    const collection = this.has(name) ? this.find(name) : this.get(name);
    if (collection !== undefined && compareIds(collection.createdId, id) >= 0) return;
    const isCache = collection?.options.cache !== undefined;
    // Without it, after a crash, those that were set since the last one are not known any more.
    if (isCache) await collection.checkpoint().catch(() => {});
    // From here on nothing may write to the files: their name is about to belong to another collection.
    this.#collections.delete(name);
    await this.#damaged.closed(name);
    const remains = isCache ? await collection.retire() : await collection?.abandon();
    const away = remains ? this.remains.pathOf(id) : this.#path(droppedDirectory(id));
    await fs.promises.rename(this.#path(collectionDirectory(name)), away);
    failPoint("collection-renamed-away");
    if (remains) this.remains.add(id, remains);
    await this.#names.run();
    this.#damaged.delete(name);
    await this.control.mark(id, name);
    if (!remains) await fs.promises.rm(away, { recursive: true });
  }

  /** These entries of the control log are applied side by side, those of one collection one after the other. */
  beginControl(ids: readonly string[]): void {
    this.control.begin(ids);
  }

  /** Remembers that the entry `id` of the control log was applied; durably, unless the disk is full. */
  async markControl(id: string): Promise<void> {
    await this.control.mark(id);
  }

  /** Makes everything written so far durable, in all collections. @throws {VstoreError} FULL */
  async checkpoint(): Promise<void> {
    await this.#eachCollection((collection) => collection.checkpoint());
  }

  /** What VSTORE.INFO without a collection shows. */
  stats(): Record<string, string | number> {
    const all = this.collections();
    return {
      data_directory: this.directory,
      collections: all.length,
      damaged_collections: this.#damaged.size,
      vectors: all.reduce((sum, collection) => sum + collection.length, 0),
      tail_slots: all.reduce((sum, collection) => sum + collection.tailLength, 0),
      control_id: this.controlId,
    };
  }

  /** Saves everything and releases the directory. */
  async close(): Promise<void> {
    try {
      await this.#eachCollection((collection) => collection.close());
    } finally {
      await this.#damaged.closed();
      this.#lock.release();
    }
  }

  #eachCollection(work: (collection: Collection) => Promise<unknown>): Promise<void> {
    return sideBySide(this.collections(), sideBySideMax, work);
  }

  /** @throws {VstoreError} LIMIT, unless there may be one more collection */
  #assertRoom(): void {
    if (this.#collections.size + this.#damaged.size + this.#creating.size >= limits.collectionsMax) {
      const what = `there are ${limits.collectionsMax} collections already, which is the limit`;
      throw new VstoreError("LIMIT", what);
    }
    if (!hasRoomForCollection()) throw new VstoreError("LIMIT", tooFewFiles());
  }

  async #load(): Promise<void> {
    this.#putBackReplaced();
    for (const entry of fs.readdirSync(this.directory)) {
      const name = collectionOfDirectory(entry);
      if (name !== undefined) await this.#open(name);
      else if (isLeftover(entry)) await this.#tidyAway(entry);
      else if (dropOfEnding(entry) !== undefined) await this.#takeUp(entry, dropOfEnding(entry)!);
    }
  }

  /** Deletes what has arrived of snapshots, but for one collection. */
  async forgetArrivals(except?: string): Promise<void> {
    const kept = except === undefined ? undefined : receivingDirectory(except);
    for (const entry of await fs.promises.readdir(this.directory))
      if (isReceiving(entry) && entry !== kept) await fs.promises.rm(this.#path(entry), { recursive: true });
  }

  /**
   * Puts the files that have arrived into the place of those of the collection, if it has any, and opens them. A crash
   * at any moment leaves the old files or the new ones.
   *
   * @throws {VstoreError} LIMIT; DAMAGED, and the collection is refused then
   */
  async replace(name: string): Promise<void> {
    if (!this.has(name)) this.#assertRoom();
    const [own, replaced] = [collectionDirectory(name), replacedDirectory(name)].map((at) => this.#path(at));
    this.#creating.add(name);
    try {
      const old = this.#collections.get(name);
      const isThere = this.has(name);
      this.#collections.delete(name);
      await old?.abandon();
      await this.#damaged.closed(name);
      if (isThere) await fs.promises.rename(own!, replaced!);
      await fs.promises.rename(this.#path(receivingDirectory(name)), own!);
      await this.#names.run();
      this.#damaged.delete(name);
      this.withheld.delete(name);
      await this.#open(name);
      await fs.promises.rm(replaced!, { recursive: true, force: true });
    } finally {
      this.#creating.delete(name);
    }
    this.get(name);
  }

  /** Files that were renamed away, when a crash came before others took their place. */
  #putBackReplaced(): void {
    for (const entry of fs.readdirSync(this.directory)) {
      const own = replacedOf(entry);
      if (own !== undefined && !fs.existsSync(this.#path(own)))
        fs.renameSync(this.#path(entry), this.#path(own));
    }
  }

  /** A DROP that got as far as this was applied: replaying it would find no collection and answer that. */
  async #tidyAway(leftover: string): Promise<void> {
    const dropId = dropOfDirectory(leftover) ?? dropOfEnding(leftover);
    const name = dropId && (await nameIn(this.#path(leftover)));
    if (dropId && name) await this.control.rememberDrop(name, dropId);
    fs.rmSync(this.#path(leftover), { recursive: true });
  }

  /** Of a cache whose values had not ended when this process's predecessor did. */
  async #takeUp(entry: string, dropId: string): Promise<void> {
    try {
      const collection = await Collection.open(this.#path(entry), this.#warn, this.#index, this.clock);
      await this.control.rememberDrop(collection.name, dropId);
      this.remains.add(dropId, await collection.retire());
    } catch (error) {
      if (!(error instanceof VstoreError)) throw error;
      this.#warn("values of a dropped cache stay: its files are damaged", { entry, reason: error.message });
      await this.#tidyAway(entry);
    }
  }

  async #open(name: string): Promise<void> {
    try {
      // Before anything is opened: opening removes what the manifest does not name, and this manifest may be of another
      // one.
      await readCheckedManifest(this.directory, collectionDirectory(name));
      this.#collections.set(name, await this.#openCollection(name));
    } catch (error) {
      if (!(error instanceof VstoreError)) throw error;
      this.#damaged.add(name, error);
    }
  }

  #openCollection(name: string): Promise<Collection> {
    const refuse = (error: VstoreError) => {
      const collection = this.#collections.get(name);
      if (!this.#collections.delete(name)) return;
      this.#damaged.add(name, error, collection?.abandon());
    };
    return Collection.open(
      this.#path(collectionDirectory(name)),
      this.#warn,
      this.#index,
      this.clock,
      refuse,
    );
  }

  async #createDirectory(name: string, options: CollectionOptions, id: string): Promise<void> {
    const aside = this.#path(creatingDirectory(name));
    fs.rmSync(aside, { recursive: true, force: true });
    try {
      fs.mkdirSync(aside);
      const { lineage: log } = this.control;
      const lineage = log && { timeline: log.timeline, ends: [] };
      await createFiles(aside, name, options, id, lineage);
    } catch (error) {
      fs.rmSync(aside, { recursive: true, force: true }); // the part that there was room for
      rethrow(error);
    }
    await fs.promises.rename(aside, this.#path(collectionDirectory(name)));
    failPoint("collection-created");
    await this.#names.run();
  }

  #path(entry: string): string {
    return `${this.directory}/${entry}`;
  }
}
