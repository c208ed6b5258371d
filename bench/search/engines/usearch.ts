/**
 * usearch from npm, plain and with each of its quantizations. 2.25 is the last version that runs on Node 20. Its
 * JavaScript index takes ef when it is made, so that another ef means to load it again.
 */
import { createRequire } from "node:module";
import * as os from "node:os";
import {
  type Engine,
  type EngineKind,
  emptyAnswers,
  oneByOne,
  type Pass,
  type Place,
  secondsSince,
} from "../engine.ts";
import type { Matrix } from "../matrix.ts";
import { EF_CONSTRUCTION, EF_TYPICAL, K, M } from "../settings.ts";

const METRIC = { COSINE: "cos", L2: "l2sq", IP: "ip" } as const;
const THREADS = os.availableParallelism();

/** The part of usearch's interface that is used here; the package is not one of the project's. */
interface Usearch {
  Index: new (config: Record<string, string | number | boolean>) => Index;
}

interface Index {
  add(keys: BigUint64Array, vectors: Float32Array, threads: number): void;
  search(vectors: Float32Array, k: number, threads: number): { keys: BigUint64Array };
  save(path: string): void;
  load(path: string): void;
}

export const usearchKinds: readonly EngineKind[] = ["f32", "bf16", "f16", "i8", "e5m2", "e4m3"].map(
  (quantization) => ({
    name: `usearch-${quantization}`,
    settings: `quantization ${quantization}`,
    cores: "in-process",
    open: async (place) => new UsearchEngine(place, quantization),
  }),
);

class UsearchEngine implements Engine {
  readonly #place: Place;
  readonly #quantization: string;
  readonly #usearch = createRequire(import.meta.url)("usearch") as Usearch;
  #index: Index | undefined;
  #ef = EF_TYPICAL;

  constructor(place: Place, quantization: string) {
    this.#place = place;
    this.#quantization = quantization;
  }

  async build(base: Matrix): Promise<void> {
    this.#index = this.#empty();
    const keys = BigUint64Array.from({ length: base.rows }, (_, i) => BigInt(i));
    this.#index.add(keys, base.data, THREADS);
  }

  async save(): Promise<void> {
    this.#index!.save(this.#path);
  }

  async load(): Promise<void> {
    this.#index = this.#empty();
    this.#index.load(this.#path);
  }

  async setEf(ef: number): Promise<void> {
    if (ef === this.#ef) return;
    this.#ef = ef;
    await this.load();
  }

  each(queries: Matrix): Promise<Pass> {
    return oneByOne(queries, (query) => rows(this.#index!.search(query, K, 1).keys));
  }

  async flood(queries: Matrix): Promise<Pass> {
    const found = emptyAnswers(queries);
    const start = performance.now();
    const { keys } = this.#index!.search(queries.data, K, THREADS);
    const seconds = secondsSince(start);
    found.set(rows(keys));
    return { found, seconds, latenciesMs: [] };
  }

  processes(): readonly number[] {
    return [process.pid];
  }

  async close(): Promise<void> {}

  get #path(): string {
    return `${this.#place.directory}/index`;
  }

  #empty(): Index {
    return new this.#usearch.Index({
      dimensions: this.#place.set.dimensions,
      metric: METRIC[this.#place.set.metric],
      quantization: this.#quantization,
      connectivity: M,
      expansion_add: EF_CONSTRUCTION,
      expansion_search: this.#ef,
      multi: false,
    });
  }
}

const rows = (keys: BigUint64Array): number[] => Array.from(keys, Number);
