/**
 * vstore.json: how far the control log was applied, which collections were dropped, and with which Redis. It is
 * replaced as a whole; only Catalog has it written.
 *
 * On a full disk a change waits for the next one. That is safe: CREATE and DROP check what they have done already, and
 * a store id that only Redis knows matches nothing.
 */
import { z } from "zod";
import { DamagedFileError } from "../../errors.ts";
import { compareIds, FIRST_ID, ID_PATTERN, laterId } from "../log-id.ts";
import { ignoreFull, readText, replaceFile } from "./files.ts";
import { GroupCommit } from "./group-commit.ts";
import { CONTROL_FORMAT } from "./layout.ts";
import { type Lineage, seal, unseal } from "./manifest.ts";
import { lineage } from "./manifest-check.ts";
import { CONTROL_FILE } from "./names.ts";

/** DROPs that are remembered, the latest of them. */
const dropsMax = 1_000;
/** Proof keys that are remembered, the latest of them. A log has lost the entries of earlier ones by then. */
const proofKeysMax = 64;

const id = z.string().regex(ID_PATTERN);
const schema = z.object({
  controlId: id,
  storeId: z.string().optional(),
  /** Of the control log; undefined before a Redis has led. */
  lineage: lineage.optional(),
  /** [collection, id of its DROP], the latest last. */
  drops: z.array(z.tuple([z.string(), id])).optional(),
  /** By which entries of logs are proven, the latest last. */
  proofKeys: z.array(z.string()).optional(),
});

type Content = z.infer<typeof schema>;

/** Undefined where nothing was ever created. @throws {DamagedFileError} */
export async function readControl(directory: string): Promise<Content | undefined> {
  const path = `${directory}/${CONTROL_FILE}`;
  const text = await readText(path);
  if (text === undefined) return undefined;
  const content = schema.safeParse(unseal(path, CONTROL_FORMAT, text));
  if (!content.success) throw new DamagedFileError(path, 0, "not what vstore writes");
  return content.data;
}

export class ControlFile {
  readonly #directory: string;
  #controlId: string;
  #storeId: string | undefined;
  #lineage: Lineage | undefined;
  readonly #drops: Map<string, string>;
  readonly #proofKeys: Set<string>;
  /** The latest that was applied, and those that are being applied: the control id stays below them. */
  #latestId: string;
  #underWay: ReadonlySet<string> = new Set();
  readonly #done = new Set<string>();
  readonly #saving = new GroupCommit(() => this.#write());

  private constructor(directory: string, content: Content | undefined) {
    this.#directory = directory;
    this.#controlId = content?.controlId ?? FIRST_ID;
    this.#latestId = this.#controlId;
    this.#storeId = content?.storeId;
    this.#lineage = content?.lineage;
    this.#drops = new Map(content?.drops);
    this.#proofKeys = new Set(content?.proofKeys);
  }

  /** @throws {DamagedFileError} */
  static async open(directory: string): Promise<ControlFile> {
    return new ControlFile(directory, await readControl(directory));
  }

  /** Id of the last control log entry that was applied. */
  get controlId(): string {
    return this.#controlId;
  }

  /** Drawn when these files and a Redis first met. */
  get storeId(): string | undefined {
    return this.#storeId;
  }

  /** Id of the DROP of a collection, if it was dropped since these files have this store id. */
  dropId(collection: string): string | undefined {
    return this.#drops.get(collection);
  }

  /** These entries are applied side by side: the control log counts as applied up to the last once all of them are. */
  begin(ids: readonly string[]): void {
    this.#underWay = new Set(ids);
    this.#done.clear();
  }

  /** Remembers that the entry `id` of the control log was applied, and that it was the DROP of a collection. */
  async mark(id: string, dropped?: string): Promise<void> {
    if (compareIds(id, this.#controlId) <= 0) return;
    this.#latestId = laterId(this.#latestId, id);
    if (this.#underWay.has(id)) this.#done.add(id);
    if (dropped !== undefined) this.#remember(dropped, id);
    const isComplete = this.#done.size === this.#underWay.size;
    if (isComplete) this.#controlId = this.#latestId;
    if (isComplete || dropped !== undefined) await this.#saving.run();
  }

  /**
   * Remembers a DROP that a crash cut short. How far the log was applied it does not say: an earlier entry of another
   * collection was applied beside it, and may not have been done.
   */
  async rememberDrop(collection: string, id: string): Promise<void> {
    if (compareIds(id, this.#drops.get(collection) ?? FIRST_ID) <= 0) return;
    this.#remember(collection, id);
    await this.#saving.run();
  }

  /** Keys of the Redis processes that these files were written for: what the bridge reads of logs is proven by them. */
  get proofKeys(): readonly string[] {
    return [...this.#proofKeys];
  }

  async rememberProofKey(key: string): Promise<void> {
    if (this.#proofKeys.has(key)) return;
    this.#proofKeys.add(key);
    for (const oldest of this.#proofKeys) {
      if (this.#proofKeys.size <= proofKeysMax) break;
      this.#proofKeys.delete(oldest);
    }
    await this.#saving.run();
  }

  /** Of the control log: the ids here name entries of these timelines. */
  get lineage(): Lineage | undefined {
    return this.#lineage;
  }

  /**
   * @param isOther whether what was applied of the control log until now is on none of these timelines: then the log
   * begins anew, and earlier DROPs say nothing about it
   */
  async follow(lineage: Lineage, isOther = false): Promise<void> {
    this.#lineage = lineage;
    if (isOther) {
      this.#controlId = FIRST_ID;
      this.#latestId = FIRST_ID;
      this.#drops.clear();
    }
    await this.#saving.run();
  }

  /** From now on these files belong to another Redis, about which earlier DROPs say nothing. */
  async adopt(storeId: string): Promise<void> {
    this.#storeId = storeId;
    this.#drops.clear();
    await this.#saving.run();
  }

  #remember(collection: string, id: string): void {
    this.#drops.delete(collection);
    this.#drops.set(collection, id);
    for (const oldest of this.#drops.keys()) {
      if (this.#drops.size <= dropsMax) return;
      this.#drops.delete(oldest);
    }
  }

  async #write(): Promise<void> {
    const content = {
      controlId: this.#controlId,
      storeId: this.#storeId,
      lineage: this.#lineage,
      drops: [...this.#drops],
      proofKeys: this.proofKeys,
    };
    await replaceFile(this.#directory, CONTROL_FILE, seal(CONTROL_FORMAT, content)).catch(ignoreFull);
  }
}
