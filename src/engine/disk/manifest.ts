/**
 * MANIFEST.json: which bytes of a collection's files count, and up to which log entry. Every checkpoint replaces it as
 * a whole; it is never edited. Everything beyond its counts is ignored; everything that it names must be whole.
 */
import { DamagedFileError } from "../../errors.ts";
import { failPoint } from "../fail-point.ts";
import type { CollectionOptions } from "../options.ts";
import { checksumText, crc32 } from "./checksum.ts";
import { readText, replaceFile } from "./files.ts";
import {
  FORMAT_VERSION,
  LINEAGE_MANIFEST_VERSION,
  MANIFEST_FORMAT,
  PAGED_MANIFEST_VERSION,
  SIZED_MANIFEST_VERSION,
} from "./layout.ts";
import { MANIFEST_FILE } from "./names.ts";

/** Size and CRC-32 of the part of a log that counts. */
export interface LogEnd {
  readonly bytes: number;
  readonly checksum: number;
}

/** A saved index: which file, made by which implementation, and the slots below which it knows all. */
export interface SavedIndex {
  readonly file: string;
  readonly kind: string;
  readonly bytes: number;
  readonly checksum: number;
  readonly watermark: number;
  /** The last four bytes of a file that has checksums of its own: a checksum of those. */
  readonly root?: number;
  /** Slots that no walk through the graph reaches, so that every search has to look at them; none when absent. */
  readonly unreached?: readonly number[];
}

/** Saved columns: which file, and the bytes of attributes.log that they follow from. */
export interface SavedColumns extends LogEnd {
  readonly file: string;
  readonly attributesBytes: number;
}

/** Saved checksums of pages: size and CRC-32 of their file. */
export interface SavedPages extends LogEnd {
  /** CRC-32 of the rows behind the last page that has a checksum in the file: of a page that is not full. */
  readonly rest: number;
}

/**
 * Which entries the ids of these files name: those of which timelines of the logs. Each process of Redis that may have
 * lost entries begins another timeline; the bridge tells them apart.
 */
export interface Lineage {
  /** The one that the files are on. */
  readonly timeline: string;
  /** Earlier ones, the latest last, and the id up to which the files have what was written on each. */
  readonly ends: readonly (readonly [timeline: string, end: string])[];
}

export interface Manifest {
  readonly name: string;
  /** Log ids: of the CREATE, and of the last entry whose effect is in the files. */
  readonly createdId: string;
  readonly appliedId: string;
  /** Undefined in versions 1 to 3, and where no Redis has led. */
  readonly lineage?: Lineage | undefined;
  readonly options: CollectionOptions;
  /** Bytes of its first segment; 1 MiB where this is missing. */
  readonly firstSegmentBytes?: number;
  /** How often the collection was compacted; says where its files are, see names.ts. */
  readonly generation: number;
  /** Slots that exist, and how many of them are alive. */
  readonly slots: number;
  readonly live: number;
  /** In order, each with its rows that count and their CRC-32. */
  readonly segments: readonly { readonly rows: number; readonly checksum: number }[];
  /** Undefined in versions 1 and 2, and then `segments` alone tells whether the rows are whole. */
  readonly pages?: SavedPages | undefined;
  readonly keys: LogEnd;
  readonly attributes: LogEnd;
  readonly index: SavedIndex | null;
  /** Undefined while none were saved. */
  readonly columns?: SavedColumns | undefined;
}

/** @throws {VstoreError} FULL */
export async function writeManifest(directory: string, manifest: Manifest): Promise<void> {
  failPoint("manifest-before-write");
  await replaceFile(directory, MANIFEST_FILE, seal(MANIFEST_FORMAT, manifest, versionOf(manifest)));
}

/** @throws {DamagedFileError} */
export async function readManifest(directory: string): Promise<Manifest> {
  const path = `${directory}/${MANIFEST_FILE}`;
  const text = await readText(path);
  if (text === undefined) throw new DamagedFileError(path, 0, "the file is missing");
  return unseal(path, MANIFEST_FORMAT, text, LINEAGE_MANIFEST_VERSION);
}

/** Name of the collection; undefined when too much of the directory is missing. */
export async function nameIn(directory: string): Promise<string | undefined> {
  const manifest = await readManifest(directory).catch(() => undefined);
  return manifest?.name;
}

/**
 * So that a vstore refuses by its version what it would misread or not keep up: one that takes every first segment for
 * one of 1 MiB, one that would write rows without checksums of their pages, and one that would leave the lineage as it
 * was.
 */
function versionOf({ firstSegmentBytes, pages, lineage }: Manifest): number {
  if (lineage !== undefined) return LINEAGE_MANIFEST_VERSION;
  if (pages !== undefined) return PAGED_MANIFEST_VERSION;
  return firstSegmentBytes === undefined ? FORMAT_VERSION : SIZED_MANIFEST_VERSION;
}

/** JSON text with format, version and a checksum of all the rest. */
export function seal(format: string, content: object, version: number = FORMAT_VERSION): string {
  const body = { format, version, ...content };
  return `${JSON.stringify({ ...body, checksum: checksumOf(body) }, undefined, 2)}\n`;
}

/**
 * What `seal` was given.
 *
 * @param latest the highest version that is read; the lowest is FORMAT_VERSION
 * @throws {DamagedFileError} another format, then another version, then a wrong checksum
 */
export function unseal<Content extends object>(
  path: string,
  format: string,
  text: string,
  latest: number = FORMAT_VERSION,
): Content {
  const { checksum, ...body } = parse(path, text);
  if (body.format !== format) throw new DamagedFileError(path, 0, `not a ${format} file`);
  const { version } = body;
  if (typeof version !== "number" || version < FORMAT_VERSION || version > latest)
    throw new DamagedFileError(path, 0, `format version ${version}, this vstore reads ${latest}`);
  if (checksum !== checksumOf(body))
    throw new DamagedFileError(path, 0, "the text does not match its checksum");
  const { format: _format, version: _version, ...content } = body;
  return content as Content;
}

function parse(path: string, text: string): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value === "object" && value !== null) return value as Record<string, unknown>;
  } catch {
    // Reported below, like JSON that is no object.
  }
  throw new DamagedFileError(path, 0, "not a JSON object");
}

const checksumOf = (body: object): string => checksumText(crc32(Buffer.from(JSON.stringify(body))));
