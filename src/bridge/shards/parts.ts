/**
 * The parts of one collection, as its requests see them. A key is in the part that its CRC-16 names, counted among the
 * parts as they stand in the collection's files.
 */
import type { Collection } from "../../engine/collection.ts";
import type { VstoreError } from "../../errors.ts";
import type { Word } from "./nodes/node.ts";
import type { Nodes } from "./nodes/nodes.ts";
import { crc16 } from "./nodes/slots.ts";

export class Parts {
  /** Where the collection is at home: it has the options, and no vectors. */
  readonly home: Collection;
  readonly names: readonly string[];
  readonly #nodes: Nodes;
  /** What each part has to have applied before it answers a read. */
  readonly #tokens: readonly string[] | undefined;

  constructor(home: Collection, nodes: Nodes, tokens?: readonly string[]) {
    this.#tokens = tokens;
    this.home = home;
    this.names = home.options.shards ?? [];
    this.#nodes = nodes;
  }

  /** The same for one request with ASOF. */
  asOf(tokens: readonly string[]): Parts {
    return new Parts(this.home, this.#nodes, tokens);
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
    return this.#nodes.placeOf(this.names[part]!);
  }

  /** A read of one part: its reply as RESP2, with texts as bytes. @throws {VstoreError} */
  ask(part: number, command: string, words: readonly Word[]): Promise<unknown> {
    const all = this.#tokens === undefined ? words : [...words, "ASOF", this.#tokens[part]!];
    return this.#nodes.ask(this.names[part]!, command, all);
  }

  /** The same of all of them, in their order. */
  askAll(command: string, words: readonly Word[]): Promise<unknown[]> {
    return Promise.all(this.names.map((_, part) => this.ask(part, command, words)));
  }

  /** The same where parts may be missing: undefined for one that does not answer. @throws {VstoreError} */
  askThoseThere(command: string, words: readonly Word[]): Promise<unknown[]> {
    const ifThere = (error: VstoreError): undefined => {
      if (error.code !== "PARTDOWN") throw error;
    };
    return Promise.all(this.names.map((_, part) => this.ask(part, command, words).catch(ifThere)));
  }

  /** What takes minutes, of all of them. @throws {VstoreError} */
  askAllLong(command: string, words: readonly Word[]): Promise<unknown[]> {
    return Promise.all(this.names.map((name) => this.#nodes.askLong(name, command, words)));
  }

  /** A write of one part. @throws {VstoreError} */
  tell(part: number, command: string, words: readonly Word[]): Promise<unknown> {
    return this.#nodes.ask(this.names[part]!, command, words, true);
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
