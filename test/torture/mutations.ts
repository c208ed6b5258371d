/** Seeded damage to the bytes of files: what disks, copying by hand, and restoring the wrong backup do. */
import { SEGMENT_HEADER } from "../../src/engine/disk/layout.ts";

/** Files by path; undefined: deleted. */
export type Files = ReadonlyMap<string, Buffer>;
export type Changes = Map<string, Buffer | undefined>;

const RANGE_BYTES_MAX = 64;
const GROWTH_BYTES_MAX = 4_096;
/** Of the places in a segment, the share that lies where rows count. */
const COUNTED_SHARE = 0.7;
/** Header and counted rows of every segment here: the rest of the file is zeros. */
const COUNTED_BYTES = SEGMENT_HEADER.bytes + 4_096;

type Random = () => number;
const below = (random: Random, limit: number): number => Math.floor(random() * limit);
const range = (random: Random): number => 1 + below(random, RANGE_BYTES_MAX);

type ByteDamage = (bytes: Buffer, at: number, random: Random) => Buffer;

const byteDamages: Record<string, ByteDamage> = {
  flip(bytes, at, random) {
    if (at < bytes.length) bytes[at]! ^= 1 << below(random, 8);
    return bytes;
  },
  zero: (bytes, at, random) => bytes.fill(0, at, Math.min(at + range(random), bytes.length)),
  scribble(bytes, at, random) {
    const end = Math.min(at + range(random), bytes.length);
    for (let i = at; i < end; i++) bytes[i] = below(random, 256);
    return bytes;
  },
  truncate: (bytes, at) => bytes.subarray(0, at),
  extend: (bytes, _at, random) =>
    Buffer.concat([bytes, Buffer.alloc(1 + below(random, GROWTH_BYTES_MAX), 0xff)]),
  duplicate(bytes, at, random) {
    bytes.copy(bytes, below(random, bytes.length), at, at + range(random));
    return bytes;
  },
  swap(bytes, at, random) {
    const [length, other] = [range(random), below(random, bytes.length)];
    const first = Buffer.from(bytes.subarray(at, at + length));
    bytes.copy(bytes, at, other, other + length);
    first.copy(bytes, other);
    return bytes;
  },
  insert: (bytes, at, random) => {
    const inserted = bytes.subarray(at, at + range(random));
    return Buffer.concat([bytes.subarray(0, at), inserted, bytes.subarray(at)]);
  },
  remove: (bytes, at, random) => Buffer.concat([bytes.subarray(0, at), bytes.subarray(at + range(random))]),
  empty: () => Buffer.alloc(0),
};
const byteDamageNames = Object.keys(byteDamages);

/** One mutation: what it does, in words, and what the files hold afterwards. */
export function mutate(files: Files, older: Files, random: Random): { what: string; changes: Changes } {
  const paths = [...files.keys()];
  const path = paths[below(random, paths.length)]!;
  const choice = random();
  if (choice < 0.8) return damageBytes(files, path, random);
  const other = paths[below(random, paths.length)]!;
  if (choice < 0.84) return { what: `delete ${path}`, changes: new Map([[path, undefined]]) };
  if (choice < 0.88) return { what: `${path} := older`, changes: new Map([[path, older.get(path)]]) };
  if (choice < 0.92) return { what: `${path} := ${other}`, changes: new Map([[path, files.get(other)]]) };
  if (choice < 0.97) return swapFiles(files, [path], [other]);
  return swapDirectories(files, path, other);
}

/** One to three times in the same file. */
function damageBytes(files: Files, path: string, random: Random): { what: string; changes: Changes } {
  let bytes: Buffer = Buffer.from(files.get(path)!);
  let what = path;
  for (let times = 1 + below(random, 3); times > 0 && bytes.length > 0; times--) {
    const name = byteDamageNames[below(random, byteDamageNames.length)]!;
    const at = place(path, bytes.length, random);
    bytes = byteDamages[name]!(bytes, at, random);
    what += `, ${name} at ${at}`;
  }
  return { what, changes: new Map([[path, bytes]]) };
}

function place(path: string, length: number, random: Random): number {
  const isCounted = path.endsWith(".vec") && random() < COUNTED_SHARE;
  return below(random, isCounted ? Math.min(length, COUNTED_BYTES) : length);
}

function swapFiles(files: Files, some: string[], others: string[]): { what: string; changes: Changes } {
  const pairs = some.map((path, at) => [path, others[at]!] as const);
  const changes: Changes = new Map();
  for (const [a, b] of pairs) changes.set(a, files.get(b)).set(b, files.get(a));
  return { what: `swap ${some.join(" ")} and ${others.join(" ")}`, changes };
}

/** All files of one collection for all those of another. */
function swapDirectories(files: Files, path: string, other: string): { what: string; changes: Changes } {
  const [from, to] = [path, other].map((each) => each.slice(0, each.lastIndexOf("/") + 1)) as [
    string,
    string,
  ];
  if (from === "" || to === "" || from === to) return swapFiles(files, [path], [other]);
  const names = [...files.keys()]
    .filter((each) => each.startsWith(from))
    .map((each) => each.slice(from.length));
  const paired = names.filter((name) => files.has(to + name));
  return swapFiles(
    files,
    paired.map((name) => from + name),
    paired.map((name) => to + name),
  );
}
