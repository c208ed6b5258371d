/** Lets a limited number of tasks run at the same time; callers can wait for room, and until all are done. */
import { EventEmitter, once } from "node:events";

export class Limiter {
  readonly #runningMax: number;
  readonly #finished = new EventEmitter();
  #running = 0;

  constructor(runningMax: number) {
    this.#runningMax = runningMax;
  }

  /** Starts it at once, or not at all: false when there is no room. */
  tryStart(task: () => Promise<void>): boolean {
    if (this.#running >= this.#runningMax) return false;
    this.#start(task);
    return true;
  }

  #start(task: () => Promise<void>): void {
    this.#running++;
    void task().finally(() => {
      this.#running--;
      this.#finished.emit("one");
    });
  }

  async idle(): Promise<void> {
    while (this.#running > 0) await once(this.#finished, "one");
  }
}
