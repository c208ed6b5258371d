/**
 * The k nearest of all offered slots: a bounded binary max-heap, the worst on top. Equal distances go to the
 * lower slot, so that every path to a result gives the same one.
 */
export class Nearest {
  readonly #k: number;
  readonly #distances: Float64Array;
  readonly #slots: Uint32Array;
  #size = 0;

  constructor(k: number) {
    this.#k = k;
    this.#distances = new Float64Array(k);
    this.#slots = new Uint32Array(k);
  }

  get size(): number {
    return this.#size;
  }

  offer(slot: number, distance: number): void {
    if (this.#size < this.#k) this.#siftUp(slot, distance);
    else if (worse(this.#distances[0]!, this.#slots[0]!, distance, slot)) this.#siftDown(slot, distance);
  }

  /** Slots and distances, nearest first. */
  sorted(): { slot: number; distance: number }[] {
    const found = Array.from({ length: this.#size }, (_, i) => ({
      slot: this.#slots[i]!,
      distance: this.#distances[i]!,
    }));
    return found.sort((a, b) => a.distance - b.distance || a.slot - b.slot);
  }

  #siftUp(slot: number, distance: number): void {
    let at = this.#size++;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (!worse(distance, slot, this.#distances[parent]!, this.#slots[parent]!)) break;
      this.#move(parent, at);
      at = parent;
    }
    this.#put(at, slot, distance);
  }

  /** Replaces the worst. */
  #siftDown(slot: number, distance: number): void {
    let at = 0;
    for (let child = 1; child < this.#size; child = 2 * at + 1) {
      if (child + 1 < this.#size && this.#worseAt(child + 1, child)) child++;
      if (!worse(this.#distances[child]!, this.#slots[child]!, distance, slot)) break;
      this.#move(child, at);
      at = child;
    }
    this.#put(at, slot, distance);
  }

  #worseAt(a: number, b: number): boolean {
    return worse(this.#distances[a]!, this.#slots[a]!, this.#distances[b]!, this.#slots[b]!);
  }

  #move(from: number, to: number): void {
    this.#put(to, this.#slots[from]!, this.#distances[from]!);
  }

  #put(at: number, slot: number, distance: number): void {
    this.#slots[at] = slot;
    this.#distances[at] = distance;
  }
}

function worse(distanceA: number, slotA: number, distanceB: number, slotB: number): boolean {
  return distanceA > distanceB || (distanceA === distanceB && slotA > slotB);
}
