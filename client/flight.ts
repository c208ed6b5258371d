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

/** Characters of a stream that are kept for callers who join; a longer one can be joined no more. */
const keptMax = 1_000_000;

/** A piece of a stream, and what comes after it: nothing at the end. */
interface Place {
  readonly piece: string;
  next?: Promise<Place | undefined>;
}

/** One stream that is read by several callers, each from its beginning. */
class SharedStream {
  readonly #source: AsyncIterator<string>;
  /** Before the first piece. What all readers have passed is kept by this alone. */
  #start: Place | undefined = { piece: "" };
  #kept = 0;
  readonly #left: () => void;
  #readers = 0;

  /** @param left called when no caller can join any more */
  constructor(source: AsyncIterable<string>, left: () => void) {
    this.#source = source[Symbol.asyncIterator]();
    this.#left = left;
  }

  async *read(): AsyncGenerator<string, void, undefined> {
    this.#readers++;
    try {
      for (let at = this.#start!; ; ) {
        at.next ??= this.#take();
        const next = await at.next;
        if (next === undefined) return;
        at = next;
        yield at.piece;
      }
    } finally {
      if (--this.#readers === 0) await this.#end();
    }
  }

  async #take(): Promise<Place | undefined> {
    const { done, value } = await this.#source.next();
    if (done === true) return undefined;
    this.#kept += value.length;
    if (this.#kept > keptMax) this.#close();
    return { piece: value };
  }

  #close(): void {
    this.#start = undefined;
    this.#left();
  }

  /** Ends the source too, where it has not ended by itself. */
  async #end(): Promise<void> {
    this.#close();
    await this.#source.return?.();
  }
}

/** Calls that share one stream while any of them reads it. The fastest one sets the pace. */
export class StreamFlight {
  readonly #underWay = new Map<string, SharedStream>();

  /** The stream of this key that is under way, from its beginning, or that of `work`, which is begun then. */
  async *share(key: string, work: () => AsyncIterable<string>): AsyncGenerator<string, void, undefined> {
    const underWay = this.#underWay;
    const stream: SharedStream =
      underWay.get(key) ??
      new SharedStream(work(), () => {
        if (underWay.get(key) === stream) underWay.delete(key);
      });
    underWay.set(key, stream);
    yield* stream.read();
  }
}
