/**
 * The saved index of a collection. hnswlib's dump has no magic, version or checksum of its own; the manifest frames
 * it: kind, size, CRC-32 and watermark. An index that is not whole is made again, never repaired.
 */
import * as fs from "node:fs";
import { VstoreError } from "../../errors.ts";
import { checksumText, RollingChecksum } from "../disk/checksum.ts";
import { assertRoom } from "../disk/files.ts";
import type { SavedIndex } from "../disk/manifest.ts";
import { indexFile, indexNumber, TEMPORARY_SUFFIX } from "../disk/names.ts";
import { failPoint } from "../fail-point.ts";
import type { Indexer } from "./indexer.ts";
import type { VectorIndex, VectorIndexKind, VectorSource } from "./vector-index.ts";

/** Slots that the manifest names because no walk through the index reaches them. */
const UNREACHED_MAX = 100_000;

/**
 * Saves the index under the number after that of `previous`; the manifest does not name it yet.
 *
 * @throws {VstoreError} FULL; nothing of it is left then
 */
export async function saveIndex(
  directory: string,
  kind: VectorIndexKind,
  indexer: Indexer,
  previous: SavedIndex | null,
): Promise<SavedIndex> {
  const file = indexFile(previous === null ? 1 : indexNumber(previous.file) + 1);
  const temporary = `${directory}/${file}${TEMPORARY_SUFFIX}`;
  await assertRoom(directory, indexer.index.fileBytes, "an index");
  try {
    const watermark = await indexer.save(temporary);
    const { unreached } = indexer.index;
    if (unreached.length > UNREACHED_MAX)
      throw new VstoreError(
        "LIMIT",
        `the index does not reach ${unreached.length} vectors, so it is not saved`,
      );
    const { bytes, checksum } = await fileChecksum(temporary);
    failPoint("index-half-written", () => fs.truncateSync(temporary, bytes >> 1));
    await fs.promises.rename(temporary, `${directory}/${file}`);
    failPoint("index-before-manifest");
    const root = kind.provesItself ? { root: await rootOf(`${directory}/${file}`) } : {};
    const found = unreached.length > 0 ? { unreached } : {};
    return { file, kind: kind.name, bytes, checksum, watermark, ...root, ...found };
  } catch (error) {
    await fs.promises.rm(temporary, { force: true });
    throw error;
  }
}

/** The index that the manifest names, or undefined when there is none or it is not whole. */
export async function loadIndex(
  directory: string,
  saved: SavedIndex | null,
  kind: VectorIndexKind,
  source: VectorSource,
  warn: (message: string, details?: object) => void,
): Promise<VectorIndex | undefined> {
  if (saved === null) return undefined;
  const path = `${directory}/${saved.file}`;
  try {
    await verify(path, saved, kind);
    return await kind.load(source, path, saved.unreached ?? []);
  } catch (error) {
    warn("the saved index cannot be used and is built again", { file: path, reason: String(error) });
    return undefined;
  }
}

/** An index with checksums of its own is not read as a whole: its root tells whether it is the one that was saved. */
async function verify(path: string, saved: SavedIndex, kind: VectorIndexKind): Promise<void> {
  if (saved.kind !== kind.name) throw new Error(`made by ${saved.kind}, this is ${kind.name}`);
  if (kind.provesItself && saved.root !== undefined) {
    const { size } = await fs.promises.stat(path);
    if (size !== saved.bytes) throw new Error(`${size} bytes, expected ${saved.bytes}`);
    const root = await rootOf(path);
    if (root === saved.root) return;
    throw new Error(`root ${checksumText(root)}, expected ${checksumText(saved.root)}`);
  }
  const { bytes, checksum } = await fileChecksum(path);
  if (bytes !== saved.bytes) throw new Error(`${bytes} bytes, expected ${saved.bytes}`);
  if (checksum !== saved.checksum) {
    throw new Error(`checksum ${checksumText(checksum)}, expected ${checksumText(saved.checksum)}`);
  }
}

/** The last four bytes of a file. */
async function rootOf(path: string): Promise<number> {
  const file = await fs.promises.open(path, "r");
  try {
    const { size } = await file.stat();
    const { buffer, bytesRead } = await file.read(Buffer.alloc(4), 0, 4, Math.max(0, size - 4));
    if (bytesRead < 4) throw new Error("the file is cut off");
    return buffer.readUInt32LE();
  } finally {
    await file.close();
  }
}

/** Size and CRC-32 of a file, durable from then on. */
export async function fileChecksum(path: string): Promise<{ bytes: number; checksum: number }> {
  const file = await fs.promises.open(path, "r");
  try {
    await file.datasync();
    const rolling = new RollingChecksum();
    for await (const chunk of file.createReadStream({ autoClose: false, highWaterMark: 1 << 20 })) {
      rolling.extend(chunk);
    }
    return { bytes: rolling.bytes, checksum: rolling.value };
  } finally {
    await file.close();
  }
}
