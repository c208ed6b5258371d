/**
 * One number for each slot, 0 until it is set. Pages come into being with the first number in them. So few numbers take
 * little memory, and a number for every slot takes no more than itself. A Map would end at 16.7 M.
 */
const PAGE_SLOTS = 1 << 14;
/** Of the first page at first; it doubles, so that a small collection takes little memory. */
const PAGE_SLOTS_MIN = 64;

type Page = Float64Array | Uint32Array;

export class SlotNumbers {
  readonly #newPage: (slots: number) => Page;
  readonly #pages: (Page | undefined)[] = [];

  /** @param PageType what the numbers fit into */
  constructor(PageType: Float64ArrayConstructor | Uint32ArrayConstructor) {
    this.#newPage = (slots) => new PageType(slots);
  }

  get(slot: number): number {
    return this.#pages[Math.floor(slot / PAGE_SLOTS)]?.[slot % PAGE_SLOTS] ?? 0;
  }

  set(slot: number, number: number): void {
    const at = Math.floor(slot / PAGE_SLOTS);
    if (number === 0 && this.#pages[at] === undefined) return;
    this.#pageWith(slot)[slot % PAGE_SLOTS] = number;
  }

  /** The slots whose number is not 0, in order. */
  *slots(): Generator<number> {
    for (const [at, page] of this.#pages.entries()) {
      for (let i = 0; page !== undefined && i < page.length; i++)
        if (page[i] !== 0) yield at * PAGE_SLOTS + i;
    }
  }

  #pageWith(slot: number): Page {
    const at = Math.floor(slot / PAGE_SLOTS);
    const page = this.#pages[at];
    const index = slot % PAGE_SLOTS;
    if (page !== undefined && index < page.length) return page;
    const larger = this.#newPage(at > 0 ? PAGE_SLOTS : pageSlots(index));
    if (page !== undefined) larger.set(page);
    this.#pages[at] = larger;
    return larger;
  }
}

/** The smallest page that has this place. */
function pageSlots(index: number): number {
  return Math.max(2 ** Math.ceil(Math.log2(index + 1)), PAGE_SLOTS_MIN);
}
