/**
 * Checks of the arguments of MmapVectorStore, before the engine trusts them. All throw VstoreError ERR that names the
 * one.
 */
import { VstoreError } from "../../errors.ts";
import { type CheckedAttributes, checkJson } from "../input.ts";
import { didYouMean } from "../similar-name.ts";

/** A key as text (stored as UTF-8) or as bytes. */
export type Key = string | Uint8Array;

/** Names each option that there may be, so that a new one cannot be forgotten. */
export type Known<Options> = { readonly [Name in keyof Required<Options>]: true };

export function assertOptions<Options>(given: unknown, known: Known<Options>): void {
  if (given === null || typeof given !== "object") throw wrong("options", "an object", given);
  const unknown = Object.keys(given).find((name) => !Object.hasOwn(known, name));
  if (unknown === undefined) return;
  const names = Object.keys(known);
  const hint = didYouMean(unknown, names) || `; there are ${names.join(", ")}`;
  throw new VstoreError("ERR", `unknown option '${unknown}'${hint}`);
}

export function bytesOf(key: Key): Uint8Array {
  if (typeof key === "string") return Buffer.from(key);
  if (key instanceof Uint8Array) return key;
  throw wrong("key", "a string or a Uint8Array", key);
}

/** A Float64Array may hold what no float32 does, so nothing is converted silently. */
export function assertFloats(name: string, vector: unknown): void {
  if (!(vector instanceof Float32Array)) throw wrong(name, "a Float32Array", vector);
}

export function assertKeys(name: string, keys: unknown): void {
  if (!Array.isArray(keys)) throw wrong(name, "an array", keys);
}

export function checkTexts(texts: unknown): CheckedAttributes[] {
  assertKeys("attributes", texts);
  return (texts as unknown[]).map(checkText);
}

/** A count of what a caller wants, or gives. */
export function assertMaximum(name: string, count: unknown, max: number): void {
  if (Number.isInteger(count) && (count as number) >= 1 && (count as number) <= max) return;
  throw new VstoreError("ERR", `'${name}' must be from 1 to ${max}, got ${String(count)}`);
}

/** An option whose presence says little: `exact: "no"` would be true. */
export function assertFlag(name: string, flag: unknown): void {
  if (flag !== undefined && typeof flag !== "boolean") throw wrong(name, "true or false", flag);
}

export function assertNumber(name: string, number: unknown): void {
  if (typeof number !== "number" || Number.isNaN(number))
    throw new VstoreError("ERR", `'${name}' must be a number, got ${String(number)}`);
}

export function assertText(name: string, text: unknown): asserts text is string {
  if (typeof text !== "string") throw wrong(name, "a string", text);
}

/** "" removes them. */
export function checkText(json: unknown): CheckedAttributes {
  assertText("attributes", json);
  const checked = checkJson(json);
  if (checked !== undefined) return checked;
  throw new VstoreError("ERR", "'attributes' must be the JSON text of an object");
}

export function assertMode(mode: unknown): void {
  if (mode === undefined || mode === "NX" || mode === "XX") return;
  throw new VstoreError("ERR", `'mode' must be NX or XX, got ${String(mode)}`);
}

function wrong(name: string, expected: string, got: unknown): VstoreError {
  return new VstoreError("ERR", `'${name}' must be ${expected}, got ${kindOf(got)}`);
}

function kindOf(value: unknown): string {
  if (value === undefined) return "nothing";
  if (value === null) return "null";
  return typeof value === "object" ? (value.constructor?.name ?? "an object") : typeof value;
}
