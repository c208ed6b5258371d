/**
 * Compares the pages of vectors with their checksums after a start, in the background: damage is found though no read
 * asks for it. It reads one MiB at a time, of one collection of the process at a time, at a bounded rate, and for at
 * most half of the time, so that a slow disk is left to requests.
 */
import { setTimeout } from "node:timers/promises";
import type { Segments } from "../disk/segments.ts";
import { giveWay } from "../time-slice.ts";

const BYTES_PER_MS_MAX = 128 * 1024;

/** Ends with the read under way, of whichever collection. */
let turn: Promise<unknown> = Promise.resolve();

export class Prover {
  readonly #segments: Segments;
  #isStopped = false;
  /** The read under way. */
  #reading: Promise<number> = Promise.resolve(0);

  constructor(segments: Segments) {
    this.#segments = segments;
    // The segments have told of a damage, and nothing is left to be done.
    if (!segments.isProved) this.#run().catch(() => {});
  }

  /** Resolves once it reads nothing any more. It does not wait for a pause: that keeps no process alive. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    await this.#reading.catch(() => {});
  }

  async #run(): Promise<void> {
    while (!this.#isStopped && !this.#segments.isProved) {
      const read = turn.then(() => this.#proveNext());
      turn = read.catch(() => {});
      await read;
    }
  }

  async #proveNext(): Promise<void> {
    if (this.#isStopped) return;
    const began = performance.now();
    this.#reading = this.#segments.proveNext();
    const bytes = await this.#reading;
    const pauseMs = Math.max(performance.now() - began, bytes / BYTES_PER_MS_MAX);
    await setTimeout(pauseMs, undefined, { ref: false });
    await giveWay();
  }
}
