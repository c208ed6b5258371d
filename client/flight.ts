/** Calls that share one outcome while it is under way. */
export class Flight<T> {
  readonly #underWay = new Map<string, Promise<T>>();

  /** The outcome of the work of this key that is under way, or of `work`, which is begun then. */
  share(key: string, work: () => Promise<T>): Promise<T> {
    const shared = this.#underWay.get(key);
    if (shared !== undefined) return shared;
    const begun = work().finally(() => this.#underWay.delete(key));
    this.#underWay.set(key, begun);
    return begun;
  }
}
