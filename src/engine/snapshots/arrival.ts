/**
 * The files of a snapshot as they arrive, beside the collections of a data directory. Bytes are written in the order of
 * the sequence, and each file is compared with its checksum once it is whole. What has arrived outlives the process:
 * the next one goes on behind it. The manifest comes last, so files without it are never taken for a collection.
 */
import * as fs from "node:fs";
import { z } from "zod";
import { DamagedFileError, VstoreError } from "../../errors.ts";
import { checksumText, RollingChecksum } from "../disk/checksum.ts";
import { readText, replaceFile, rethrow, syncDirectory, write } from "../disk/files.ts";
import { type CountedFile, isRebuilt } from "../disk/inventory.ts";
import { ARRIVAL_FORMAT, SEGMENT_HEADER } from "../disk/layout.ts";
import { type Manifest, seal, unseal, writeManifest } from "../disk/manifest.ts";
import { manifestFault } from "../disk/manifest-check.ts";
import { ARRIVAL_FILE, generationDirectory, receivingDirectory } from "../disk/names.ts";
import { Sequence } from "./sequence.ts";

const CHUNK_BYTES = 1 << 20;
const ZEROS = Buffer.alloc(CHUNK_BYTES);

const schema = z.object({ copy: z.string(), manifest: z.looseObject({}) });

/** The file that is being written. */
interface Current {
  readonly number: number;
  readonly handle: fs.promises.FileHandle;
  readonly checksum: RollingChecksum;
}

export class Arrival {
  /** Which copy it is of, by the name that its sender gave it. */
  readonly copy: string;
  readonly manifest: Manifest;
  readonly #directory: string;
  readonly #sequence: Sequence;
  #position = 0;
  #current: Current | undefined;

  private constructor(directory: string, copy: string, manifest: Manifest) {
    this.#directory = directory;
    this.copy = copy;
    this.manifest = manifest;
    this.#sequence = new Sequence(manifest);
  }

  /**
   * Begins anew, in the place of what has arrived before.
   *
   * @param parent the data directory
   * @throws {VstoreError} FULL; DAMAGED, when it is no manifest of this collection
   */
  static async begin(parent: string, name: string, copy: string, manifest: Manifest): Promise<Arrival> {
    const directory = `${parent}/${receivingDirectory(name)}`;
    const fault = manifestFault(manifest, name);
    if (fault !== undefined) throw new DamagedFileError(`the manifest of a snapshot of '${name}'`, 0, fault);
    await fs.promises.rm(directory, { recursive: true, force: true });
    const arrival = new Arrival(directory, copy, manifest);
    await assertSpace(parent, arrival.bytes);
    await fs.promises.mkdir(generationDirectory(directory, manifest.generation), { recursive: true });
    await replaceFile(directory, ARRIVAL_FILE, seal(ARRIVAL_FORMAT, { copy, manifest }));
    await syncDirectory(parent);
    return arrival;
  }

  /** What an earlier process has left, ready to go on; undefined when there is nothing, or nothing that is whole. */
  static async resume(parent: string, name: string): Promise<Arrival | undefined> {
    const directory = `${parent}/${receivingDirectory(name)}`;
    const path = `${directory}/${ARRIVAL_FILE}`;
    const text = await readText(path);
    if (text === undefined) return undefined;
    try {
      const { copy, manifest } = schema.parse(unseal(path, ARRIVAL_FORMAT, text));
      if (manifestFault(manifest as unknown as Manifest, name) !== undefined) return undefined;
      const arrival = new Arrival(directory, copy, manifest as unknown as Manifest);
      await arrival.#findPosition();
      return arrival;
    } catch (error) {
      if (error instanceof DamagedFileError || error instanceof z.ZodError) return undefined;
      throw error;
    }
  }

  /** Bytes of the sequence that are here. */
  get position(): number {
    return this.#position;
  }

  get bytes(): number {
    return this.#sequence.bytes;
  }

  /** Writes the next bytes. @throws {VstoreError} FULL; DAMAGED when a file is whole and not what it should be */
  async add(bytes: Buffer): Promise<void> {
    if (bytes.length > this.bytes - this.#position)
      throw new DamagedFileError(this.#directory, this.#position, "more bytes than the manifest counts");
    let taken = 0;
    for (const { number, position, length } of this.#sequence.pieces(this.#position, bytes.length)) {
      this.#current ??= await this.#open(number);
      const piece = bytes.subarray(taken, taken + length);
      await write(this.#current.handle.fd, piece, position);
      extend(this.#current.checksum, this.#sequence.files[number]!, position, piece);
      taken += length;
      if (position + length === this.#sequence.files[number]!.bytes) await this.#finishFile();
      this.#position += length;
    }
  }

  /** Makes all of it durable and gives it its manifest. Catalog.replace can take it then. @throws {VstoreError} FULL */
  async finish(): Promise<void> {
    await syncDirectory(generationDirectory(this.#directory, this.manifest.generation));
    await writeManifest(this.#directory, this.manifest);
    await fs.promises.rm(`${this.#directory}/${ARRIVAL_FILE}`);
    await syncDirectory(this.#directory);
  }

  async close(): Promise<void> {
    const current = this.#current;
    this.#current = undefined;
    await current?.handle.close();
  }

  async discard(): Promise<void> {
    await this.close();
    await fs.promises.rm(this.#directory, { recursive: true, force: true });
  }

  #pathOf(number: number): string {
    return `${this.#directory}/${this.#sequence.files[number]!.file}`;
  }

  async #open(number: number): Promise<Current> {
    const flags = fs.constants.O_RDWR | fs.constants.O_CREAT;
    const handle = await fs.promises.open(this.#pathOf(number), flags).catch(rethrow);
    return { number, handle, checksum: new RollingChecksum() };
  }

  /** A segment is filled up with zeros, since it must not have holes (segment.ts). */
  async #finishFile(): Promise<void> {
    const { number, handle, checksum } = this.#current!;
    const file = this.#sequence.files[number]!;
    // Index and columns are built again where they are damaged.
    if (checksum.value !== file.checksum && !isRebuilt(file)) {
      const found = `checksum ${checksumText(checksum.value)}, expected ${checksumText(file.checksum)}`;
      throw new DamagedFileError(this.#pathOf(number), 0, `a file of a snapshot has ${found}`);
    }
    if (file.kind === "segment")
      for (let at = file.bytes; at < file.shape.fileBytes; at += ZEROS.length)
        await write(handle.fd, ZEROS.subarray(0, file.shape.fileBytes - at), at);
    await handle.datasync();
    await this.close();
  }

  /**
   * Behind the last file that has bytes; files before it were compared and flushed. That file is read again, for its
   * checksum, and the one before it too: a crash may have come between its last byte and the comparison.
   */
  async #findPosition(): Promise<void> {
    const sizes: number[] = [];
    for (const [number, { bytes }] of this.#sequence.files.entries()) {
      const stat = await fs.promises.stat(this.#pathOf(number)).catch(() => undefined);
      sizes.push(Math.min(stat?.size ?? 0, bytes));
      if (sizes[number]! < bytes) break;
    }
    const first = Math.max(0, sizes.length - 2);
    this.#position = this.#sequence.startOf(first);
    for (let number = first; number < sizes.length; number++) await this.#readAgain(number, sizes[number]!);
  }

  async #readAgain(number: number, size: number): Promise<void> {
    const file = this.#sequence.files[number]!;
    this.#current = await this.#open(number);
    const chunk = Buffer.allocUnsafe(CHUNK_BYTES);
    for (let at = 0; at < size; ) {
      const length = Math.min(chunk.length, size - at);
      const { bytesRead } = await this.#current.handle.read(chunk, 0, length, at);
      if (bytesRead === 0) break;
      extend(this.#current.checksum, file, at, chunk.subarray(0, bytesRead));
      at += bytesRead;
      this.#position += bytesRead;
    }
    if (size === file.bytes) await this.#finishFile();
  }
}

/** Before anything is sent in vain. @throws {VstoreError} FULL */
async function assertSpace(directory: string, bytes: number): Promise<void> {
  const { bavail, bsize } = await fs.promises.statfs(directory);
  if (bytes <= bavail * bsize) return;
  throw new VstoreError("FULL", `${directory} has no room for a snapshot of ${bytes} bytes`);
}

/** The checksum of a segment is that of its rows. */
function extend(checksum: RollingChecksum, { kind }: CountedFile, position: number, bytes: Buffer): void {
  const skipped = kind === "segment" ? Math.max(0, SEGMENT_HEADER.bytes - position) : 0;
  checksum.extend(bytes.subarray(skipped));
}
