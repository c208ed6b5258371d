/**
 * One checkpoint of a collection, held to be read while writes, checkpoints and compactions go on. No copy is made:
 * what a manifest counts never changes, and an open file outlives its name.
 */
import * as fs from "node:fs";
import { DamagedFileError, VstoreError } from "../../errors.ts";
import type { Manifest } from "../disk/manifest.ts";
import { readCheckedManifest } from "../disk/manifest-check.ts";
import { collectionDirectory } from "../disk/names.ts";
import { Sequence } from "./sequence.ts";

/** How often it is begun again because a checkpoint has removed a file meanwhile. */
const ATTEMPTS_MAX = 8;

export class HeldCheckpoint {
  readonly manifest: Manifest;
  readonly #sequence: Sequence;
  readonly #files: readonly fs.promises.FileHandle[];

  private constructor(manifest: Manifest, sequence: Sequence, files: readonly fs.promises.FileHandle[]) {
    this.manifest = manifest;
    this.#sequence = sequence;
    this.#files = files;
  }

  /**
   * The last checkpoint of the collection.
   *
   * @param directory that of all collections
   * @throws {VstoreError} DAMAGED, TRYAGAIN
   */
  static async hold(directory: string, name: string): Promise<HeldCheckpoint> {
    const entry = collectionDirectory(name);
    for (let attempt = 1; attempt <= ATTEMPTS_MAX; attempt++) {
      const manifest = await readCheckedManifest(directory, entry);
      const sequence = new Sequence(manifest);
      const paths = sequence.files.map(({ file }) => `${directory}/${entry}/${file}`);
      const files = await openAll(paths);
      if (files === undefined) continue;
      const held = new HeldCheckpoint(manifest, sequence, files);
      // A file of the same name may be another one, once the collection was dropped and created again.
      const now = await readCheckedManifest(directory, entry).catch(() => undefined);
      if (now?.createdId === manifest.createdId && now.generation === manifest.generation) return held;
      await held.close();
    }
    throw new VstoreError("TRYAGAIN", `the files of '${name}' were replaced ${ATTEMPTS_MAX} times`);
  }

  get bytes(): number {
    return this.#sequence.bytes;
  }

  /** The bytes from `at` on; fewer only at the end. @throws {DamagedFileError} */
  async read(at: number, length: number): Promise<Buffer> {
    const bytes = Buffer.allocUnsafe(Math.min(length, this.bytes - at));
    let filled = 0;
    for (const piece of this.#sequence.pieces(at, length)) {
      await this.#fill(bytes.subarray(filled, filled + piece.length), piece.number, piece.position);
      filled += piece.length;
    }
    return bytes;
  }

  async close(): Promise<void> {
    for (const file of this.#files) await file.close();
  }

  async #fill(bytes: Buffer, number: number, position: number): Promise<void> {
    for (let done = 0; done < bytes.length; ) {
      const { bytesRead } = await this.#files[number]!.read(
        bytes,
        done,
        bytes.length - done,
        position + done,
      );
      if (bytesRead === 0) {
        const { file } = this.#sequence.files[number]!;
        throw new DamagedFileError(file, position + done, "the file is too short");
      }
      done += bytesRead;
    }
  }
}

/** Undefined when one of them is not there any more. */
async function openAll(paths: readonly string[]): Promise<fs.promises.FileHandle[] | undefined> {
  const opened: fs.promises.FileHandle[] = [];
  try {
    for (const path of paths) opened.push(await fs.promises.open(path, "r"));
    return opened;
  } catch (error) {
    for (const file of opened) await file.close();
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
}
