/**
 * Which files of a collection its manifest counts, and how many of their bytes. Verify, inspect, backup and restore all
 * learn it here. Nothing else in the directory counts.
 */
import * as path from "node:path";
import { COMPONENT_BYTES, SEGMENT_HEADER } from "./layout.ts";
import type { Manifest } from "./manifest.ts";
import { ATTRIBUTES_FILE, generationDirectory, KEYS_FILE, PAGES_FILE, segmentFile } from "./names.ts";
import type { SegmentShape } from "./segment.ts";
import { segmentShape } from "./segments.ts";

interface Counted {
  /** Path below the collection's directory. */
  readonly file: string;
  /** Bytes from its beginning that count. */
  readonly bytes: number;
  /** CRC-32 of all of them, but of a segment of its rows. */
  readonly checksum: number;
}

export interface CountedSegment extends Counted {
  readonly kind: "segment";
  readonly shape: SegmentShape;
  readonly rows: number;
}

export interface CountedLog extends Counted {
  readonly kind: "keys" | "attributes";
}

export interface CountedIndex extends Counted {
  readonly kind: "index";
}

export interface CountedColumns extends Counted {
  readonly kind: "columns";
}

export interface CountedPages extends Counted {
  readonly kind: "pages";
}

export type CountedFile = CountedSegment | CountedLog | CountedIndex | CountedColumns | CountedPages;

const REBUILT: readonly CountedFile["kind"][] = ["index", "columns", "pages"];

/** True when the next start makes the file again if it is damaged. */
export const isRebuilt = ({ kind }: CountedFile): boolean => REBUILT.includes(kind);

/** Columns and index come first: a later checkpoint may delete them, so a backup takes them first. */
export function countedFiles(manifest: Manifest): CountedFile[] {
  const { keys, attributes } = manifest;
  return [
    ...countedColumns(manifest),
    ...countedIndex(manifest),
    ...countedSegments(manifest),
    ...countedPages(manifest),
    { kind: "keys", file: below(manifest, KEYS_FILE), ...keys },
    { kind: "attributes", file: below(manifest, ATTRIBUTES_FILE), ...attributes },
  ];
}

function countedIndex(manifest: Manifest): CountedIndex[] {
  if (manifest.index === null) return [];
  const { file, bytes, checksum } = manifest.index;
  return [{ kind: "index", file: below(manifest, file), bytes, checksum }];
}

function countedColumns(manifest: Manifest): CountedColumns[] {
  if (manifest.columns === undefined) return [];
  const { file, bytes, checksum } = manifest.columns;
  return [{ kind: "columns", file: below(manifest, file), bytes, checksum }];
}

function countedPages(manifest: Manifest): CountedPages[] {
  if (manifest.pages === undefined) return [];
  const { bytes, checksum } = manifest.pages;
  return [{ kind: "pages", file: below(manifest, PAGES_FILE), bytes, checksum }];
}

/** Path of a file below the collection's directory. */
function below({ generation }: Manifest, name: string): string {
  return path.join(generationDirectory(".", generation), name);
}

export function countedSegments(manifest: Manifest): CountedSegment[] {
  const { options, segments, firstSegmentBytes } = manifest;
  let firstSlot = 0;
  return segments.map(({ rows, checksum }, number) => {
    const shape = segmentShape(options, number, firstSlot, firstSegmentBytes);
    firstSlot += shape.capacity;
    const bytes = SEGMENT_HEADER.bytes + rows * options.dimensions * COMPONENT_BYTES;
    return { kind: "segment", file: below(manifest, segmentFile(number)), bytes, checksum, shape, rows };
  });
}

/** True when the file will never be written to again, whatever is inserted. */
export function isFinal(file: CountedFile): boolean {
  return (
    file.kind === "index" ||
    file.kind === "columns" ||
    (file.kind === "segment" && file.rows === file.shape.capacity)
  );
}

/** Bytes that count in all files of the manifest together. */
export function countedBytes(manifest: Manifest): number {
  return countedFiles(manifest).reduce((sum, { bytes }) => sum + bytes, 0);
}
