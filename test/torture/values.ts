/**
 * Vectors and attributes that name their key: a value that was never written, or half of one and half of another,
 * cannot pass for one that was written. Components are whole numbers, so that they survive as text and as float32, and
 * of one size, so that an index which keeps a byte of each can tell the vectors apart.
 */
import { crc32 } from "node:zlib";
import { generator } from "../../harness/random.ts";

const COMPONENT_MAX = 1_000;
/** The version stands in two components, as digits to this base. */
const VERSION_BASE = 2 * COMPONENT_MAX;

/** What a key has: which version of its vector, which of its attributes (0: none), and whether it expires. */
export interface Value {
  readonly version: number;
  readonly attributes: number;
  readonly expires: boolean;
}

/** The first two components are the version, the others follow from key and version. */
export function vectorOf(key: string, version: number, dimensions: number): Float32Array {
  const random = generator(crc32(`${key} ${version}`));
  const digits = [version % VERSION_BASE, Math.floor(version / VERSION_BASE)];
  return Float32Array.from(
    { length: dimensions },
    (_, at) => (digits[at] ?? Math.floor(random() * 2 * COMPONENT_MAX)) - COMPONENT_MAX,
  );
}

/** The version of the vector. @throws Error when it is not a vector of this key */
export function versionOf(key: string, vector: readonly number[]): number {
  const [low = Number.NaN, high = Number.NaN] = vector;
  const version = low + COMPONENT_MAX + (high + COMPONENT_MAX) * VERSION_BASE;
  const expected = vectorOf(key, version, vector.length);
  if (version >= 1 && vector.every((component, at) => component === expected[at])) return version;
  throw new Error(
    `torn vector: '${key}' has ${vector.slice(0, 8)}…, version ${version} is ${expected.slice(0, 8)}…`,
  );
}

export function attributesText(key: string, attributes: number): string {
  return attributes === 0 ? "" : JSON.stringify({ key, attributes });
}

/** @throws Error when they are not attributes of this key */
export function attributesVersionOf(key: string, text: string | null): number {
  if (text === null) return 0;
  const { attributes } = JSON.parse(text) as { attributes: number };
  if (text === attributesText(key, attributes)) return attributes;
  throw new Error(`torn attributes: '${key}' has ${text}`);
}

export const sameValue = (a: Value | undefined, b: Value | undefined): boolean =>
  a?.version === b?.version && a?.attributes === b?.attributes && a?.expires === b?.expires;

export const describeValue = (value: Value | undefined): string =>
  value === undefined
    ? "nothing"
    : `version ${value.version} with attributes ${value.attributes}, ${value.expires ? "expiring" : "for good"}`;
