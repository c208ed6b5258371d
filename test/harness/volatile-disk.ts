/**
 * A disk that can lose its power, played where the engine calls the file system: what was synced is there afterwards;
 * of everything else each page of a file and each name in a directory is, at random, as of its last sync or as it was
 * when the power failed. Journals of real file systems promise more, so what survives here survives there.
 */
import * as fs from "node:fs";

const PAGE_BYTES = 4096;
const NOTHING = Buffer.alloc(0);

/** A file or directory, whatever its name. */
type Identity = string;

export class VolatileDisk {
  /** Of files: the bytes of the last sync. */
  readonly #bytes = new Map<Identity, Buffer>();
  /** Of directories: the names of the last sync. */
  readonly #names = new Map<Identity, ReadonlyMap<string, Identity>>();

  /** To be called before the real sync: what comes later is not promised by it. */
  sync(path: string): void {
    const identity = identityOf(path);
    if (fs.statSync(path).isDirectory()) this.#names.set(identity, namesIn(path));
    else this.#bytes.set(identity, fs.readFileSync(path));
  }

  /** Copies what may be left of a directory, whose own name was synced, into an empty one. */
  fail(directory: string, copy: string, random: () => number): void {
    const paths = pathsBelow(directory);
    const restore = (identity: Identity, to: string) => {
      const path = paths.get(identity);
      const isDirectory = path === undefined ? this.#names.has(identity) : fs.statSync(path).isDirectory();
      if (isDirectory) {
        fs.mkdirSync(to, { recursive: true });
        const synced = this.#names.get(identity) ?? new Map();
        const names = mixed(synced, path === undefined ? synced : namesIn(path), random);
        for (const [name, entry] of names) restore(entry, `${to}/${name}`);
      } else {
        const synced = this.#bytes.get(identity) ?? NOTHING;
        fs.writeFileSync(to, mixedPages(synced, path === undefined ? synced : fs.readFileSync(path), random));
      }
    };
    restore(identityOf(directory), copy);
  }
}

/** Numbers of deleted files are used again, but not at the same time. */
function identityOf(path: string): Identity {
  const { ino, birthtimeNs } = fs.statSync(path, { bigint: true });
  return `${ino} ${birthtimeNs}`;
}

function namesIn(directory: string): Map<string, Identity> {
  return new Map(fs.readdirSync(directory).map((name) => [name, identityOf(`${directory}/${name}`)]));
}

function pathsBelow(directory: string): Map<Identity, string> {
  const all = fs.readdirSync(directory, { recursive: true, encoding: "utf8" });
  const paths = [directory, ...all.map((name) => `${directory}/${name}`)];
  return new Map(paths.map((path) => [identityOf(path), path]));
}

function mixed(
  synced: ReadonlyMap<string, Identity>,
  now: ReadonlyMap<string, Identity>,
  random: () => number,
): [string, Identity][] {
  const names = [...new Set([...synced.keys(), ...now.keys()])];
  const chosen = names.map((name) => [name, (random() < 0.5 ? synced : now).get(name)] as const);
  return chosen.filter((each): each is [string, Identity] => each[1] !== undefined);
}

function mixedPages(synced: Buffer, now: Buffer, random: () => number): Buffer {
  const bytes = Buffer.alloc((random() < 0.5 ? synced : now).length);
  for (let at = 0; at < bytes.length; at += PAGE_BYTES) {
    const source = random() < 0.5 ? synced : now;
    source.subarray(at, at + PAGE_BYTES).copy(bytes, at);
  }
  return bytes;
}
