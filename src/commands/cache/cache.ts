/**
 * What all commands of caches share: which collection is a cache, what its values are called in Redis, and that a scope
 * is whole. An entry is one vector, whose attributes say what the module and the filters have to know (entry.ts), and
 * one Redis string under the same key.
 */
import { createHash } from "node:crypto";
import type { Catalog } from "../../engine/catalog.ts";
import type { Collection } from "../../engine/collection.ts";
import { type CacheOptions, cacheScopeAttribute } from "../../engine/options.ts";
import { VstoreError } from "../../errors.ts";

export interface Cache {
  readonly collection: Collection;
  readonly options: CacheOptions;
}

/** @throws {VstoreError} NOCOLLECTION, DAMAGED; ERR where it is no cache */
export function cacheOf(catalog: Catalog, name: string): Cache {
  const collection = catalog.get(name);
  const options = collection.options.cache;
  if (options === undefined) throw new VstoreError("ERR", `collection '${name}' is no cache`);
  return { collection, options };
}

/** What the keys of a cache's values begin with: they share the cluster slot of the cache. */
export function valuePrefix(name: string): string {
  return /\{[^{}]+\}/.test(name) ? `${name}:` : `{${name}}:`;
}

/** The id of an entry: the key of its value without the prefix. */
export function idOf(name: string, key: Uint8Array): Uint8Array {
  return key.subarray(valuePrefix(name).length);
}

export function keyOf(name: string, id: Uint8Array | string): Buffer {
  return Buffer.concat([Buffer.from(valuePrefix(name), "latin1"), Buffer.from(id)]);
}

export interface ScopePart {
  readonly field: string;
  readonly value: string;
}

/** Every field of a cache's scope with its value, in the order in which the cache declares them. */
export type Scope = readonly ScopePart[];

const digestChars = 32;

/**
 * A declared scope must be given whole, and nothing else with it: what is left out would otherwise be found by all.
 *
 * @throws {VstoreError} ERR that names the field
 */
export function wholeScope({ scope: declared }: CacheOptions, given: readonly ScopePart[] = []): Scope {
  assertFields(declared, given);
  return declared.map((field) => {
    const part = given.find((each) => each.field === field);
    if (part !== undefined) return part;
    throw new VstoreError("ERR", `'SCOPE' must give ${declared.join(", ")}: '${field}' is missing`);
  });
}

/** The same for a part of the scope. @throws {VstoreError} ERR that names the field */
export function assertFields(declared: readonly string[], given: readonly ScopePart[]): void {
  given.forEach(({ field }, at) => {
    if (!declared.includes(field)) {
      const known = declared.length === 0 ? "it has none" : `it has ${declared.join(", ")}`;
      throw new VstoreError("ERR", `'${field}' is no field of the cache's scope; ${known}`);
    }
    if (given.findIndex((each) => each.field === field) !== at)
      throw new VstoreError("ERR", `'SCOPE' gives '${field}' twice`);
  });
}

/** One text for each scope, so that a filter compares one column; undefined where the cache has no scope. */
export function scopeDigest(scope: Scope): string | undefined {
  if (scope.length === 0) return undefined;
  const values = JSON.stringify(scope.map(({ value }) => value));
  return createHash("sha256").update(values).digest("hex").slice(0, digestChars);
}

/** Matches the entries of the scope; undefined where the cache has none. */
export function scopeFilter(digest: string | undefined): string | undefined {
  return digest === undefined ? undefined : `.${cacheScopeAttribute} == "${digest}"`;
}
