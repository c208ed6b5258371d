/** A number of bytes that several tasks share. A task that wants more than is left waits, in the order of asking. */
export class Budget {
  readonly #total: number;
  #taken = 0;
  readonly #waiting: { readonly bytes: number; readonly go: () => void }[] = [];

  constructor(total: number) {
    this.#total = total;
  }

  /** The share of one task. */
  claim(): Claim {
    return new Claim(this);
  }

  /** Resolves once so many are left, or no other task has any. Returns whether it had to wait. */
  async take(bytes: number): Promise<boolean> {
    if (this.#waiting.length === 0 && this.#fits(bytes)) {
      this.#taken += bytes;
      return false;
    }
    await new Promise<void>((go) => {
      this.#waiting.push({ bytes, go });
    });
    return true;
  }

  giveBack(bytes: number): void {
    this.#taken -= bytes;
    for (let next = this.#waiting[0]; next !== undefined && this.#fits(next.bytes); next = this.#waiting[0]) {
      this.#waiting.shift();
      this.#taken += next.bytes;
      next.go();
    }
  }

  #fits(bytes: number): boolean {
    return this.#taken === 0 || this.#taken + bytes <= this.#total;
  }
}

class Claim {
  readonly #budget: Budget;
  #taken = 0;

  constructor(budget: Budget) {
    this.#budget = budget;
  }

  get taken(): number {
    return this.#taken;
  }

  /** See Budget. */
  async take(bytes: number): Promise<boolean> {
    const hasWaited = await this.#budget.take(bytes);
    this.#taken += bytes;
    return hasWaited;
  }

  giveBack(): void {
    this.#budget.giveBack(this.#taken);
    this.#taken = 0;
  }
}
