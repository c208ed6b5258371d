/** Checks everything that one collection's manifest counts, and changes nothing. */
import * as fs from "node:fs";
import * as path from "node:path";
import { type CountedFile, countedBytes, countedFiles, isRebuilt } from "../disk/inventory.ts";
import type { Manifest } from "../disk/manifest.ts";
import { readCheckedManifest } from "../disk/manifest-check.ts";
import { generationDirectory, LOCK_FILE, MANIFEST_FILE } from "../disk/names.ts";
import { loadPageChecksums } from "../disk/pages/load-checksums.ts";
import { checkSegment, checkWhole, type OnRead } from "./check-bytes.ts";
import { checkAttributes, checkKeys } from "./check-records.ts";
import { type Damage, Findings } from "./findings.ts";

export interface FileReport {
  /** Path below the data directory. */
  readonly file: string;
  /** Bytes that count; undefined when nothing says how many. */
  readonly bytes: number | undefined;
  readonly damages: readonly Damage[];
  /** True for index, columns and checksums of pages: if they are damaged, the next start builds them again. */
  readonly isRebuilt: boolean;
}

export interface CollectionReport {
  /** Name of its directory. */
  readonly directory: string;
  /** Undefined when it cannot be read; no other file can be checked then. */
  readonly manifest: Manifest | undefined;
  readonly files: readonly FileReport[];
  /** Leftovers of a crash beside the files that count: harmless, removed at the next start. */
  readonly leftovers: readonly string[];
}

/** One collection, its manifest read and the rest still to be checked. */
export class CollectionCheck {
  readonly manifest: Manifest | undefined;
  readonly #parent: string;
  readonly #entry: string;
  readonly #files: FileReport[];

  private constructor(parent: string, entry: string, manifest: Manifest | undefined, report: FileReport) {
    this.#parent = parent;
    this.#entry = entry;
    this.manifest = manifest;
    this.#files = [report];
  }

  /**
   * @param entry name of the collection's directory below `parent`
   * @param name as readCheckedManifest has it
   */
  static async begin(parent: string, entry: string, name?: string): Promise<CollectionCheck> {
    const file = `${entry}/${MANIFEST_FILE}`;
    const findings = new Findings(file);
    const manifest = await findings.attempt(() => readCheckedManifest(parent, entry, name));
    const report = { file, bytes: undefined, damages: findings.damages, isRebuilt: false };
    return new CollectionCheck(parent, entry, manifest, report);
  }

  /** Bytes that `run` is going to read, if all files are there. */
  get bytes(): number {
    return this.manifest === undefined ? 0 : countedBytes(this.manifest);
  }

  async run(onRead: OnRead): Promise<CollectionReport> {
    const { manifest } = this;
    // Without them a segment is compared as a whole; what is wrong with their file is found below.
    const pages = manifest && (await loadPageChecksums(this.#pathOf(manifest), manifest, () => {}));
    for (const file of manifest === undefined ? [] : countedFiles(manifest)) {
      this.#files.push(await this.#checkFile(file, manifest!, pages, onRead));
    }
    const leftovers = manifest === undefined ? [] : this.#leftovers(manifest);
    return { directory: this.#entry, manifest, files: this.#files, leftovers };
  }

  /** Of the files that count. */
  #pathOf({ generation }: Manifest): string {
    return generationDirectory(`${this.#parent}/${this.#entry}`, generation);
  }

  async #checkFile(
    counted: CountedFile,
    manifest: Manifest,
    pages: readonly Uint32Array[] | undefined,
    onRead: OnRead,
  ): Promise<FileReport> {
    const file = `${this.#entry}/${counted.file}`;
    const findings = new Findings(file);
    await findings.attempt(() =>
      check(`${this.#parent}/${file}`, counted, manifest, pages, findings, onRead),
    );
    return { file, bytes: counted.bytes, damages: findings.damages, isRebuilt: isRebuilt(counted) };
  }

  #leftovers(manifest: Manifest): string[] {
    const counted = [MANIFEST_FILE, LOCK_FILE, ...countedFiles(manifest).map(({ file }) => file)];
    const own = new Set(counted.map((file) => `${this.#entry}/${file}`));
    const found = fs.readdirSync(`${this.#parent}/${this.#entry}`, { recursive: true, withFileTypes: true });
    return found
      .filter((entry) => !entry.isDirectory())
      .map((entry) => path.relative(this.#parent, path.join(entry.parentPath, entry.name)))
      .filter((file) => !own.has(file))
      .sort();
  }
}

async function check(
  path: string,
  file: CountedFile,
  manifest: Manifest,
  pages: readonly Uint32Array[] | undefined,
  findings: Findings,
  onRead: OnRead,
): Promise<void> {
  if (file.kind === "segment") return checkSegment(path, file, pages?.[file.shape.number], findings, onRead);
  if (file.kind === "keys") checkKeys(path, file, manifest, findings);
  else if (file.kind === "attributes") checkAttributes(path, file, manifest, findings);
  else return checkWhole(path, file, findings, onRead);
  onRead(file.bytes);
}
