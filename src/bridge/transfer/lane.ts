/**
 * One of the connections that an import sends its rows over, and the rows that go over it: one batch is filled while
 * another one is under way. A key always takes the same lane, so of a repeated key the last row counts.
 */
import { setTimeout as sleep } from "node:timers/promises";
import type { Redis } from "ioredis";
import { codeOf } from "../redis/error-code.ts";
import { Batch } from "./batch.ts";
import type { Row } from "./row.ts";

/** Errors that pass by themselves. A batch may be sent twice: the second time it replaces vectors by the same ones. */
const passing = new Set([
  "BUSY",
  "TRYAGAIN",
  "VSTOREDOWN",
  "TIMEOUT",
  "LOST",
  "LOADING",
  "NOREPLICAS",
  "PARTDOWN",
]);
/** Errors about arguments: they concern one row among many, so the others are sent without it. */
const aboutRows = new Set(["ERR", "LIMIT"]);
/** Time between two attempts, and how long there may be nothing but failures. */
const attemptMs = 200;
const patienceMsMax = 120_000;

export interface LaneRules {
  readonly collection: string;
  readonly dimensions: number;
  /** A new connection, when the one before is lost. */
  readonly connect: () => Promise<Redis>;
  readonly onRefused: (row: Row, fault: string) => void;
  readonly onInserted: (rows: number) => void;
}

export class Lane {
  readonly #rules: LaneRules;
  #redis: Redis;
  #filling: Batch;
  #spare: Batch;
  #underWay: Promise<void> | undefined;
  #fault: unknown;

  constructor(redis: Redis, rules: LaneRules) {
    this.#redis = redis;
    this.#rules = rules;
    this.#filling = new Batch(rules.dimensions);
    this.#spare = new Batch(rules.dimensions);
  }

  /** The first row that is not answered yet. */
  get firstOpen(): number {
    const sent = this.#underWay === undefined ? undefined : this.#spare.rows[0];
    return (sent ?? this.#filling.rows[0])?.position ?? Number.POSITIVE_INFINITY;
  }

  /** @returns a promise when the row has to wait for the batch before. @throws what ended the lane */
  add(row: Row): Promise<void> | undefined {
    if (this.#fault !== undefined) throw this.#fault;
    const { vector } = row;
    const { dimensions, onRefused } = this.#rules;
    if (vector.length !== dimensions)
      onRefused(row, `the vector has ${vector.length} components, not ${dimensions}`);
    else if (!this.#filling.add(row)) onRefused(row, "the vector has a component that is not finite");
    return this.#filling.isFull ? this.#next() : undefined;
  }

  /** Resolves when everything is answered. @throws what ended the lane */
  async finish(): Promise<void> {
    if (this.#filling.rows.length > 0) await this.#next();
    await this.#underWay;
    if (this.#fault !== undefined) throw this.#fault;
  }

  close(): void {
    this.#redis.disconnect();
  }

  async #next(): Promise<void> {
    await this.#underWay;
    if (this.#fault !== undefined) throw this.#fault;
    [this.#filling, this.#spare] = [this.#spare, this.#filling];
    const batch = this.#spare;
    this.#underWay = this.#send(batch, 0, batch.rows.length).then(
      () => {
        batch.clear();
        this.#underWay = undefined;
      },
      (error) => {
        this.#fault = error;
      },
    );
  }

  async #send(batch: Batch, start: number, end: number): Promise<void> {
    const refusal = await this.#insert(batch.words(start, end), batch.rows.slice(start, end));
    if (refusal === undefined) this.#rules.onInserted(end - start);
    else if (end - start === 1) this.#rules.onRefused(batch.rows[start]!, refusal);
    else {
      const middle = (start + end) >> 1;
      await this.#send(batch, start, middle);
      await this.#send(batch, middle, end);
    }
  }

  /** @returns why the rows are refused; undefined when they are in. @throws Error that does not depend on the rows */
  async #insert(words: (string | Buffer)[], rows: readonly Row[]): Promise<string | undefined> {
    for (const deadline = Date.now() + patienceMsMax; ; await sleep(attemptMs)) {
      try {
        await this.#redis.call("VSTORE.MINSERT", this.#rules.collection, ...words);
        await this.#setExpireTimes(rows);
        return undefined;
      } catch (error) {
        const code = codeOf(error);
        if (code !== undefined && aboutRows.has(code)) return (error as Error).message;
        if ((code !== undefined && !passing.has(code)) || Date.now() > deadline) throw error;
        if (code === undefined) await this.#reconnect();
      }
    }
  }

  /**
   * MINSERT has one time to live for all of its keys. Many PEXPIREATs go at once and WAIT tells whether one was
   * refused; then all go again, each with an answer that says why. A time that is past removes the key.
   */
  async #setExpireTimes(rows: readonly Row[]): Promise<void> {
    const { collection } = this.#rules;
    const redis = this.#redis;
    const expiring = rows.filter(({ expiresAt }) => expiresAt !== undefined);
    if (expiring.length === 0) return;
    const set = ({ key, expiresAt }: Row, ...how: string[]) =>
      redis.call("VSTORE.PEXPIREAT", collection, key, expiresAt!, ...how) as Promise<string>;
    const ids = await Promise.all(expiring.map((row) => set(row, "NOWAIT")));
    const waited = await redis.call("VSTORE.WAIT", collection, ids.at(-1)!, "SINCE", ids[0]!);
    const [, refused] = waited as [string, number];
    if (refused > 0) await Promise.all(expiring.map((row) => set(row)));
  }

  /** A failure shows again at the next attempt. */
  async #reconnect(): Promise<void> {
    this.#redis.disconnect();
    await this.#rules.connect().then(
      (redis) => {
        this.#redis = redis;
      },
      () => {},
    );
  }
}
