/** Counts rows that could not be taken, names the first of them, and ends the import when there are too many. */
import type { BadRow } from "../../bridge/transfer/row.ts";

/** Those after it are only counted. */
const namedMax = 20;

/** More bad rows than --max-errors allows. */
export class TooManyBadRows extends Error {}

export class BadRows {
  readonly #max: number;
  readonly #unit: string;
  readonly #say: (line: string) => void;
  #count = 0;

  constructor(max: number, unit: string, say: (line: string) => void) {
    this.#max = max;
    this.#unit = unit;
    this.#say = say;
  }

  get count(): number {
    return this.#count;
  }

  get areTooMany(): boolean {
    return this.#count > this.#max;
  }

  add({ place }: Pick<BadRow, "place">, fault: string): void {
    this.#count++;
    if (this.#count <= namedMax) this.#say(`${this.#unit} ${place}: ${fault}`);
    if (this.#count === namedMax + 1) this.#say("further bad rows are only counted");
  }
}
