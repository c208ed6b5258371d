/** Reads the checksums of pages that a manifest counts. */
import * as fs from "node:fs";
import { DamagedFileError } from "../../../errors.ts";
import { checksumText, crc32 } from "../checksum.ts";
import { countedSegments } from "../inventory.ts";
import { LOG_HEADER, PAGE_CHECKSUM_BYTES, PAGES_MAGIC } from "../layout.ts";
import type { Manifest, SavedPages } from "../manifest.ts";
import { PAGES_FILE } from "../names.ts";
import { verifyHeader } from "../record-log.ts";
import { checksumsOfSegments } from "./geometry.ts";

/**
 * Of each segment the checksums of its pages; undefined where the manifest names none, or their file is damaged: they
 * can be made again from rows that are whole.
 *
 * @param warn told of a damaged file
 */
export async function loadPageChecksums(
  files: string,
  manifest: Manifest,
  warn: (message: string, details: object) => void,
): Promise<readonly Uint32Array[] | undefined> {
  if (manifest.pages === undefined) return undefined;
  const path = `${files}/${PAGES_FILE}`;
  try {
    const saved = await readPageChecksums(path, manifest.pages);
    return checksumsOfSegments(countedSegments(manifest), saved, manifest.pages.rest);
  } catch (error) {
    const details = { collection: manifest.name, file: path, reason: String((error as Error).message) };
    warn("the checksums of pages are damaged; all vectors are read, and they are made again", details);
    return undefined;
  }
}

/** Those in the file. @throws {DamagedFileError}; an error of the system */
async function readPageChecksums(path: string, { bytes, checksum }: SavedPages): Promise<Uint32Array> {
  const file = await fs.promises.readFile(path);
  if (file.length < bytes)
    throw new DamagedFileError(path, file.length, `file of ${file.length} bytes, expected ${bytes}`);
  verifyHeader(path, file, PAGES_MAGIC);
  const found = crc32(file, 0, bytes);
  if (found !== checksum) {
    const what = `checksum ${checksumText(found)}, expected ${checksumText(checksum)}`;
    throw new DamagedFileError(path, 0, `the file has ${what}`);
  }
  const count = (bytes - LOG_HEADER.bytes) / PAGE_CHECKSUM_BYTES;
  return Uint32Array.from({ length: count }, (_, at) =>
    file.readUInt32LE(LOG_HEADER.bytes + at * PAGE_CHECKSUM_BYTES),
  );
}
