/**
 * Shows what is in the files of a data directory. It takes no lock and changes nothing, so it may run while a sidecar
 * serves; of each collection it then shows the state of the last checkpoint.
 */
import * as fs from "node:fs";
import * as path from "node:path";
import { limits } from "../../limits.ts";
import { openFile } from "../disk/files.ts";
import { type CountedFile, type CountedLog, countedFiles, countedSegments } from "../disk/inventory.ts";
import { COMPONENT_BYTES, SEGMENT_HEADER } from "../disk/layout.ts";
import type { Manifest } from "../disk/manifest.ts";
import { readCheckedManifest } from "../disk/manifest-check.ts";
import { MANIFEST_FILE } from "../disk/names.ts";
import type { LogRecord } from "../disk/record-log.ts";
import { isLibraryStore, listDataDirectory } from "./data-directory.ts";
import { damageText, Findings } from "./findings.ts";
import { KeyReplay } from "./key-replay.ts";
import { type RecordVisitor, scanRecords } from "./scan-records.ts";

/** Components of a vector that are shown. */
const COMPONENTS_SHOWN_MAX = 6;

export interface InspectedFile {
  readonly file: string;
  readonly bytesCounted: number;
  /** Undefined when the file is missing. */
  readonly bytesOnDisk: number | undefined;
  /** Of a segment. */
  readonly rows?: number;
  readonly capacity?: number;
}

export interface InspectedKey {
  readonly key: Uint8Array;
  readonly slot: number;
  /** The first components. */
  readonly vector: readonly number[];
  readonly attributes: string | undefined;
  /** When it expires, in ms since 1970. */
  readonly deadline: number | undefined;
}

export interface InspectedCollection {
  readonly directory: string;
  /** Undefined when it cannot be read. */
  readonly manifest: Manifest | undefined;
  readonly files: readonly InspectedFile[];
  readonly keys: readonly InspectedKey[];
  /** What could not be read. */
  readonly faults: readonly string[];
}

/**
 * @param keys how many of each collection's keys to show, oldest vector first
 * @throws {VstoreError} ERR when it is neither a data directory nor a store of the library
 */
export async function inspect(directory: string, keys: number): Promise<InspectedCollection[]> {
  if (isLibraryStore(directory)) {
    const { dir, base } = path.parse(path.resolve(directory));
    return [await inspectCollection(dir, base, keys, "")];
  }
  const found: InspectedCollection[] = [];
  for (const entry of listDataDirectory(directory).collections) {
    found.push(await inspectCollection(directory, entry, keys));
  }
  return found;
}

async function inspectCollection(
  parent: string,
  entry: string,
  count: number,
  name?: string,
): Promise<InspectedCollection> {
  const directory = `${parent}/${entry}`;
  const findings = new Findings(`${entry}/${MANIFEST_FILE}`);
  const manifest = await findings.attempt(() => readCheckedManifest(parent, entry, name));
  const files = manifest === undefined ? [] : countedFiles(manifest).map((file) => describe(directory, file));
  const contents = new Findings(entry);
  const keys =
    manifest === undefined || count === 0
      ? []
      : await contents.attempt(() => firstKeys(directory, manifest, count));
  const faults = [...findings.damages, ...contents.damages].map(damageText);
  return { directory: entry, manifest, files, keys: keys ?? [], faults };
}

function describe(directory: string, file: CountedFile): InspectedFile {
  const stat = fs.statSync(`${directory}/${file.file}`, { throwIfNoEntry: false });
  const rows = file.kind === "segment" ? { rows: file.rows, capacity: file.shape.capacity } : {};
  return { file: file.file, bytesCounted: file.bytes, bytesOnDisk: stat?.size, ...rows };
}

function firstKeys(directory: string, manifest: Manifest, count: number): InspectedKey[] {
  const replay = new KeyReplay(manifest.slots);
  eachRecord(directory, manifest, "keys", {
    record: (record) => replay.apply(record),
    damage: () => replay.skip(),
  });
  const slots: number[] = [];
  for (let slot = 0; slot < replay.length && slots.length < count; slot++) {
    if (replay.live.has(slot)) slots.push(slot);
  }
  const attributes = attributesOf(directory, manifest, new Set(slots));
  return slots.map((slot) => ({
    key: replay.table.keyOf(slot),
    slot,
    vector: firstComponents(directory, manifest, slot),
    attributes: attributes.get(slot),
    deadline: replay.deadlines.get(slot) || undefined,
  }));
}

function attributesOf(directory: string, manifest: Manifest, slots: Set<number>): Map<number, string> {
  const texts = new Map<number, string>();
  const record = ({ slot, payload }: LogRecord) => {
    if (!slots.has(slot)) return;
    if (payload.length === 0) texts.delete(slot);
    else texts.set(slot, Buffer.from(payload).toString("utf8"));
  };
  eachRecord(directory, manifest, "attributes", { record, damage() {} });
  return texts;
}

/** Passes over damaged records: finding damage is verify's task. */
function eachRecord(
  directory: string,
  manifest: Manifest,
  kind: CountedLog["kind"],
  visitor: Pick<RecordVisitor, "record" | "damage">,
): void {
  const log = countedFiles(manifest).find((file) => file.kind === kind) as CountedLog;
  const payloadBytesMax = kind === "keys" ? limits.keyBytesMax : limits.attributesBytesMax;
  scanRecords(`${directory}/${log.file}`, log, { ...visitor, isDone: false, payloadBytesMax });
}

function firstComponents(directory: string, manifest: Manifest, slot: number): number[] {
  const { dimensions } = manifest.options;
  const segment = countedSegments(manifest).findLast(({ shape }) => shape.firstSlot <= slot)!;
  const components = new Float32Array(Math.min(dimensions, COMPONENTS_SHOWN_MAX));
  const at = SEGMENT_HEADER.bytes + (slot - segment.shape.firstSlot) * dimensions * COMPONENT_BYTES;
  const descriptor = openFile(`${directory}/${segment.file}`);
  try {
    fs.readSync(descriptor, components, 0, components.byteLength, at);
  } finally {
    fs.closeSync(descriptor);
  }
  return [...components];
}
