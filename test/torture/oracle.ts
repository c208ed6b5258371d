/**
 * What must be in the store: every acknowledged write, and for each write in doubt (sent, never answered) either all of
 * it or nothing. A key is written by one client at a time, so at most one write of a key is in doubt.
 */
import { describeValue, sameValue, type Value } from "./values.ts";

export interface Write {
  readonly command: readonly [string, ...(string | number | Buffer)[]];
  readonly collection: string;
  /** What its keys have afterwards; undefined: they are gone. */
  readonly changes: ReadonlyMap<string, Value | undefined>;
  /** CREATE and DROP: whether the collection exists afterwards. */
  readonly exists?: boolean;
  /** The one right answer, or what it looks like; undefined for a write that must be refused. */
  readonly answer: string | number | null | RegExp | undefined;
}

/** By collection and key. */
export type Contents = Map<string, Map<string, Value>>;

export class Oracle {
  readonly contents: Contents = new Map();
  /** Writes that were acknowledged, and those in doubt that turned out to be applied, or not. */
  readonly counts = { acknowledged: 0, refused: 0, doubtsApplied: 0, doubtsVoid: 0, valuesChecked: 0 };
  #doubts: Write[] = [];

  value(collection: string, key: string): Value | undefined {
    return this.contents.get(collection)?.get(key);
  }

  acknowledge(write: Write): void {
    this.counts.acknowledged++;
    this.#apply(write);
  }

  doubt(write: Write): void {
    this.#doubts.push(write);
  }

  /** Compares with what is in the store; then nothing is in doubt any more. @throws Error that names the loss */
  settle(found: Contents): void {
    for (const write of this.#doubts) this.#resolve(write, found);
    this.#doubts = [];
    const [expectedNames, foundNames] = [this.contents, found].map((each) =>
      [...each.keys()].sort().join(" "),
    );
    if (expectedNames !== foundNames) {
      throw new Error(`collections: expected '${expectedNames}', found '${foundNames}'`);
    }
    for (const [name, expected] of this.contents) this.#compare(name, expected, found.get(name)!);
  }

  #resolve(write: Write, found: Contents): void {
    const isApplied =
      write.exists === undefined
        ? this.#isApplied(write, found.get(write.collection) ?? new Map())
        : found.has(write.collection) === write.exists;
    if (isApplied) this.#apply(write);
    this.counts[isApplied ? "doubtsApplied" : "doubtsVoid"]++;
  }

  /** Half of a write is neither: then it counts as not applied, and the comparison finds the other half. */
  #isApplied({ changes }: Write, found: ReadonlyMap<string, Value>): boolean {
    return [...changes].every(([key, value]) => sameValue(found.get(key), value));
  }

  #apply({ collection, changes, exists }: Write): void {
    if (exists === true) this.contents.set(collection, new Map());
    if (exists === false) this.contents.delete(collection);
    const keys = this.contents.get(collection);
    for (const [key, value] of changes) {
      if (value === undefined) keys?.delete(key);
      else keys?.set(key, value);
    }
  }

  #compare(name: string, expected: ReadonlyMap<string, Value>, found: ReadonlyMap<string, Value>): void {
    for (const key of new Set([...expected.keys(), ...found.keys()])) {
      const [want, got] = [expected.get(key), found.get(key)];
      this.counts.valuesChecked++;
      if (sameValue(want, got)) continue;
      const kind = want === undefined ? "phantom" : got === undefined ? "lost" : "wrong";
      throw new Error(
        `${kind}: '${key}' of '${name}' has ${describeValue(got)}, expected ${describeValue(want)}`,
      );
    }
  }
}
