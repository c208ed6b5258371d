/**
 * Copies what a collection's manifest counts, and nothing else, out of a directory in which a process may be writing.
 * That is safe without its cooperation: the manifest is replaced atomically, and what one counts never changes.
 */
import * as fs from "node:fs";
import { promisify } from "node:util";
import { openFile, readText, replaceFile, rethrow, syncData, syncDirectory, write } from "../disk/files.ts";
import { type CountedFile, countedFiles, isFinal } from "../disk/inventory.ts";
import { generationDirectory, MANIFEST_FILE } from "../disk/names.ts";
import { CollectionCheck, type CollectionReport } from "./verify-collection.ts";

const CHUNK_BYTES = 1 << 20;
const ZEROS = Buffer.alloc(CHUNK_BYTES);
const readAsync = promisify(fs.read);

/** Why two names for one file are refused: another file system, its rules, or its limits. */
const UNLINKABLE = new Set(["EXDEV", "EPERM", "EMLINK", "ENOTSUP", "EOPNOTSUPP", "ENOSYS"]);

export interface CopyOptions {
  /** Whether files that will never be written to again may be shared (hard links) instead of copied. */
  readonly share: boolean;
  /** Told of bytes of the copy that were verified. */
  readonly onRead: (bytes: number) => void;
}

/**
 * Copies the collection in `<from>/<entry>` to `<to>/<entry>`, durably, and verifies the copy. A file that is missing
 * or too short is left so: the report says it.
 *
 * @returns undefined when there is no manifest
 * @throws {VstoreError} FULL
 */
export async function copyCollection(
  from: string,
  to: string,
  entry: string,
  { share, onRead }: CopyOptions,
): Promise<CollectionReport | undefined> {
  const [source, copy] = [`${from}/${entry}`, `${to}/${entry}`];
  // What an earlier attempt left.
  fs.rmSync(copy, { recursive: true, force: true });
  const text = await readText(`${source}/${MANIFEST_FILE}`);
  if (text === undefined) return undefined;
  fs.mkdirSync(copy);
  await replaceFile(copy, MANIFEST_FILE, text);
  const check = await CollectionCheck.begin(to, entry);
  if (check.manifest !== undefined) {
    const files = generationDirectory(copy, check.manifest.generation);
    fs.mkdirSync(files, { recursive: true });
    for (const file of countedFiles(check.manifest)) {
      await copyFile(source, copy, file, share).catch(unlessMissing);
    }
    await syncDirectory(files);
  }
  await syncDirectory(copy);
  return check.run(onRead);
}

async function copyFile(source: string, copy: string, file: CountedFile, share: boolean): Promise<void> {
  const [from, to] = [`${source}/${file.file}`, `${copy}/${file.file}`];
  if (!isFinal(file)) await copyBeginning(from, to, file);
  else if (!share || !(await isLinked(from, to))) await clone(from, to);
}

async function isLinked(from: string, to: string): Promise<boolean> {
  try {
    await fs.promises.link(from, to);
    return true;
  } catch (error) {
    if (UNLINKABLE.has((error as NodeJS.ErrnoException).code ?? "")) return false;
    throw error;
  }
}

/** Shares the blocks where the file system can, copies them elsewhere. */
async function clone(from: string, to: string): Promise<void> {
  await fs.promises.copyFile(from, to, fs.constants.COPYFILE_FICLONE).catch(rethrow);
  const file = await fs.promises.open(to, "r");
  await file.datasync().finally(() => file.close());
}

/** Copies the bytes that count. A segment is filled up with zeros, since it must not have holes (segment.ts). */
async function copyBeginning(from: string, to: string, file: CountedFile): Promise<void> {
  const input = openFile(from);
  const output = fs.openSync(to, "w");
  try {
    const chunk = Buffer.allocUnsafe(CHUNK_BYTES);
    for (let at = 0; at < file.bytes; ) {
      const { bytesRead } = await readAsync(input, chunk, 0, Math.min(chunk.length, file.bytes - at), at);
      if (bytesRead === 0) return;
      await write(output, chunk.subarray(0, bytesRead), at);
      at += bytesRead;
    }
    if (file.kind === "segment") await fillUp(output, file.bytes, file.shape.fileBytes);
    await syncData(output);
  } finally {
    fs.closeSync(input);
    fs.closeSync(output);
  }
}

async function fillUp(descriptor: number, from: number, to: number): Promise<void> {
  for (let at = from; at < to; at += ZEROS.length) {
    await write(descriptor, ZEROS.subarray(0, Math.min(ZEROS.length, to - at)), at);
  }
}

function unlessMissing(error: NodeJS.ErrnoException): void {
  if (error.code !== "ENOENT" && error.code !== "DAMAGED") throw error;
}
