/**
 * Where an import from another store can go on. A store is read in pages, and a mark says how to read from the
 * beginning of one on: by a key, a cursor or an offset of the store, so that rows that come or go before it do not
 * matter. A page that was done in part is read again, which replaces what is there.
 */
export interface Mark {
  /** Rows before it. */
  readonly position: number;
  /** For the store's reader; undefined at the beginning. */
  readonly text: string | undefined;
}

export class Marks {
  /** The first one is the last that is done. */
  #marks: Mark[];

  /** @param begin where the import began or goes on */
  constructor(begin: Mark) {
    this.#marks = [begin];
  }

  /** Must be called with the beginning of each page, in order. */
  add(position: number, text: string): void {
    this.#marks.push({ position, text });
  }

  /** The last one of which all rows before it are done. */
  below(done: number): Mark {
    const last = this.#marks.findLastIndex(({ position }) => position <= done);
    this.#marks = this.#marks.slice(last);
    return this.#marks[0]!;
  }
}
