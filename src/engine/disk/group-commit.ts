/**
 * A commit that makes changes durable, shared by all callers whose changes were made before it began: a write and a
 * flush cost the same for one of them and for a hundred.
 */
export class GroupCommit {
  readonly #write: () => Promise<void>;
  #last: Promise<void> = Promise.resolve();
  /** The commit that has not begun; every caller may join it. */
  #next: Promise<void> | undefined;

  constructor(write: () => Promise<void>) {
    this.#write = write;
  }

  /** Resolves once everything that was changed before this call is durable. */
  run(): Promise<void> {
    this.#next ??= this.#last.then(() => {
      this.#next = undefined;
      const written = this.#write();
      this.#last = written.catch(() => {}); // its callers hear of the failure
      return written;
    });
    return this.#next;
  }
}
