/** How many rows to ask another store for at a time: as many as have about 8 MiB, by what those before had. */

const firstRows = 16;
const rowsMax = 1_000;
const bytesWanted = 8 * 1024 * 1024;

export class PageSize {
  #rows = firstRows;

  get rows(): number {
    return this.#rows;
  }

  /** @param bytes that so many rows had together */
  learn(rows: number, bytes: number): void {
    this.#rows = Math.max(1, Math.min(rowsMax, Math.floor((bytesWanted * rows) / Math.max(1, bytes))));
  }
}
