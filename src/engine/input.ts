/**
 * Checks of what a collection takes. Each names the argument, what was expected and what came. All throw VstoreError
 * ERR.
 */
import { VstoreError } from "../errors.ts";
import { limits } from "../limits.ts";
import { allFinite, isZero } from "./index/distance.ts";
import type { CollectionOptions } from "./options.ts";
import { type Flat, recentShapes } from "./slots/flat-json.ts";

/** The part of a collection's options that concerns a single vector. */
export type VectorShape = Pick<CollectionOptions, "dimensions" | "metric">;

export function assertKey(key: Uint8Array): void {
  const { keyBytesMin, keyBytesMax } = limits;
  if (key.length >= keyBytesMin && key.length <= keyBytesMax) return;
  throw new VstoreError("ERR", `'key' must be ${keyBytesMin} to ${keyBytesMax} bytes, got ${key.length}`);
}

/** Finite float32 of the collection's dimension, and under COSINE with a direction. */
export function assertVector(vector: Float32Array, { dimensions, metric }: VectorShape, name: string): void {
  if (vector.length !== dimensions) {
    throw new VstoreError("ERR", `'${name}' must have ${dimensions} components, got ${vector.length}`);
  }
  if (!allFinite(vector)) {
    const at = vector.findIndex((component) => !Number.isFinite(component));
    throw new VstoreError("ERR", `'${name}' must be finite, component ${at + 1} is ${vector[at]}`);
  }
  if (metric === "COSINE" && isZero(vector)) {
    throw new VstoreError("ERR", `'${name}' must not be all zeros under COSINE: it has no direction`);
  }
}

export function assertLength(name: string, length: number, expected: number): void {
  if (length === expected) return;
  throw new VstoreError("ERR", `'${name}' must have ${expected} elements, got ${length}`);
}

/** A matrix of shape (count x dimensions), of which each row is as `assertVector` wants it. */
export function assertVectors(vectors: Float32Array, options: VectorShape, count: number): void {
  const { dimensions, metric } = options;
  assertLength("vectors", vectors.length, count * dimensions);
  // All together first: no view is made on a row that is right.
  if (allFinite(vectors) && (metric !== "COSINE" || !hasZeroRow(vectors, dimensions))) return;
  for (let i = 0; i < count; i++)
    assertVector(vectors.subarray(i * dimensions, (i + 1) * dimensions), options, `vector ${i + 1}`);
}

function hasZeroRow(vectors: Float32Array, dimensions: number): boolean {
  for (let row = 0; row < vectors.length; row += dimensions) {
    let at = row;
    while (at < row + dimensions && vectors[at] === 0) at++;
    if (at === row + dimensions) return true;
  }
  return false;
}

/** Attributes that were checked: their UTF-8, and what the columns can take over without parsing it once more. */
export interface CheckedAttributes {
  /** Empty for none. */
  readonly text: Uint8Array;
  readonly json: object | undefined;
  /** Where its values are, if JSON.parse was not needed. */
  readonly flat?: Flat | undefined;
}

/** As text, "" for none, or as they were checked. */
export type GivenAttributes = string | CheckedAttributes;

export const NO_ATTRIBUTES: CheckedAttributes = { text: new Uint8Array(0), json: undefined };

/** What a text is as UTF-8 is what counts: a half of a surrogate pair is something else there. */
const HALF_PAIR = /\p{Surrogate}/u;

/** @throws {VstoreError} ERR */
export function encodeAttributes(given: GivenAttributes | undefined): CheckedAttributes | undefined {
  if (given === undefined) return undefined;
  const attributes = typeof given === "string" ? encoded(given) : given;
  const { attributesBytesMax } = limits;
  const { length } = attributes.text;
  if (length <= attributesBytesMax) return attributes;
  throw new VstoreError("ERR", `'attributes' must be at most ${attributesBytesMax} bytes, got ${length}`);
}

const encoded = (json: string): CheckedAttributes =>
  json === "" ? NO_ATTRIBUTES : { text: Buffer.from(json), json: undefined };

/** Undefined where the text is neither empty nor that of an object. */
export function checkJson(json: string): CheckedAttributes | undefined {
  if (json === "") return NO_ATTRIBUTES;
  const text = Buffer.from(json);
  const flat = flatAttributes(text);
  if (flat !== undefined) return flat;
  const object = readObject(json);
  return object && parsedAttributes(text, HALF_PAIR.test(json) ? undefined : object);
}

/** Undefined where JSON.parse has to say whether the text is that of an object. */
export function flatAttributes(text: Uint8Array): CheckedAttributes | undefined {
  const flat = recentShapes.read(text);
  return flat && { text, json: undefined, flat };
}

/** @param json what JSON.parse made of the text */
export function parsedAttributes(text: Uint8Array, json: object | undefined): CheckedAttributes {
  if (json !== undefined) recentShapes.learn(text);
  return { text, json, flat: undefined };
}

/** The object whose JSON text it is; undefined where it is none. */
export function readObject(json: string): object | undefined {
  try {
    const value: unknown = JSON.parse(json);
    return typeof value === "object" && value !== null && !Array.isArray(value) ? value : undefined;
  } catch {
    return undefined;
  }
}
