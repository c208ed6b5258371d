/** A store that is damaged: small collections, what is in them after each checkpoint, and their files. */
import * as fs from "node:fs";
import { dirname } from "node:path";
import { generator, randomVector } from "../../harness/random.ts";
import { Catalog } from "../../src/engine/catalog.ts";
import type { Collection } from "../../src/engine/collection.ts";
import { LOCK_FILE } from "../../src/engine/disk/names.ts";
import { resolveOptions } from "../../src/engine/options.ts";
import type { Contents } from "./damage-contents.ts";
import type { Changes, Files } from "./mutations.ts";

const DIMENSIONS = 4;
const KEYS = 60;
const WRITES = 90;
/** A whole minute, far in the future. */
const FIRST_DEADLINE = 60_000_000_000_000;
const MINUTE_MS = 60_000;
/** Modification time of a file that was not written to since it was put back; the clock of files is coarse. */
const LONG_AGO_SECONDS = 1_000_000_000;

/** An existing store, its files as they should be, and a way back to them. */
export class Specimen {
  readonly directory: string;
  readonly names: readonly string[];
  /** Of the last checkpoint, and of the one before. */
  files: Files = new Map();
  older: Files = new Map();
  /** By collection and applied id. */
  readonly #contents = new Map<string, Contents>();

  constructor(directory: string, names: readonly string[]) {
    this.directory = directory;
    this.names = names;
  }

  remember(name: string, appliedId: string, contents: Contents): void {
    this.#contents.set(`${name} ${appliedId}`, new Map(contents));
  }

  /** @throws Error when the collection was never saved in that state */
  contentsOf(name: string, appliedId: string): Contents {
    const contents = this.#contents.get(`${name} ${appliedId}`);
    if (contents === undefined) throw new Error(`'${name}' opened as of ${appliedId}, which it never was`);
    return contents;
  }

  readFiles(): Files {
    return new Map(this.#list().map((path) => [path, fs.readFileSync(`${this.directory}/${path}`)]));
  }

  apply(changes: Changes): void {
    for (const [path, bytes] of changes) this.#write(path, bytes);
  }

  /** Puts back what was changed, by the mutation or by opening the result. */
  restore(changes: Changes): void {
    for (const path of this.#list()) if (!this.files.has(path)) this.#write(path, undefined);
    for (const path of [...changes.keys(), ...this.changedBeside(changes)]) this.#putBack(path);
  }

  /** Files that are not as they were, other than those of `changes`. */
  changedBeside(changes: Changes): string[] {
    const others = [...this.files.keys()].filter((path) => !changes.has(path));
    return others.filter((path) => !this.#isIntact(path));
  }

  #isIntact(path: string): boolean {
    const full = `${this.directory}/${path}`;
    const stat = fs.statSync(full, { throwIfNoEntry: false });
    // The time spares reading most of the files; truncating one to the size it has changes the time alone.
    if (stat === undefined || stat.mtimeMs === LONG_AGO_SECONDS * 1_000) return stat !== undefined;
    return fs.readFileSync(full).equals(this.files.get(path)!);
  }

  #write(path: string, bytes: Buffer | undefined): void {
    const full = `${this.directory}/${path}`;
    if (bytes === undefined) {
      fs.rmSync(full, { force: true, recursive: true });
      return;
    }
    fs.mkdirSync(dirname(full), { recursive: true }); // opening may have removed what an older manifest does not name
    fs.writeFileSync(full, bytes);
  }

  #putBack(path: string): void {
    this.#write(path, this.files.get(path));
    fs.utimesSync(`${this.directory}/${path}`, LONG_AGO_SECONDS, LONG_AGO_SECONDS);
  }

  #list(): string[] {
    return fs
      .readdirSync(this.directory, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile() && entry.name !== LOCK_FILE)
      .map((entry) => `${entry.parentPath}/${entry.name}`.slice(this.directory.length + 1));
  }
}

/** @param compacted those of the collections that are compacted between the two checkpoints */
export async function createSpecimen(
  directory: string,
  names: readonly string[],
  seed: number,
  compacted: readonly string[] = [],
): Promise<Specimen> {
  const specimen = new Specimen(directory, names);
  const random = generator(seed);
  const catalog = await Catalog.open(directory);
  const filled = new Map<string, Contents>();
  for (const [at, name] of specimen.names.entries()) {
    await catalog.create(name, resolveOptions({ dimensions: DIMENSIONS, metric: "L2" }), `${at + 1}-0`);
    filled.set(name, new Map());
  }
  for (const round of [1, 2]) {
    for (const [name, contents] of filled) {
      const collection = catalog.get(name);
      for (let i = 0; i < WRITES; i++) writeSomething(collection, contents, random);
      collection.appliedId = `${round}000-0`;
      specimen.remember(name, collection.appliedId, contents);
      await collection.build();
      await collection.checkpoint();
    }
    if (round === 2) continue;
    specimen.older = specimen.readFiles();
    for (const name of compacted) await catalog.get(name).compact();
  }
  await catalog.close();
  specimen.files = specimen.readFiles();
  specimen.restore(new Map(specimen.files));
  return specimen;
}

function writeSomething(collection: Collection, contents: Contents, random: () => number): void {
  const key = `key ${Math.floor(random() * KEYS)}`;
  if (random() < 0.15) {
    collection.delete([Buffer.from(key)]);
    contents.delete(key);
    return;
  }
  const known = contents.get(key);
  if (random() < 0.15 && known !== undefined) {
    const deadline = random() < 0.3 ? 0 : FIRST_DEADLINE + Math.floor(random() * 1_000) * MINUTE_MS;
    if (deadline === 0) collection.lifetimes.persist(Buffer.from(key));
    else collection.lifetimes.expire(Buffer.from(key), deadline);
    contents.set(key, { ...known, deadline });
    return;
  }
  const vector = randomVector(random, DIMENSIONS);
  const attributes = random() < 0.5 ? JSON.stringify({ key, at: random() }) : known?.attributes;
  collection.insert(Buffer.from(key), vector, { attributes });
  contents.set(key, { vector, attributes, deadline: 0 });
}
