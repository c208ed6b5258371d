/**
 * Puts rows into a collection through Redis, as any client could: several connections with a MINSERT under way on each.
 * Memory holds two batches for each connection, whatever the number of rows.
 */
import type { Redis } from "ioredis";
import { connect } from "../redis/connection.ts";
import { Lane, type LaneRules } from "./lane.ts";
import type { Row } from "./row.ts";

/** Longer than the module waits (vstore.timeout, unless it is set higher). */
const answerMsMax = 60_000;

export interface InserterOptions {
  readonly url: string;
  readonly collection: string;
  readonly dimensions: number;
  readonly connections: number;
  readonly onRefused: (row: Row, fault: string) => void;
}

export class Inserter {
  readonly #lanes: readonly Lane[];
  #inserted = 0;
  #next = 0;

  private constructor(redises: readonly Redis[], rules: Omit<LaneRules, "onInserted">) {
    const onInserted = (rows: number) => {
      this.#inserted += rows;
    };
    this.#lanes = redises.map((redis) => new Lane(redis, { ...rules, onInserted }));
  }

  /** @throws Error that says why, when Redis cannot be reached */
  static async open({ url, connections, ...rules }: InserterOptions): Promise<Inserter> {
    const open = () => connect(url, "vstore-import", { socketTimeout: answerMsMax });
    const redises = await Promise.all(Array.from({ length: connections }, open));
    return new Inserter(redises, { ...rules, connect: open });
  }

  /** Rows whose MINSERT is answered. */
  get inserted(): number {
    return this.#inserted;
  }

  /** All rows before this position are in, or refused. */
  get doneBelow(): number {
    return Math.min(this.#next, ...this.#lanes.map(({ firstOpen }) => firstOpen));
  }

  /** @returns a promise when the row has to wait. @throws Error that does not depend on the row */
  add(row: Row): Promise<void> | undefined {
    this.#next = row.position + 1;
    return this.#lanes[hash(row.key) % this.#lanes.length]!.add(row);
  }

  /** Resolves when everything is answered. @throws the first error, after all others have ended */
  async finish(): Promise<void> {
    const outcomes = await Promise.allSettled(this.#lanes.map((lane) => lane.finish()));
    for (const outcome of outcomes) if (outcome.status === "rejected") throw outcome.reason;
  }

  close(): void {
    for (const lane of this.#lanes) lane.close();
  }
}

/** FNV-1a over the last characters, in which keys that are numbered differ. */
function hash(key: string | Buffer): number {
  let hash = 0x811c9dc5;
  for (let i = Math.max(0, key.length - 12); i < key.length; i++) {
    hash = Math.imul(hash ^ (typeof key === "string" ? key.charCodeAt(i) : key[i]!), 0x01000193);
  }
  return (hash ^ (hash >>> 15)) >>> 0;
}
