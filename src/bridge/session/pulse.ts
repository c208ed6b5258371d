/**
 * Memory that the serving event loop and the thread of the heartbeat share: until when the lease is held, and when the
 * loop last gave a sign of life. Times are of the system's monotonic clock, which is the same in all threads and goes
 * on while the process is stopped.
 */
const heldUntil = 0;
const aliveAt = 1;
const cells = 2;

const nsPerMs = 1_000_000n;

export class Pulse {
  readonly memory: SharedArrayBuffer;
  readonly #times: BigInt64Array;

  /** @param memory of the one in the other thread */
  constructor(memory = new SharedArrayBuffer(cells * BigInt64Array.BYTES_PER_ELEMENT)) {
    this.memory = memory;
    this.#times = new BigInt64Array(memory);
  }

  /** Now, for `hold`. */
  static now(): bigint {
    return process.hrtime.bigint();
  }

  /** Notes that the lease is held for so many milliseconds from a moment before it was requested. */
  hold(from: bigint, ms: number): void {
    Atomics.store(this.#times, heldUntil, from + BigInt(ms) * nsPerMs);
  }

  /** False when another sidecar may hold the lease by now. */
  get isHeld(): boolean {
    return Pulse.now() < Atomics.load(this.#times, heldUntil);
  }

  /** To be called by the event loop that serves. */
  signOfLife(): void {
    Atomics.store(this.#times, aliveAt, Pulse.now());
  }

  /** Milliseconds since its last sign of life. */
  get silenceMs(): number {
    return Number((Pulse.now() - Atomics.load(this.#times, aliveAt)) / nsPerMs);
  }
}
