/**
 * The parts of one collection, as its requests see them. A key is in the part that its CRC-16 names, counted among the
 * parts as they stand in the collection's files.
 */
import type { PlainSearch } from "../../commands/search/plain-search.ts";
import type { Collection } from "../../engine/collection.ts";
import type { Hit } from "../../engine/hits.ts";
import { FIRST_ID, laterId } from "../../engine/log-id.ts";
import type { VstoreError } from "../../errors.ts";
import { allOf, BytesOfPart, type FoundByPart, ValuesOfPart } from "./found.ts";
import type { Word } from "./nodes/connection.ts";
import type { Nodes } from "./nodes/nodes.ts";
import { crc16, slotOf } from "./nodes/slots.ts";
import type { OwnParts, Part } from "./own-parts.ts";
import type { PlainSearches } from "./plain-searches.ts";

/** The ways to parts. */
export interface Ways {
  readonly nodes: Nodes;
  readonly own: OwnParts;
  readonly plain: PlainSearches;
}

/** A search of parts, without the vectors. */
export interface SearchOfParts {
  readonly command: "SEARCH" | "MSEARCH";
  /** What follows the part's name. */
  readonly words: readonly Word[];
  /** Whether the words ask for attributes too, beside distances. */
  readonly withAttributes: boolean;
}

/** An entry of the log of a part, or the place behind it: the write it stands for has none of its own in the part. */
export interface Entry {
  readonly id: string;
  readonly isOfOthers: boolean;
}

/** What one request has beside its arguments. */
interface OneRequest {
  readonly tokens?: readonly string[];
  readonly entries?: (string | undefined)[];
  readonly lastEntries?: string[];
}

export class Parts {
  /** Where the collection is at home: it has the options, and no vectors. */
  readonly home: Collection;
  readonly names: readonly string[];
  readonly #ways: Ways;
  readonly #all: readonly Part[];
  /** What each part has to have applied before it answers a read. */
  readonly #tokens: readonly string[] | undefined;
  /** Of one request with NOWAIT, the last entry that it has in the log of each part. */
  readonly #entries: (string | undefined)[] | undefined;
  /** Of all requests: the last entry that is known. */
  readonly #lastEntries: string[];

  constructor(home: Collection, ways: Ways, { tokens, entries, lastEntries }: OneRequest = {}) {
    this.#tokens = tokens;
    this.#entries = entries;
    this.#lastEntries = lastEntries ?? (home.options.shards ?? []).map(() => FIRST_ID);
    this.home = home;
    this.names = home.options.shards ?? [];
    this.#all = this.names.map((name) => ({ name, slot: slotOf(name) }));
    this.#ways = ways;
  }

  /** The same for one request with ASOF. */
  asOf(tokens: readonly string[]): Parts {
    return new Parts(this.home, this.#ways, { tokens, lastEntries: this.#lastEntries });
  }

  /** The same for one write with NOWAIT: it is over once it is in the logs of its parts. */
  inLogs(): Parts {
    return new Parts(this.home, this.#ways, { entries: [], lastEntries: this.#lastEntries });
  }

  get isInLogs(): boolean {
    return this.#entries !== undefined;
  }

  /** What such a write answers, once it is over; see waiting.ts. */
  get entries(): readonly Entry[] {
    return this.names.map((_, part) => {
      const id = this.#entries?.[part];
      return { id: id ?? this.#lastEntries[part]!, isOfOthers: id === undefined };
    });
  }

  /** The arguments of such a request behind the collection, without ASOF. */
  wordsOf(args: readonly Buffer[]): readonly Buffer[] {
    return this.#tokens === undefined ? args.slice(1) : args.slice(1, -2);
  }

  /** The number of the part that has the key. */
  of(key: Uint8Array): number {
    return crc16(key) % this.names.length;
  }

  placeOf(part: number): string {
    return this.#ways.nodes.placeOf(this.names[part]!);
  }

  /** A read of one part: its reply as RESP2, with texts as bytes. @throws {VstoreError} */
  ask(part: number, command: string, words: readonly Word[]): Promise<unknown> {
    const all = this.#tokens === undefined ? words : [...words, "ASOF", this.#tokens[part]!];
    return this.#ways.nodes.ask(this.names[part]!, command, all);
  }

  /** The same of all of them, in their order. */
  askAll(command: string, words: readonly Word[]): Promise<unknown[]> {
    return Promise.all(this.names.map((_, part) => this.ask(part, command, words)));
  }

  /** What each has found. @throws {VstoreError} */
  searchAll(search: SearchOfParts): Promise<FoundByPart[]> {
    return Promise.all(this.#all.map((_, part) => this.#search(part, search)));
  }

  /** The same where parts may be missing: undefined for one that does not answer. @throws {VstoreError} */
  searchThoseThere(search: SearchOfParts): Promise<(FoundByPart | undefined)[]> {
    return Promise.all(this.#all.map((_, part) => this.#search(part, search).catch(ifThere)));
  }

  /** Each a plain search, its results nearest first. @param plain with distances. @throws {VstoreError} */
  searchPlainly(plain: PlainSearch): Promise<(readonly Hit[])[]> {
    const { own, plain: others } = this.#ways;
    const askOther = async (name: string) => {
      const hits = await others.ask(name, plain);
      own.caughtUp(name);
      return hits;
    };
    return Promise.all(
      this.#all.map((part) =>
        own.has(part) ? own.askPlainly(part, plain).then(hitsIn) : askOther(part.name),
      ),
    );
  }

  async #search(part: number, { command, words, withAttributes }: SearchOfParts): Promise<FoundByPart> {
    const isOfSeveral = command === "MSEARCH";
    const target = this.#all[part]!;
    const { own } = this.#ways;
    // A token has to be waited for, as only reads that come through Redis do.
    if (this.#tokens === undefined && own.has(target))
      return new BytesOfPart(await own.ask(target, command, words), isOfSeveral);
    const values = (await this.ask(part, command, words)) as unknown[];
    own.caughtUp(target.name);
    return new ValuesOfPart(isOfSeveral ? (values as unknown[][]) : [values], withAttributes);
  }

  /** What takes minutes, of all of them. @param wordsOf of each part. @throws {VstoreError} */
  askAllLong(command: string, wordsOf: (part: number) => readonly Word[]): Promise<unknown[]> {
    const { nodes } = this.#ways;
    return Promise.all(this.names.map((name, part) => nodes.askLong(name, command, wordsOf(part))));
  }

  /** A write of one part. Of one with NOWAIT the reply is none. @throws {VstoreError} */
  tell(part: number, command: string, words: readonly Word[]): Promise<unknown> {
    const name = this.names[part]!;
    if (this.#entries === undefined) return this.#ways.nodes.ask(name, command, words, true);
    return this.#ways.nodes.ask(name, command, [...words, "NOWAIT"], true).then((reply) => {
      const id = String(reply);
      this.#ways.own.isInLog(name, id);
      this.#entries![part] = laterId(id, this.#entries![part] ?? id);
      this.hasEntry(part, id);
    });
  }

  /** Must be called when it is heard that the log of the part goes so far. */
  hasEntry(part: number, id: string): void {
    this.#lastEntries[part] = laterId(id, this.#lastEntries[part]!);
  }

  /** Part → the positions of its keys, in their order. */
  group(keys: readonly Uint8Array[]): Map<number, number[]> {
    const groups = new Map<number, number[]>();
    for (const [i, key] of keys.entries()) {
      const part = this.of(key);
      const group = groups.get(part);
      if (group === undefined) groups.set(part, [i]);
      else group.push(i);
    }
    return groups;
  }
}

function ifThere(error: VstoreError): undefined {
  if (error.code !== "PARTDOWN") throw error;
}

function hitsIn(bytes: Buffer): readonly Hit[] {
  return allOf(new BytesOfPart(bytes, false).query());
}
