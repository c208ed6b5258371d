/**
 * One number for each slot, 0 until it is set. Pages come into being with the first number in them. So few numbers take
 * little memory, and a number for every slot takes no more than itself. A Map would end at 16.7 M.
 */
const PAGE_SLOTS = 1 << 14;

type Page = Float64Array | Uint32Array;

export class SlotNumbers {
  readonly #newPage: () => Page;
  readonly #pages: (Page | undefined)[] = [];

  /** @param PageType what the numbers fit into */
  constructor(PageType: Float64ArrayConstructor | Uint32ArrayConstructor) {
    this.#newPage = () => new PageType(PAGE_SLOTS);
  }

  get(slot: number): number {
    return this.#pages[Math.floor(slot / PAGE_SLOTS)]?.[slot % PAGE_SLOTS] ?? 0;
  }

  set(slot: number, number: number): void {
    const at = Math.floor(slot / PAGE_SLOTS);
    if (number === 0 && this.#pages[at] === undefined) return;
    this.#pages[at] ??= this.#newPage();
    this.#pages[at][slot % PAGE_SLOTS] = number;
  }

  /** Visits the slots whose number is not 0, in order. */
  each(visit: (slot: number) => void): void {
    for (const [at, page] of this.#pages.entries()) {
      for (let i = 0; page !== undefined && i < PAGE_SLOTS; i++)
        if (page[i] !== 0) visit(at * PAGE_SLOTS + i);
    }
  }
}
