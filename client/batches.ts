/**
 * Sends concurrent calls as one command: those within one turn of the event loop go at its end. Items are
 * batched with others of the same group only; where their order matters, an item of another group has the batch before
 * it sent first.
 */

/** Items of one command. */
export const batchItemsMax = 512;
/** Bytes of vectors and attributes of one command; the command that would exceed them is sent without waiting. */
export const batchBytesMax = 4 * 1024 * 1024;

interface Waiting<Item, Result> {
  readonly item: Item;
  readonly resolve: (result: Result) => void;
  readonly reject: (error: unknown) => void;
}

interface Batch<Item, Result> {
  readonly items: Waiting<Item, Result>[];
  bytes: number;
}

interface Rules<Item, Result> {
  /** True where batches have to be sent in the order of their items. */
  readonly ordered: boolean;
  readonly sendAll: (items: readonly Item[]) => Promise<readonly Result[]>;
  readonly sendOne: (item: Item) => Promise<Result>;
  /** Whether nothing of the batch was done, because of one item, so that the others may be sent again. */
  readonly concernsOne: (error: unknown) => boolean;
}

export class Batches<Item, Result> {
  readonly #rules: Rules<Item, Result>;
  readonly #batches = new Map<string, Batch<Item, Result>>();
  #isScheduled = false;

  constructor(rules: Rules<Item, Result>) {
    this.#rules = rules;
  }

  add(group: string, item: Item, bytes: number): Promise<Result> {
    if (this.#rules.ordered && !this.#batches.has(group)) this.flush();
    const batch = this.#batches.get(group) ?? { items: [], bytes: 0 };
    this.#batches.set(group, batch);
    this.#schedule();
    const result = new Promise<Result>((resolve, reject) => batch.items.push({ item, resolve, reject }));
    batch.bytes += bytes;
    if (batch.items.length >= batchItemsMax || batch.bytes >= batchBytesMax) this.#send(group, batch);
    return result;
  }

  /** Sends everything that waits. */
  flush(): void {
    for (const [group, batch] of this.#batches) this.#send(group, batch);
  }

  #schedule(): void {
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    setImmediate(() => {
      this.#isScheduled = false;
      this.flush();
    });
  }

  #send(group: string, { items }: Batch<Item, Result>): void {
    this.#batches.delete(group);
    if (items.length === 1) sendEach(items, this.#rules.sendOne);
    else this.#sendAll(items);
  }

  #sendAll(items: readonly Waiting<Item, Result>[]): void {
    const { sendAll, sendOne, concernsOne } = this.#rules;
    sendAll(items.map(({ item }) => item)).then(
      (results) => items.forEach(({ resolve }, i) => void resolve(results[i]!)),
      (error) => {
        if (concernsOne(error)) sendEach(items, sendOne);
        else for (const { reject } of items) reject(error);
      },
    );
  }
}

function sendEach<Item, Result>(
  items: readonly Waiting<Item, Result>[],
  sendOne: (item: Item) => Promise<Result>,
): void {
  for (const { item, resolve, reject } of items) sendOne(item).then(resolve, reject);
}
