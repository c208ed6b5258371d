/**
 * The structure of hnswlib's dump. hnswlib trusts it: a link to a node that does not exist reads outside of its memory.
 * So this file checks everything that hnswlib follows before it gets the dump. Little-endian:
 *
 *   96 bytes    header, below
 *   n rows      of each node: links of layer 0, vector, label (8 bytes)
 *   n lists     of each node: its length in bytes, then the links of layers 1, 2, …
 *
 * Links of a layer: a word whose lower half is their number, then room for as many as the layer may have.
 */
import * as fs from "node:fs";
import { COMPONENT_BYTES } from "../disk/layout.ts";
import type { CollectionOptions } from "../options.ts";
import { Bitmap } from "../slots/bitmap.ts";
import { TimeSlice } from "../time-slice.ts";

const HEADER_BYTES = 96;
const WORD_BYTES = 4;
const LABEL_BYTES = 8;
const CHUNK_WORDS = 1 << 18;
/** hnswlib draws levels with a probability that falls by M each; none is near that. */
const LEVEL_MAX = 64;

type Options = Pick<CollectionOptions, "dimensions" | "M" | "efConstruction">;

interface Header {
  readonly nodes: number;
  readonly rowBytes: number;
  readonly layers: number;
  readonly entry: number;
}

/**
 * @param slots that there are: a label is one of them
 * @param capacityMin nodes that a new graph has room for
 * @throws Error when the file is not a dump that is safe to load
 */
export async function checkGraphFile(
  path: string,
  options: Options,
  slots: number,
  capacityMin: number,
): Promise<void> {
  const { dimensions, M } = options;
  const descriptor = fs.openSync(path, "r");
  try {
    const header = readHeader(descriptor, options, capacityMin);
    const rows = new Words(descriptor, HEADER_BYTES);
    await checkRows(rows, header, dimensions, M, slots);
    const lists = HEADER_BYTES + header.nodes * header.rowBytes;
    const levels = await readLevels(new Words(descriptor, lists), header, M);
    await checkLists(new Words(descriptor, lists), levels, M);
    if (header.nodes > 0) expect(levels[header.entry] === header.layers, "its entry is not on the top layer");
  } finally {
    fs.closeSync(descriptor);
  }
}

function readHeader(
  descriptor: number,
  { dimensions, M, efConstruction }: Options,
  capacityMin: number,
): Header {
  const bytes = Buffer.alloc(HEADER_BYTES);
  expect(fs.readSync(descriptor, bytes, 0, HEADER_BYTES, 0) === HEADER_BYTES, "it is too short");
  const long = (at: number): number => Number(bytes.readBigUInt64LE(at));
  const [capacity, nodes, rowBytes] = [long(8), long(16), long(24)];
  const linkBytes = WORD_BYTES * (2 * M + 1);
  const labelAt = linkBytes + COMPONENT_BYTES * dimensions;
  const offsets = long(0) === 0 && long(32) === labelAt && long(40) === linkBytes;
  expect(offsets && rowBytes === labelAt + LABEL_BYTES, "it is of other options");
  expect(long(56) === M && long(64) === 2 * M && long(72) === M, "it is of other options");
  const levels = bytes.readDoubleLE(80) * Math.log(M); // new nodes are spread over layers by it
  expect(long(88) === Math.max(efConstruction, M) && Math.abs(levels - 1) < 1e-9, "it is of other options");
  // As HnswlibGraph grows it.
  expect(nodes <= capacity && capacity <= Math.max(2 * nodes, capacityMin), "its capacity is out of range");
  const [layers, entry] = [bytes.readInt32LE(48), bytes.readUInt32LE(52)];
  if (nodes === 0) expect(layers === -1, "it has layers and no nodes");
  else expect(layers >= 0 && layers <= LEVEL_MAX && entry < nodes, "its entry is out of range");
  return { nodes, rowBytes, layers, entry };
}

async function checkRows(
  words: Words,
  { nodes, rowBytes }: Header,
  dimensions: number,
  M: number,
  slots: number,
): Promise<void> {
  const seen = new Bitmap();
  const labelAt = 2 * M + 1 + dimensions;
  const slice = new TimeSlice();
  for (let node = 0; node < nodes; node++) {
    if (slice.spent) await slice.pause();
    const row = words.next(rowBytes / WORD_BYTES);
    checkLinks(row, 2 * M, nodes);
    const label = row[labelAt]!;
    expect(row[labelAt + 1] === 0 && label < slots && !seen.has(label), `node ${node} has no slot`);
    seen.add(label);
  }
}

/** The topmost layer of each node, and the end of the file after the last. */
async function readLevels(words: Words, { nodes, layers }: Header, M: number): Promise<Uint8Array> {
  const levels = new Uint8Array(nodes);
  const slice = new TimeSlice();
  for (let node = 0; node < nodes; node++) {
    if (slice.spent) await slice.pause();
    const level = words.next(1)[0]! / (WORD_BYTES * (M + 1));
    expect(Number.isInteger(level) && level <= layers, `node ${node} is above the top layer`);
    levels[node] = level;
    words.next(level * (M + 1));
  }
  expect(words.isAtEnd, "it is too long");
  return levels;
}

/** A link of a layer leads to a node that is on it. */
async function checkLists(words: Words, levels: Uint8Array, M: number): Promise<void> {
  const slice = new TimeSlice();
  for (const level of levels) {
    if (slice.spent) await slice.pause();
    words.next(1);
    for (let layer = 1; layer <= level; layer++) {
      const links = words.next(M + 1);
      checkLinks(links, M, levels.length);
      for (let i = 1; i <= countOf(links); i++)
        expect(levels[links[i]!]! >= layer, "a link leaves its layer");
    }
  }
}

const countOf = (links: Uint32Array): number => links[0]! & 0xffff;

function checkLinks(links: Uint32Array, max: number, nodes: number): void {
  const count = countOf(links);
  // Of the upper half, one bit says that the node is deleted.
  expect(count <= max && links[0]! >>> 17 === 0, "it has more links than there is room for");
  for (let i = 1; i <= count; i++) expect(links[i]! < nodes, "a link leads nowhere");
}

function expect(isRight: boolean, fault: string): void {
  if (!isRight) throw new Error(`not a graph that can be loaded: ${fault}`);
}

/** The 32-bit words of a file, one after the other. */
class Words {
  readonly #descriptor: number;
  readonly #chunk = new Uint32Array(CHUNK_WORDS);
  #position: number;
  #from = 0;
  #to = 0;

  constructor(descriptor: number, position: number) {
    this.#descriptor = descriptor;
    this.#position = position;
  }

  /** Valid until the next call. @throws Error when the file ends before */
  next(count: number): Uint32Array {
    if (this.#from + count > this.#to) this.#refill();
    expect(this.#from + count <= this.#to, "it is too short");
    this.#from += count;
    return this.#chunk.subarray(this.#from - count, this.#from);
  }

  get isAtEnd(): boolean {
    if (this.#from === this.#to) this.#refill();
    return this.#from === this.#to;
  }

  #refill(): void {
    this.#chunk.copyWithin(0, this.#from, this.#to);
    this.#to -= this.#from;
    this.#from = 0;
    const room = (CHUNK_WORDS - this.#to) * WORD_BYTES;
    const bytes = fs.readSync(this.#descriptor, this.#chunk, this.#to * WORD_BYTES, room, this.#position);
    this.#position += bytes;
    this.#to += Math.floor(bytes / WORD_BYTES);
  }
}
