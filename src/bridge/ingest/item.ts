/**
 * One item of an ingest job: checked as INSERT would check it, so that a bad one is found before it is sent together
 * with good ones. The vector is either an array of numbers or base64 of what `FP32` takes.
 */
import { z } from "zod";
import { toVector } from "../../commands/grammar/vector.ts";
import {
  assertKey,
  assertLength,
  assertVector,
  encodeAttributes,
  type VectorShape,
} from "../../engine/input.ts";
import { VstoreError } from "../../errors.ts";
import { describeFault, toUtf8 } from "./job.ts";

export interface Item {
  readonly key: string;
  readonly vector: Float32Array;
  /** JSON text; undefined keeps what the key has. */
  readonly attributes: string | undefined;
}

const vectorPhrase = "an array of numbers, or base64 of little-endian float32";

/** UTF-8 has no lone surrogates: keys that differ in them only would become one. */
const key = z.string("a string").refine((text) => !/\p{Surrogate}/u.test(text), "valid Unicode");

const schema = z.strictObject(
  {
    key,
    vector: z.custom<string | readonly unknown[]>(isVectorForm, vectorPhrase),
    attributes: z.custom<object>(isObject, "a JSON object").optional(),
  },
  "an object {key, vector, attributes?}",
);

/** @throws {VstoreError} ERR that says what is wrong with it */
export function checkItem(given: unknown, shape: VectorShape): Item {
  const result = schema.safeParse(given);
  if (!result.success) throw new VstoreError("ERR", describeFault(result.error, "item"));
  const { key, vector: form, attributes: object } = result.data;
  assertKey(toUtf8(key));
  const vector = typeof form === "string" ? fromBase64(form, shape) : fromNumbers(form, shape);
  assertVector(vector, shape, "vector");
  const attributes = object && JSON.stringify(object);
  encodeAttributes(attributes); // for its limit
  return { key, vector, attributes };
}

/** Node skips what is not base64: fewer bytes come out then than characters and padding went in for. */
function fromBase64(text: string, { dimensions }: VectorShape): Float32Array {
  const bytes = Buffer.from(text, "base64");
  const padding = (3 - (bytes.length % 3)) % 3;
  if (text.length !== 4 * Math.ceil(bytes.length / 3) || !text.endsWith("=".repeat(padding))) {
    throw new VstoreError("ERR", `'vector' must be ${vectorPhrase}`);
  }
  return toVector({ fp32: bytes }, dimensions);
}

function fromNumbers(components: readonly unknown[], { dimensions }: VectorShape): Float32Array {
  assertLength("vector", components.length, dimensions);
  const vector = new Float32Array(dimensions);
  for (let i = 0; i < dimensions; i++) {
    const component = components[i];
    if (typeof component !== "number") throw notANumber(i, component);
    vector[i] = component;
  }
  return vector;
}

/** Counts components from 1, as the engine does. JSON has null where a program had NaN. */
function notANumber(index: number, component: unknown): VstoreError {
  const what = component === null ? "null" : `of type ${typeof component}`;
  return new VstoreError("ERR", `'vector' must be finite numbers, component ${index + 1} is ${what}`);
}

function isVectorForm(value: unknown): boolean {
  return typeof value === "string" || Array.isArray(value);
}

function isObject(value: unknown): boolean {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
