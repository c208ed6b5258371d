/**
 * Vectors as arguments: `FP32 blob`, little-endian float32 as every machine that Node runs this on stores them, or
 * `VALUES n v…`. This is the hot path: components are read into a Float32Array in one loop, and a blob is used where it
 * lies. The engine checks whether components are finite, as it looks at each anyway.
 */
import { VstoreError } from "../../errors.ts";
import { limits } from "../../limits.ts";
import { type Arguments, afterToken, integerValue, oneOf, vectorBlob } from "./arguments.ts";
import { echo } from "./bytes.ts";
import type { Cursor } from "./cursor.ts";
import { readDouble } from "./numbers.ts";

const bytesPerComponent = Float32Array.BYTES_PER_ELEMENT;

export type VectorInput = { fp32: Uint8Array } | { values: Float32Array };

const count = integerValue("count", limits.dimensionsMin, limits.dimensionsMax);

const componentList: Arguments<Float32Array> = {
  nodes: [...count.nodes, { name: "component", type: "double", multiple: true, expects: "finite numbers" }],
  parse(cursor, label) {
    const expected = count.parse(cursor, label);
    if (expected > cursor.left) {
      throw new VstoreError("ERR", `'vector' must have ${expected} components, got ${cursor.left}`);
    }
    return readComponents(cursor, expected);
  },
};

function readComponents(cursor: Cursor, count: number): Float32Array {
  const components = new Float32Array(count);
  for (let i = 0; i < count; i++) {
    const bytes = cursor.take("vector");
    const component = readDouble(bytes);
    if (Number.isNaN(component)) throw notANumber(i, bytes);
    components[i] = component;
  }
  return components;
}

/** Counts components from 1, as the engine does. */
function notANumber(index: number, bytes: Uint8Array): VstoreError {
  return new VstoreError("ERR", `'vector' must be finite numbers, component ${index + 1} is ${echo(bytes)}`);
}

/** The forms of a vector, for a command that knows more forms. */
export const vectorForms = {
  fp32: afterToken("FP32", vectorBlob),
  values: afterToken("VALUES", componentList),
};

export const vector = oneOf("vector", vectorForms);

/** The vector of an input. The caller knows the dimension from the collection. */
export function toVector(input: VectorInput, dimensions: number): Float32Array {
  if ("fp32" in input) return toVectors(input.fp32, 1, dimensions);
  const { length } = input.values;
  if (length === dimensions) return input.values;
  throw new VstoreError("ERR", `'vector' must be ${dimensions} numbers, got ${length}`);
}

/** `count` vectors that lie one after the other in one blob. */
export function toVectors(blob: Uint8Array, count: number, dimensions: number): Float32Array {
  assertBytes(blob, count, dimensions);
  return asFloats(blob);
}

/** The same, one by one: a large blob is not copied at once where its bytes lie as they must not. */
export function vectorReader(
  blob: Uint8Array,
  count: number,
  dimensions: number,
): (i: number) => Float32Array {
  assertBytes(blob, count, dimensions);
  const bytes = dimensions * bytesPerComponent;
  return (i) => asFloats(blob.subarray(i * bytes, (i + 1) * bytes));
}

function assertBytes(blob: Uint8Array, count: number, dimensions: number): void {
  const expected = count * dimensions * bytesPerComponent;
  if (blob.length === expected) return;
  const shape = count === 1 ? `${dimensions} x float32` : `${count} x ${dimensions} x float32`;
  throw new VstoreError("ERR", `'vector' must be ${expected} bytes (${shape}), got ${blob.length}`);
}

/** Without a copy when the bytes are aligned; a parser that slices its buffer leaves them anywhere. */
function asFloats(blob: Uint8Array): Float32Array {
  const aligned = blob.byteOffset % bytesPerComponent === 0 ? blob : new Uint8Array(blob);
  return new Float32Array(aligned.buffer, aligned.byteOffset, aligned.length / bytesPerComponent);
}

/** The bytes that `FP32` would take. */
export function toBlob(components: Float32Array): Uint8Array {
  return new Uint8Array(components.buffer, components.byteOffset, components.byteLength);
}
