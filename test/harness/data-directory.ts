/** Data directories with something in them, and what can be said of one from outside. */
import { createHash } from "node:crypto";
import * as fs from "node:fs";
import { Catalog } from "../../src/engine/catalog.ts";
import type { Collection } from "../../src/engine/collection.ts";
import { resolveOptions } from "../../src/engine/options.ts";
import { damagesOf, verify } from "../../src/engine/tools/verify.ts";
import { temporaryDirectory } from "./directory.ts";

/** Rows of 2 KiB, so that 900 of them fill segment 0 and reach into segment 1. */
export const dimensions = 512;

export const key = (i: number): Buffer => Buffer.from(`key ${i}`);

export function vector(i: number): Float32Array {
  return new Float32Array(dimensions).fill(i + 1);
}

/** Writes rounds of vectors, so that entry n of the log is insertion n. */
export function insert(collection: Collection, from: number, to: number): void {
  for (let i = from; i < to; i++) {
    collection.insert(key(i), vector(i), i % 3 === 0 ? { attributes: `{"i":${i}}` } : {});
    collection.appliedId = `${i + 1}-0`;
  }
}

/** Collections "docs" (900 vectors, two segments, an index, updates and deletions) and "small" (10 vectors). */
export async function filledDirectory(): Promise<string> {
  const directory = `${temporaryDirectory()}/data`;
  const catalog = await Catalog.open(directory);
  const docs = await catalog.create("docs", resolveOptions({ dimensions, metric: "L2", M: 4 }), "0-1");
  insert(docs, 0, 900);
  docs.insert(key(5), vector(5_000));
  docs.delete([key(6), key(7)]);
  await docs.build();
  insert(await catalog.create("small", resolveOptions({ dimensions, metric: "L2" }), "0-2"), 0, 10);
  await catalog.close();
  return directory;
}

/** What `vstore verify` finds. */
export async function damagesIn(directory: string) {
  return damagesOf(await verify(directory, () => {}));
}

/** What the collections of a data directory hold, by name. */
export async function everything(directory: string): Promise<Record<string, ReturnType<typeof contents>>> {
  const catalog = await Catalog.open(directory);
  const found = Object.fromEntries(catalog.collections().map((each) => [each.name, contents(each)]));
  await catalog.close();
  return found;
}

/** Of every file its contents' hash and its times, by path. */
export function fingerprint(directory: string): Record<string, string> {
  const files = fs.readdirSync(directory, { recursive: true, encoding: "utf8" }).sort();
  return Object.fromEntries(
    files.map((file) => {
      const path = `${directory}/${file}`;
      const { mtimeNs, ctimeNs, size } = fs.statSync(path, { bigint: true });
      const isFile = fs.statSync(path).isFile();
      const hash = isFile ? createHash("sha256").update(fs.readFileSync(path)).digest("hex") : "";
      return [file, `${size} ${mtimeNs} ${ctimeNs} ${hash}`];
    }),
  );
}

/** [key, first component, attributes] of everything in a collection, by key. */
export function contents(collection: Collection): [string, number, string | undefined][] {
  const { keys } = collection.scan(0, Number.MAX_SAFE_INTEGER);
  return keys
    .sort(Buffer.compare)
    .map((each) => [Buffer.from(each).toString(), collection.get(each)![0]!, collection.getAttributes(each)]);
}

/** Changes bytes of a file in place. */
export function overwrite(path: string, offset: number, bytes: Uint8Array): void {
  const descriptor = fs.openSync(path, "r+");
  fs.writeSync(descriptor, bytes, 0, bytes.length, offset);
  fs.closeSync(descriptor);
}

export function flip(path: string, offset: number): void {
  const byte = Buffer.alloc(1);
  const descriptor = fs.openSync(path, "r+");
  fs.readSync(descriptor, byte, 0, 1, offset);
  byte[0]! ^= 1;
  fs.writeSync(descriptor, byte, 0, 1, offset);
  fs.closeSync(descriptor);
}
