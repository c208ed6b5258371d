/** What the clients of the torture write: collections of different shapes, and a seeded choice of the next write. */
import type { Oracle, Write } from "./oracle.ts";
import { blob } from "./reading.ts";
import { attributesText, type Value, vectorOf } from "./values.ts";

/** One collection that stays; its keys are divided among the clients. */
interface Kind {
  readonly name: string;
  readonly dimensions: number;
  readonly metric: string;
  readonly keysPerClient: number;
  readonly batchMax: number;
  /** Slots after which it is dropped and begun anew, lest a run of hours measures nothing but copying. */
  readonly slotsMax: number;
}

export const kinds: readonly Kind[] = [
  { name: "plain", dimensions: 8, metric: "L2", keysPerClient: 40, batchMax: 5, slotsMax: 20_000 },
  // Enough slots for an index, soon.
  { name: "indexed", dimensions: 16, metric: "COSINE", keysPerClient: 150, batchMax: 60, slotsMax: 6_000 },
  // Rows so long that a new segment is needed every few hundred.
  { name: "wide", dimensions: 512, metric: "IP", keysPerClient: 12, batchMax: 8, slotsMax: 4_000 },
];

const passing = { dimensions: 4, keys: 10 } as const;
const ATTRIBUTES_SHARE = 0.4;
const EXPIRING_SHARE = 0.2;
/** Of writes that are answered once they are in the log. */
const NOWAIT_SHARE = 0.3;
const ENTRY_ID = /^\d+-\d+$/;
/** Far beyond the end of any run: whether a key has expired by then must not be a matter of luck. */
const TTL_SECONDS = 10_000_000;

export function createCommand(name: string, dimensions: number, metric: string): Write["command"] {
  return ["VSTORE.CREATE", name, "DIM", dimensions, "METRIC", metric, "M", 8, "EF_CONSTRUCTION", 40];
}

/** The writes of one client, one after the other; it alone writes its keys, and one collection that comes and goes. */
export class Workload {
  readonly #client: number;
  readonly #random: () => number;
  readonly #oracle: Oracle;
  /** Of vectors and attributes, never used twice by this client. */
  #version = 0;

  constructor(client: number, random: () => number, oracle: Oracle) {
    this.#client = client;
    this.#random = random;
    this.#oracle = oracle;
  }

  next(): Write {
    const write = this.#choose();
    const isOfLog = write.exists === undefined;
    if (!isOfLog || this.#random() >= NOWAIT_SHARE) return write;
    return { ...write, command: [...write.command, "NOWAIT"], answer: ENTRY_ID };
  }

  #choose(): Write {
    const kind = kinds[this.#below(kinds.length)]!;
    const choice = this.#random();
    if (choice < 0.35) return this.#insert(kind.name, kind.dimensions, this.#key(kind));
    if (choice < 0.6) return this.#insertMany(kind);
    if (choice < 0.7) return this.#delete(kind);
    if (choice < 0.78) return this.#expire(kind);
    if (choice < 0.86) return this.#setAttributes(kind);
    if (choice < 0.9) return this.#tooShort(kind);
    return this.#passing();
  }

  #insert(collection: string, dimensions: number, key: string): Write {
    const version = ++this.#version;
    const before = this.#oracle.value(collection, key);
    const withAttributes = this.#random() < ATTRIBUTES_SHARE;
    const attributes = withAttributes ? this.#attributes() : (before?.attributes ?? 0);
    const expires = this.#random() < EXPIRING_SHARE;
    const condition = ["", "", "", "NX", "XX"][this.#below(5)]!;
    const isRefused = condition === (before === undefined ? "XX" : "NX");
    return {
      command: [
        ...(["VSTORE.INSERT", collection, key, "FP32", blob(vectorOf(key, version, dimensions))] as const),
        ...(withAttributes ? ["SETATTR", attributesText(key, attributes)] : []),
        ...(condition === "" ? [] : [condition]),
        ...(expires ? ["EX", TTL_SECONDS] : []),
      ],
      collection,
      changes: new Map(isRefused ? [] : [[key, { version, attributes, expires }]]),
      answer: isRefused ? null : Number(before === undefined),
    };
  }

  #insertMany(kind: Kind): Write {
    const keys = this.#keys(kind, kind.batchMax);
    const version = ++this.#version;
    const withAttributes = this.#random() < ATTRIBUTES_SHARE;
    const before = keys.map((key) => this.#oracle.value(kind.name, key));
    const attributes = before.map((value) =>
      withAttributes ? this.#attributes() : (value?.attributes ?? 0),
    );
    const vectors = keys.map((key) => blob(vectorOf(key, version, kind.dimensions)));
    const texts = keys.map((key, at) => attributesText(key, attributes[at]!));
    return {
      command: [
        ...(["VSTORE.MINSERT", kind.name, keys.length, ...keys, "FP32", Buffer.concat(vectors)] as const),
        ...(withAttributes ? ["SETATTR", ...texts] : []),
      ],
      collection: kind.name,
      changes: new Map(
        keys.map((key, at) => [key, { version, attributes: attributes[at]!, expires: false }]),
      ),
      answer: before.filter((value) => value === undefined).length,
    };
  }

  #delete(kind: Kind): Write {
    const keys = this.#keys(kind, 3);
    return {
      command: ["VSTORE.DEL", kind.name, ...keys],
      collection: kind.name,
      changes: new Map(keys.map((key) => [key, undefined])),
      answer: keys.filter((key) => this.#oracle.value(kind.name, key) !== undefined).length,
    };
  }

  /** Gives a key a deadline, takes it away, or lets the key expire at once. */
  #expire(kind: Kind): Write {
    const key = this.#key(kind);
    const before = this.#oracle.value(kind.name, key);
    const way = ["EXPIRE", "PERSIST", "at once"][this.#below(3)]!;
    const isDone = before !== undefined && (way !== "PERSIST" || before.expires);
    const after = before && way !== "at once" ? { ...before, expires: way === "EXPIRE" } : undefined;
    const seconds = { EXPIRE: [TTL_SECONDS], PERSIST: [], "at once": [0] }[way]!;
    return {
      command: [`VSTORE.${way === "at once" ? "EXPIRE" : way}`, kind.name, key, ...seconds],
      collection: kind.name,
      changes: new Map(isDone ? [[key, after]] : []),
      answer: Number(isDone),
    };
  }

  #setAttributes(kind: Kind): Write {
    const key = this.#key(kind);
    const before = this.#oracle.value(kind.name, key);
    const attributes = this.#attributes();
    const changes: [string, Value][] = before === undefined ? [] : [[key, { ...before, attributes }]];
    return {
      command: ["VSTORE.SETATTR", kind.name, key, attributesText(key, attributes)],
      collection: kind.name,
      changes: new Map(changes),
      answer: changes.length,
    };
  }

  /** Refused, and must leave no trace. */
  #tooShort(kind: Kind): Write {
    const key = this.#key(kind);
    const vector = vectorOf(key, ++this.#version, kind.dimensions - 1);
    return {
      command: ["VSTORE.INSERT", kind.name, key, "FP32", blob(vector)],
      collection: kind.name,
      changes: new Map(),
      answer: undefined,
    };
  }

  /** A collection that comes, is written to, and goes. */
  #passing(): Write {
    const name = `passing-${this.#client}`;
    const none = { collection: name, changes: new Map<string, Value>(), answer: "OK" };
    if (!this.#oracle.contents.has(name)) {
      return { ...none, command: createCommand(name, passing.dimensions, "L2"), exists: true };
    }
    if (this.#random() < 0.3) return { ...none, command: ["VSTORE.DROP", name], exists: false };
    return this.#insert(name, passing.dimensions, `p${this.#client}:${this.#below(passing.keys)}`);
  }

  #key(kind: Kind): string {
    return `c${this.#client}:${this.#below(kind.keysPerClient)}`;
  }

  /** 1 to `max` different ones. */
  #keys(kind: Kind, max: number): string[] {
    const first = this.#below(kind.keysPerClient);
    const count = 1 + this.#below(max);
    return Array.from({ length: count }, (_, at) => `c${this.#client}:${(first + at) % kind.keysPerClient}`);
  }

  /** A new version; sometimes none. */
  #attributes(): number {
    return this.#random() < 0.2 ? 0 : ++this.#version;
  }

  #below(limit: number): number {
    return Math.floor(this.#random() * limit);
  }
}
