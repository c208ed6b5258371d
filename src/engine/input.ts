/**
 * Checks of what a collection takes. Each names the argument, what was expected and what came. All throw VstoreError
 * ERR.
 */
import { VstoreError } from "../errors.ts";
import { limits } from "../limits.ts";
import { allFinite, isZero } from "./index/distance.ts";
import type { CollectionOptions } from "./options.ts";

/** The part of a collection's options that concerns a single vector. */
export type VectorShape = Pick<CollectionOptions, "dimensions" | "metric">;

const NO_ATTRIBUTES = new Uint8Array(0);

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

/** The rows of a matrix of shape (count x dimensions), each checked. */
export function rowsOf(vectors: Float32Array, options: CollectionOptions, count: number): Float32Array[] {
  const { dimensions } = options;
  assertLength("vectors", vectors.length, count * dimensions);
  return Array.from({ length: count }, (_, i) => {
    const row = vectors.subarray(i * dimensions, (i + 1) * dimensions);
    assertVector(row, options, `vector ${i + 1}`);
    return row;
  });
}

/** UTF-8 of the JSON text; empty for "", which removes. */
export function encodeAttributes(json: string | undefined): Uint8Array | undefined {
  if (json === undefined) return undefined;
  const text = json === "" ? NO_ATTRIBUTES : Buffer.from(json);
  const { attributesBytesMax } = limits;
  if (text.length <= attributesBytesMax) return text;
  throw new VstoreError(
    "ERR",
    `'attributes' must be at most ${attributesBytesMax} bytes, got ${text.length}`,
  );
}

export function isJsonObject(json: string): boolean {
  try {
    const value: unknown = JSON.parse(json);
    return typeof value === "object" && value !== null && !Array.isArray(value);
  } catch {
    return false;
  }
}
