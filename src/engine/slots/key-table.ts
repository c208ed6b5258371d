/**
 * Which slot holds which key, in both directions, in memory. Typed arrays instead of a Map: a Map ends at 16.7 M
 * entries and takes about 100 bytes for each, this takes 20 to 30 and the key itself.
 *
 * Slot → key is a paged array over an arena of key bytes. Key → slot is an open-addressing hash table with linear
 * probing, cut into shards that grow one by one, so that no insertion waits for all keys to be rehashed. An entry holds
 * the hash too: passing over another key, and growing, fetch nothing else into the processor's cache. Entries stand in
 * about the order of their hashes, whatever the size of the table, so that an iteration needs only the hash that it has
 * come to. Keys of dead slots stay in the arena: searches that began before the key died still name it.
 */
import { randomInt } from "node:crypto";
import { TimeSlice } from "../time-slice.ts";
import { murmur3 } from "./hash.ts";

/** No slot. */
export const NONE = -1;

const PAGE_SLOTS = 1 << 16;
/** Of a page and of an arena at first: they double, so that a small collection takes little memory. */
const PAGE_SLOTS_MIN = 64;
const ARENA_BYTES_MIN = 1 << 11;
const ARENA_BYTES_MAX = 1 << 20;
const SHARD_BITS = 8;
const SHARDS = 1 << SHARD_BITS;
const SHARD_ENTRIES_MIN = 16;
/** Different tags: with a position they make a number that JavaScript holds exactly. */
const TAGS = 2 ** 20;
/** Entries of a shard that may be in use, as a share of all. */
const LOAD_MAX = 0.75;

/** Longer keys are copied and compared by the runtime: a call into it takes as long as a loop over so many bytes. */
const LOOP_BYTES_MAX = 128;

/**
 * Where the keys of up to PAGE_SLOTS consecutive slots are: of each the number of its arena, then length and offset in
 * one. A search names keys of slots far apart, and each of them is in one line of the processor's cache.
 */
type Page = Uint32Array;

/** An offset is at most ARENA_BYTES_MAX. */
const OFFSET_BITS = 21;
const OFFSET_MASK = (1 << OFFSET_BITS) - 1;

/** Entries are pairs: slot + 1 (0: empty) and hash. Their number is a power of two. */
interface Shard {
  entries: Uint32Array;
  used: number;
}

/** How many arenas, and how much of the last one. */
export interface KeptKeys {
  readonly arenas: number;
  readonly used: number;
  readonly bytes: number;
}

/** Numbers of one entry, and of one slot in its page. */
const WIDTH = 2;

/** Stands for every shard that has had no key yet. Never written to. */
const EMPTY: Shard = { entries: new Uint32Array(SHARD_ENTRIES_MIN * WIDTH), used: 0 };

/** Keys that are hashed between two looks at the clock. */
const KEYS_PER_LOOK = 64;

/** Beyond all hashes. */
const HASHES = 2 ** 32;

export class KeyTable {
  /** Keys that have a slot. */
  size = 0;
  readonly #seed = randomInt(2 ** 32);
  readonly #pages: Page[] = [];
  readonly #arenas: Buffer[] = [];
  /** Of the last arena, and of all of its bytes. */
  #arenaUsed = 0;
  #arenaBytes = 0;
  /** Written so that the loads of `fetch` are not left out. */
  #fetched = 0;
  readonly #shards: Shard[] = Array.from({ length: SHARDS }, () => EMPTY);

  /** The slot of the key, or NONE. */
  find(key: Uint8Array, hash = murmur3(key, this.#seed)): number {
    const { entries } = this.#shardOf(hash);
    return entries[this.#probe(entries, hash, key)]! - 1;
  }

  /** What the other methods may be given, where the key is known earlier. */
  hashOf(key: Uint8Array): number {
    return murmur3(key, this.#seed);
  }

  /** The same for many keys, in slices. If they take a while, it ends where a long step may begin. */
  async hashesOf(keys: readonly Uint8Array[]): Promise<Uint32Array> {
    const hashes = new Uint32Array(keys.length);
    const slice = new TimeSlice();
    for (let i = 0; i < keys.length; i++) {
      hashes[i] = this.hashOf(keys[i]!);
      if (i % KEYS_PER_LOOK === 0 && slice.spent) await slice.pause();
    }
    if (keys.length > KEYS_PER_LOOK) await slice.beforeLongStep();
    return hashes;
  }

  /**
   * Gives the key, bytes[start, end), a slot that had none before; returns the slot it held until now, or NONE. A
   * range, because a start reads millions of keys out of one window, and a view on each takes a fifth longer.
   */
  set(
    bytes: Uint8Array,
    slot: number,
    start = 0,
    end = bytes.length,
    hash = murmur3(bytes, this.#seed, start, end),
  ): number {
    this.#remember(slot, bytes, start, end);
    return this.#enter(bytes, slot, start, end, hash);
  }

  #enter(bytes: Uint8Array, slot: number, start: number, end: number, hash: number): number {
    const shard = this.#shardToFill(hash);
    const at = this.#probe(shard.entries, hash, bytes, start, end);
    const previous = shard.entries[at]! - 1;
    shard.entries[at] = slot + 1;
    shard.entries[at + 1] = hash;
    if (previous === NONE) this.#added(shard);
    return previous;
  }

  /** Keeps the bytes of a key for a slot that comes later, with `setKept`. Nothing else may be set meanwhile. */
  keepAhead(key: Uint8Array, slot: number): void {
    this.#remember(slot, key, 0, key.length);
  }

  /** Where `forgetAhead` takes the table back to: what was kept ahead since takes no memory then. */
  get kept(): KeptKeys {
    return { arenas: this.#arenas.length, used: this.#arenaUsed, bytes: this.#arenaBytes };
  }

  forgetAhead({ arenas, used, bytes }: KeptKeys): void {
    this.#arenas.length = arenas;
    [this.#arenaUsed, this.#arenaBytes] = [used, bytes];
  }

  /** The same as `set`, for a key that was kept ahead. */
  setKept(key: Uint8Array, slot: number, hash: number): number {
    return this.#enter(key, slot, 0, key.length, hash);
  }

  /** Removes the key; returns the slot it held, or NONE. */
  delete(key: Uint8Array, hash = murmur3(key, this.#seed)): number {
    const shard = this.#shardOf(hash);
    const at = this.#probe(shard.entries, hash, key);
    const slot = shard.entries[at]! - 1;
    if (slot === NONE) return NONE;
    this.#closeGap(shard.entries, at);
    shard.used--;
    this.size--;
    return slot;
  }

  /** The key that the slot was given; also when the slot is dead. A view, not to be written to. */
  keyOf(slot: number): Uint8Array {
    const page = this.#pages[Math.floor(slot / PAGE_SLOTS)]!;
    const at = (slot % PAGE_SLOTS) * WIDTH;
    const place = page[at + 1]!;
    const start = place & OFFSET_MASK;
    return this.#arenas[page[at]!]!.subarray(start, start + (place >>> OFFSET_BITS));
  }

  lengthOf(slot: number): number {
    return this.#pages[Math.floor(slot / PAGE_SLOTS)]![(slot % PAGE_SLOTS) * WIDTH + 1]! >>> OFFSET_BITS;
  }

  /**
   * Brings the keys of slots[from, to) into the processor's cache, all at the same time. To a loop that copies them one
   * after the other each would come by itself, after the one before.
   */
  fetch(slots: Uint32Array, from: number, to: number): void {
    let sum = 0;
    for (let i = from; i < to; i++) {
      const slot = slots[i]!;
      const page = this.#pages[Math.floor(slot / PAGE_SLOTS)]!;
      const at = (slot % PAGE_SLOTS) * WIDTH;
      sum += this.#arenas[page[at]!]![page[at + 1]! & OFFSET_MASK]!;
    }
    this.#fetched = (this.#fetched + sum) & 0xff;
  }

  /** Writes the bytes that `keyOf` has; returns where they end. */
  copyKey(slot: number, target: Buffer, at: number): number {
    const page = this.#pages[Math.floor(slot / PAGE_SLOTS)]!;
    const place = page[(slot % PAGE_SLOTS) * WIDTH + 1]!;
    const [start, length] = [place & OFFSET_MASK, place >>> OFFSET_BITS];
    const arena = this.#arenas[page[(slot % PAGE_SLOTS) * WIDTH]!]!;
    if (length > LOOP_BYTES_MAX) return at + arena.copy(target, at, start, start + length);
    for (let i = 0; i < length; i++) target[at + i] = arena[start + i]!;
    return at + length;
  }

  /** Tells the positions of one table from those of another, whose hashes differ; never 0. */
  get tag(): number {
    return (this.#seed % (TAGS - 1)) + 1;
  }

  /**
   * Visits the slots of keys in the order of their hashes, which updates do not change: an iteration ends, and visits
   * every key that is there from its beginning to its end.
   *
   * @param position 0, or what an earlier call returned
   * @param count how many keys are enough; those of one place in the table come together
   * @returns where to go on, or 0 when all keys were visited
   */
  scan(position: number, count: number, visit: (slot: number) => void): number {
    let left = count;
    const counted = (slot: number) => {
      left--;
      visit(slot);
    };
    let from = position;
    while (from < HASHES && left > 0) from = this.#scanBucket(from, counted);
    return from < HASHES ? from : 0;
  }

  /** Visits the keys from the hash to the end of its bucket; returns where the next bucket begins. */
  #scanBucket(from: number, visit: (slot: number) => void): number {
    const { entries, used } = this.#shardOf(from);
    const bucketHashes = used === 0 ? HASHES / SHARDS : HASHES / SHARDS / (entries.length / WIDTH);
    const end = (Math.floor(from / bucketHashes) + 1) * bucketHashes;
    const mask = entries.length - 1;
    for (let at = homeOf(from, mask); entries[at] !== 0; at = (at + WIDTH) & mask) {
      const hash = entries[at + 1]!;
      if (hash >= from && hash < end) visit(entries[at]! - 1);
    }
    return end;
  }

  #shardOf(hash: number): Shard {
    return this.#shards[hash >>> (32 - SHARD_BITS)]!;
  }

  #shardToFill(hash: number): Shard {
    const shard = this.#shardOf(hash);
    if (shard !== EMPTY) return shard;
    const fresh = { entries: new Uint32Array(SHARD_ENTRIES_MIN * WIDTH), used: 0 };
    this.#shards[hash >>> (32 - SHARD_BITS)] = fresh;
    return fresh;
  }

  /** Where the entry of the key, bytes[start, end), is in the shard, or the empty one where it would go. */
  #probe(entries: Uint32Array, hash: number, bytes: Uint8Array, start = 0, end = bytes.length): number {
    const mask = entries.length - 1;
    let at = homeOf(hash, mask);
    while (
      entries[at] !== 0 &&
      !(entries[at + 1] === hash && this.#holds(entries[at]! - 1, bytes, start, end))
    ) {
      at = (at + WIDTH) & mask;
    }
    return at;
  }

  #holds(slot: number, bytes: Uint8Array, start: number, end: number): boolean {
    const page = this.#pages[Math.floor(slot / PAGE_SLOTS)]!;
    const place = page[(slot % PAGE_SLOTS) * WIDTH + 1]!;
    if (place >>> OFFSET_BITS !== end - start) return false;
    const arena = this.#arenas[page[(slot % PAGE_SLOTS) * WIDTH]!]!;
    const at = place & OFFSET_MASK;
    if (end - start > LOOP_BYTES_MAX) return arena.compare(bytes, start, end, at, at + end - start) === 0;
    for (let i = start, j = at; i < end; i++, j++) if (arena[j] !== bytes[i]) return false;
    return true;
  }

  #remember(slot: number, bytes: Uint8Array, start: number, end: number): void {
    if (this.#arenaUsed + end - start > this.#arenaBytes) this.#beginArena();
    const page = this.#pageWith(slot);
    const at = (slot % PAGE_SLOTS) * WIDTH;
    page[at] = this.#arenas.length - 1;
    page[at + 1] = (((end - start) << OFFSET_BITS) | this.#arenaUsed) >>> 0;
    const arena = this.#arenas[this.#arenas.length - 1]!;
    if (end - start > LOOP_BYTES_MAX) arena.set(bytes.subarray(start, end), this.#arenaUsed);
    else for (let i = start, j = this.#arenaUsed; i < end; i++, j++) arena[j] = bytes[i]!;
    this.#arenaUsed += end - start;
  }

  /** A key is never longer than the smallest one. */
  #beginArena(): void {
    this.#arenaBytes = Math.min(Math.max(ARENA_BYTES_MIN, 2 * this.#arenaBytes), ARENA_BYTES_MAX);
    this.#arenas.push(Buffer.allocUnsafeSlow(this.#arenaBytes));
    this.#arenaUsed = 0;
  }

  /** The slot's page, with room for it. Only the first page begins small. */
  #pageWith(slot: number): Page {
    const number = Math.floor(slot / PAGE_SLOTS);
    while (this.#pages.length <= number)
      this.#pages.push(newPage(this.#pages.length === 0 ? PAGE_SLOTS_MIN : PAGE_SLOTS));
    const page = this.#pages[number]!;
    if ((slot % PAGE_SLOTS) * WIDTH < page.length) return page;
    const slots = Math.max(2 ** Math.ceil(Math.log2((slot % PAGE_SLOTS) + 1)), PAGE_SLOTS_MIN);
    const larger = newPage(slots);
    larger.set(page);
    this.#pages[number] = larger;
    return larger;
  }

  #added(shard: Shard): void {
    this.size++;
    shard.used++;
    if (shard.used * WIDTH > shard.entries.length * LOAD_MAX) shard.entries = grown(shard.entries);
  }

  /** Knuth 6.4, algorithm R: entries behind the gap move up unless they would pass their home. */
  #closeGap(entries: Uint32Array, gap: number): void {
    const mask = entries.length - 1;
    let hole = gap;
    for (let at = (gap + WIDTH) & mask; entries[at] !== 0; at = (at + WIDTH) & mask) {
      const home = homeOf(entries[at + 1]!, mask);
      if (((at - home) & mask) < ((at - hole) & mask)) continue;
      entries.copyWithin(hole, at, at + WIDTH);
      hole = at;
    }
    entries[hole] = 0;
  }
}

/** Where the entry of a key with this hash would be, were the shard empty: its bits after those that name the shard. */
const homeOf = (hash: number, mask: number): number =>
  ((hash << SHARD_BITS) >>> (Math.clz32(mask) + 1)) * WIDTH;

function grown(entries: Uint32Array): Uint32Array {
  const larger = new Uint32Array(entries.length * 2);
  const mask = larger.length - 1;
  for (let from = 0; from < entries.length; from += WIDTH) {
    if (entries[from] === 0) continue;
    let at = homeOf(entries[from + 1]!, mask);
    while (larger[at] !== 0) at = (at + WIDTH) & mask;
    larger[at] = entries[from]!;
    larger[at + 1] = entries[from + 1]!;
  }
  return larger;
}

const newPage = (slots: number): Page => new Uint32Array(slots * WIDTH);
