/**
 * Which slot holds which key, in both directions, in memory. Typed arrays instead of a Map: a Map ends at 16.7 M
 * entries and takes about 100 bytes for each, this takes about 20 and the key itself.
 *
 * Slot → key is three paged arrays over an arena of key bytes. Key → slot is an open-addressing hash table with
 * linear probing, cut into shards that grow one by one, so that no insertion waits for all keys to be rehashed.
 * Keys of dead slots stay in the arena: searches that began before the key died still name it.
 */
import { randomInt } from "node:crypto";
import { murmur3 } from "./hash.ts";

/** No slot. */
export const NONE = -1;

const PAGE_SLOTS = 1 << 16;
const ARENA_BYTES = 1 << 20;
const SHARDS = 256;
const SHARD_ENTRIES_MIN = 16;
/** Entries of a shard that may be in use, as a share of all. */
const LOAD_MAX = 0.75;

/** What is known about the key of each slot, for PAGE_SLOTS consecutive slots. */
interface Page {
  readonly arena: Uint32Array;
  readonly offset: Uint32Array;
  readonly length: Uint16Array;
  readonly hash: Uint32Array;
}

/** Entries are slot + 1; 0 is empty. The size is a power of two. */
interface Shard {
  entries: Uint32Array;
  used: number;
}

export class KeyTable {
  /** Keys that have a slot. */
  size = 0;
  readonly #seed = randomInt(2 ** 32);
  readonly #pages: Page[] = [];
  readonly #arenas: Buffer[] = [];
  #arenaUsed = ARENA_BYTES;
  readonly #shards: Shard[] = Array.from({ length: SHARDS }, () => ({
    entries: new Uint32Array(SHARD_ENTRIES_MIN),
    used: 0,
  }));

  /** The slot of the key, or NONE. */
  find(key: Uint8Array): number {
    const hash = murmur3(key, this.#seed);
    const { entries } = this.#shardOf(hash);
    return entries[this.#probe(entries, hash, key)]! - 1;
  }

  /** Gives the key a slot that had none before; returns the slot it held until now, or NONE. */
  set(key: Uint8Array, slot: number): number {
    const hash = murmur3(key, this.#seed);
    this.#remember(slot, key, hash);
    const shard = this.#shardOf(hash);
    const at = this.#probe(shard.entries, hash, key);
    const previous = shard.entries[at]! - 1;
    shard.entries[at] = slot + 1;
    if (previous === NONE) this.#added(shard);
    return previous;
  }

  /** Takes the key out; returns the slot it held, or NONE. */
  delete(key: Uint8Array): number {
    const hash = murmur3(key, this.#seed);
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
    const index = slot % PAGE_SLOTS;
    const start = page.offset[index]!;
    return this.#arenas[page.arena[index]!]!.subarray(start, start + page.length[index]!);
  }

  #shardOf(hash: number): Shard {
    return this.#shards[hash >>> 24]!;
  }

  /** Where the key is in the shard, or the empty entry where it would go. */
  #probe(entries: Uint32Array, hash: number, key: Uint8Array): number {
    const mask = entries.length - 1;
    let at = hash & mask;
    while (entries[at] !== 0 && !this.#holds(entries[at]! - 1, hash, key)) at = (at + 1) & mask;
    return at;
  }

  #holds(slot: number, hash: number, key: Uint8Array): boolean {
    const page = this.#pages[Math.floor(slot / PAGE_SLOTS)]!;
    const index = slot % PAGE_SLOTS;
    if (page.hash[index] !== hash || page.length[index] !== key.length) return false;
    const arena = this.#arenas[page.arena[index]!]!;
    const start = page.offset[index]!;
    for (let i = 0; i < key.length; i++) if (arena[start + i] !== key[i]) return false;
    return true;
  }

  #remember(slot: number, key: Uint8Array, hash: number): void {
    const pageNumber = Math.floor(slot / PAGE_SLOTS);
    while (this.#pages.length <= pageNumber) this.#pages.push(newPage());
    if (this.#arenaUsed + key.length > ARENA_BYTES) {
      this.#arenas.push(Buffer.allocUnsafeSlow(ARENA_BYTES));
      this.#arenaUsed = 0;
    }
    const page = this.#pages[pageNumber]!;
    const index = slot % PAGE_SLOTS;
    page.arena[index] = this.#arenas.length - 1;
    page.offset[index] = this.#arenaUsed;
    page.length[index] = key.length;
    page.hash[index] = hash;
    this.#arenas[this.#arenas.length - 1]!.set(key, this.#arenaUsed);
    this.#arenaUsed += key.length;
  }

  #added(shard: Shard): void {
    this.size++;
    shard.used++;
    if (shard.used <= shard.entries.length * LOAD_MAX) return;
    const grown = new Uint32Array(shard.entries.length * 2);
    for (const entry of shard.entries) if (entry !== 0) this.#reinsert(grown, entry);
    shard.entries = grown;
  }

  #reinsert(entries: Uint32Array, entry: number): void {
    const mask = entries.length - 1;
    let at = this.#hashOf(entry - 1) & mask;
    while (entries[at] !== 0) at = (at + 1) & mask;
    entries[at] = entry;
  }

  /** Knuth 6.4, algorithm R: entries behind the gap move up unless they would pass their home. */
  #closeGap(entries: Uint32Array, gap: number): void {
    const mask = entries.length - 1;
    let hole = gap;
    for (let at = (gap + 1) & mask; entries[at] !== 0; at = (at + 1) & mask) {
      const home = this.#hashOf(entries[at]! - 1) & mask;
      if (((at - home) & mask) < ((at - hole) & mask)) continue;
      entries[hole] = entries[at]!;
      hole = at;
    }
    entries[hole] = 0;
  }

  #hashOf(slot: number): number {
    return this.#pages[Math.floor(slot / PAGE_SLOTS)]!.hash[slot % PAGE_SLOTS]!;
  }
}

function newPage(): Page {
  return {
    arena: new Uint32Array(PAGE_SLOTS),
    offset: new Uint32Array(PAGE_SLOTS),
    length: new Uint16Array(PAGE_SLOTS),
    hash: new Uint32Array(PAGE_SLOTS),
  };
}
