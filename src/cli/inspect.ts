/** `vstore inspect <data-dir>`: what is in the files? */

import type { Manifest } from "../engine/disk/manifest.ts";
import {
  type InspectedCollection,
  type InspectedFile,
  type InspectedKey,
  inspect,
} from "../engine/tools/inspect.ts";
import { exitCodes, UseError } from "./exit.ts";
import { bytes, count, counted, logId, table, utc } from "./text.ts";

/** Keys of each collection that can be shown. */
const keysMax = 10_000;

export interface InspectOptions {
  readonly json?: boolean;
  readonly keys?: string;
}

export async function runInspect(directory: string, options: InspectOptions): Promise<number> {
  const collections = await inspect(directory, keyCount(options.keys));
  if (options.json)
    console.log(JSON.stringify({ directory, collections: collections.map(asJson) }, undefined, 2));
  else console.log(collections.length === 0 ? "no collections" : collections.map(asText).join("\n\n"));
  return exitCodes.done;
}

function keyCount(text = "0"): number {
  if (/^\d+$/.test(text) && Number(text) <= keysMax) return Number(text);
  throw new UseError(`--keys must be a whole number from 0 to ${keysMax}`);
}

function asText({ directory, manifest, files, keys, faults }: InspectedCollection): string {
  return [
    manifest?.name || directory,
    ...(manifest === undefined ? [] : table(facts(manifest, directory)).map(indent)),
    ...table(files.map(fileRow)).map(indent),
    ...table(keys.map(keyRow)).map(indent),
    ...faults.map((fault) => indent(`DAMAGED ${fault}`)),
  ].join("\n");
}

function facts(
  { options, slots, live, createdId, appliedId, index }: Manifest,
  directory: string,
): string[][] {
  const { dimensions, metric, M, efConstruction, ef } = options;
  const indexed =
    index === null ? "none saved" : `${index.kind}, knows slots below ${count(index.watermark)}`;
  return [
    ["vectors", `${count(live)} of ${counted(dimensions, "dimension")}, ${metric}`],
    ["slots", `${count(slots)}, ${count(slots - live)} of them dead`],
    ["index", `${indexed}; M ${M}, EF_CONSTRUCTION ${efConstruction}, EF ${ef}`],
    ["created by", logId(createdId)],
    ["log covered", logId(appliedId)],
    ["directory", directory],
  ];
}

function fileRow({ file, bytesCounted, bytesOnDisk, rows, capacity }: InspectedFile): string[] {
  const state = bytesOnDisk === undefined ? "MISSING" : `${bytes(bytesOnDisk)} on disk`;
  const fill = rows === undefined ? "" : `${count(rows)} of ${count(capacity!)} rows`;
  return [file, `${bytes(bytesCounted)} count`, state, fill];
}

function keyRow({ key, slot, vector, attributes, deadline }: InspectedKey): string[] {
  const components = vector.map((component) => String(Number(component.toPrecision(6)))).join(" ");
  return [
    `slot ${slot}`,
    JSON.stringify(text(key)),
    `[${components} …]`,
    attributes ?? "",
    deadline === undefined ? "" : `expires ${utc(deadline)}`,
  ];
}

const indent = (line: string): string => `  ${line}`;
const text = (key: Uint8Array): string => Buffer.from(key).toString("utf8");

function asJson({ directory, manifest, files, keys, faults }: InspectedCollection): object {
  return {
    name: manifest?.name ?? null,
    directory,
    manifest: manifest ?? null,
    files: files.map((file) => ({ ...file, bytesOnDisk: file.bytesOnDisk ?? null })),
    // A key may be any bytes; those that are no text are told apart by their hexadecimal form.
    keys: keys.map(({ key, slot, vector, attributes, deadline }) => ({
      key: text(key),
      hex: Buffer.from(key).toString("hex"),
      slot,
      vector,
      attributes: attributes ?? null,
      deadline: deadline ?? null,
    })),
    faults,
  };
}
