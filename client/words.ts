/** The arguments of commands in TypeScript, and the words that are sent for them. */
import type { Text, Word } from "./connection.ts";

/** Finite numbers; a Float32Array is sent as it is, others are rounded to float32. Copied when the method is called. */
export type Vector = Float32Array | readonly number[];
/** A vector, a key (its vector), or keys: the mean of their vectors, minus the mean of those of `not`. */
export type Query =
  | Vector
  | { readonly key: Text }
  | { readonly keys: readonly Text[]; readonly not?: readonly Text[] };

/** Options of every method. */
export interface CallOptions {
  /**
   * Rejects the promise with its reason. A command that has been sent already still takes place; its reply is ignored.
   */
  readonly signal?: AbortSignal | undefined;
}

export function text(value: Text): Word {
  return typeof value === "string" ? value : Buffer.from(value.buffer, value.byteOffset, value.byteLength);
}

/** Little-endian float32, a copy: the caller may use its array again. */
export function fp32(vector: Vector): Buffer {
  return Buffer.copyBytesFrom(vector instanceof Float32Array ? vector : Float32Array.from(vector));
}

export function queryWords(query: Query): Word[] {
  if ("key" in query) return ["KEY", text(query.key)];
  if (isVector(query)) return ["FP32", fp32(query)];
  const not = (query.not ?? []).flatMap((key) => ["NOT", "KEY", text(key)]);
  return [...query.keys.flatMap((key) => ["KEY", text(key)]), ...not];
}

const isVector = (query: Query): query is Vector => Array.isArray(query) || query instanceof Float32Array;

/** `[count, ...values]`, for a list whose length stands before it. */
export function counted(values: readonly Text[]): Word[] {
  return [String(values.length), ...values.map(text)];
}

/** Their number, and their components one after the other. */
export function countedVectors(vectors: readonly Vector[]): Word[] {
  return [String(vectors.length), "FP32", Buffer.concat(vectors.map(fp32))];
}

/** A token and its value, or nothing. */
export function after(token: string, value: Text | number | undefined): Word[] {
  if (value === undefined) return [];
  return [token, typeof value === "number" ? String(value) : text(value)];
}

/** A token and its values, or nothing. */
export function afterAll(token: string, values: readonly Text[] | undefined): Word[] {
  return values === undefined ? [] : [token, ...values.map(text)];
}

export function flag(token: string, isGiven: boolean | undefined): Word[] {
  return isGiven ? [token] : [];
}

/** One of several tokens, or nothing. */
export function oneOf(value: Text | number | undefined): Word[] {
  if (value === undefined) return [];
  return [typeof value === "number" ? String(value) : text(value)];
}

/** The words of a block, after its token, or nothing. */
export function block<T>(token: string, value: T | undefined, inner: (value: T) => Word[]): Word[] {
  return value === undefined ? [] : [token, ...inner(value)];
}

/** No attributes are the empty text. */
export function jsonText(value: object | null): string {
  return value === null ? "" : JSON.stringify(value);
}

export function json(token: string, value: object | undefined): Word[] {
  return value === undefined ? [] : [token, JSON.stringify(value)];
}

export function jsonOfAll(token: string, values: readonly object[] | undefined): Word[] {
  return values === undefined ? [] : [token, ...values.map((value) => JSON.stringify(value))];
}
