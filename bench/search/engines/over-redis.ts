/** What engines behind a Redis have in common: clients on loopback connections, and searches by them. */
import { Redis } from "ioredis";
import { abreast, type Engine, oneByOne, type Pass, type Place } from "../engine.ts";
import type { Matrix } from "../matrix.ts";
import { CLIENTS, K } from "../settings.ts";
import { rowOf } from "./row-keys.ts";

export abstract class EngineOverRedis implements Engine {
  protected readonly place: Place;
  protected clients: readonly Redis[] = [];
  #ef = 0;

  constructor(place: Place) {
    this.place = place;
  }

  abstract build(base: Matrix): Promise<void>;
  abstract processes(): readonly number[];
  /** Starts it on what the directory has; returns where it listens. */
  protected abstract start(directory: string): Promise<string>;
  protected abstract stop(): Promise<void>;
  /** The words of a search for the K nearest. */
  protected abstract searching(
    blob: Buffer,
    ef: number,
  ): [command: string, ...words: (string | number | Buffer)[]];

  async save(): Promise<void> {
    await this.close();
  }

  async load(): Promise<void> {
    const url = await this.start(this.place.directory);
    this.clients = Array.from({ length: CLIENTS }, () => new Redis(url, { protocol: 2 }));
  }

  setEf(ef: number): void {
    this.#ef = ef;
  }

  each(queries: Matrix): Promise<Pass> {
    return oneByOne(queries, (query) => this.#search(query, 0));
  }

  flood(queries: Matrix): Promise<Pass> {
    return abreast(queries, CLIENTS, (query, lane) => this.#search(query, lane));
  }

  ping(lane: number): Promise<unknown> {
    return this.clients[lane]!.ping();
  }

  async close(): Promise<void> {
    for (const client of this.clients) client.disconnect();
    this.clients = [];
    await this.stop();
  }

  /** All rows, `count` at a time, by all clients. */
  protected async insertAll(
    rows: number,
    count: number,
    insert: (client: Redis, from: number, to: number) => Promise<unknown>,
  ): Promise<void> {
    let next = 0;
    const work = async (client: Redis) => {
      for (let from = next; from < rows; from = next) {
        next = Math.min(from + count, rows);
        await insert(client, from, next);
      }
    };
    await Promise.all(this.clients.map(work));
  }

  async #search(query: Float32Array, client: number): Promise<number[]> {
    const blob = Buffer.from(query.buffer, query.byteOffset, query.byteLength);
    const [command, ...words] = this.searching(blob, this.#ef);
    const keys = await this.clients[client]!.callBuffer(command, ...words);
    return (keys as Buffer[]).slice(0, K).map(rowOf);
  }
}
