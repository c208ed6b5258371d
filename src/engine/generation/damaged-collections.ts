/** The collections of a data directory that are not served because their files are damaged, and why. */
import type { VstoreError } from "../../errors.ts";
import type { Warn } from "./parts.ts";

interface Damaged {
  readonly error: VstoreError;
  /** Resolves when nothing uses the files any more. */
  readonly closed: Promise<void> | undefined;
}

export class DamagedCollections {
  readonly #warn: Warn;
  readonly #byName = new Map<string, Damaged>();

  constructor(warn: Warn) {
    this.#warn = warn;
  }

  get size(): number {
    return this.#byName.size;
  }

  has(name: string): boolean {
    return this.#byName.has(name);
  }

  errorOf(name: string): VstoreError | undefined {
    return this.#byName.get(name)?.error;
  }

  names(): string[] {
    return [...this.#byName.keys()];
  }

  /** @param closing of files that were served until now */
  add(name: string, error: VstoreError, closing?: Promise<void>): void {
    this.#warn("a collection is damaged and not served", { collection: name, reason: error.message });
    const closed = closing?.catch((failure: unknown) =>
      this.#warn("a damaged collection was not closed", { collection: name, reason: String(failure) }),
    );
    this.#byName.set(name, { error, closed });
  }

  delete(name: string): void {
    this.#byName.delete(name);
  }

  /** Resolves when nothing uses the files of this one any more, or without a name those of all. */
  async closed(name?: string): Promise<void> {
    const some = name === undefined ? [...this.#byName.values()] : [this.#byName.get(name)];
    await Promise.all(some.map((damaged) => damaged?.closed));
  }
}
