/**
 * vstore as a library: one Collection in this process, with the native index and each of its quantizations. Its
 * searches are asynchronous and divide themselves over the cores, so a flood is many of them under way.
 */
import { Collection } from "../../../src/engine/collection.ts";
import { createFiles } from "../../../src/engine/generation/recovery.ts";
import { FIRST_ID } from "../../../src/engine/log-id.ts";
import { type Quantization, quantizations, resolveOptions } from "../../../src/engine/options.ts";
import { abreast, type Engine, type EngineKind, oneByOne, type Pass, type Place } from "../engine.ts";
import { type Matrix, slice } from "../matrix.ts";
import { EF_CONSTRUCTION, K, M } from "../settings.ts";
import { keyOf, rowOf } from "./row-keys.ts";

const SEARCHES_UNDER_WAY = 64;
const BATCH_VECTORS = 1_000;

export const vstoreKinds: readonly EngineKind[] = quantizations.map((quantization) => ({
  name: `vstore-${quantization.toLowerCase()}`,
  settings: `in-process Collection, native index, QUANT ${quantization}`,
  cores: "in-process",
  open: async (place) => new VstoreEngine(place, quantization),
}));

class VstoreEngine implements Engine {
  readonly #place: Place;
  readonly #quantization: Quantization;
  #collection: Collection | undefined;
  #ef = 0;

  constructor(place: Place, quantization: Quantization) {
    this.#place = place;
    this.#quantization = quantization;
  }

  async build(base: Matrix): Promise<void> {
    const { set, directory } = this.#place;
    const { dimensions, metric } = set;
    const graph = { M, efConstruction: EF_CONSTRUCTION, quantization: this.#quantization };
    const options = resolveOptions({ dimensions, metric, ...graph });
    await createFiles(directory, "bench", options, FIRST_ID);
    await this.load();
    await this.#collection!.reserve(base.rows);
    for (let from = 0; from < base.rows; from += BATCH_VECTORS) {
      const batch = slice(base, from, Math.min(from + BATCH_VECTORS, base.rows));
      const keys = Array.from({ length: batch.rows }, (_, i) => keyOf(from + i));
      this.#collection!.insertBatch(keys, batch.data);
    }
    await this.#collection!.build();
  }

  /** Closing saves the index; nothing is open afterwards. */
  async save(): Promise<void> {
    await this.#collection!.close();
    this.#collection = undefined;
  }

  async load(): Promise<void> {
    this.#collection = await Collection.open(this.#place.directory, console.warn, "native");
  }

  setEf(ef: number): void {
    this.#ef = ef;
  }

  each(queries: Matrix): Promise<Pass> {
    return oneByOne(queries, this.#search);
  }

  flood(queries: Matrix): Promise<Pass> {
    return abreast(queries, SEARCHES_UNDER_WAY, this.#search);
  }

  processes(): readonly number[] {
    return [process.pid];
  }

  async close(): Promise<void> {
    await this.#collection?.abandon();
  }

  readonly #search = async (query: Float32Array): Promise<number[]> => {
    const hits = await this.#collection!.search(query, { k: K, ef: this.#ef });
    return hits.map(({ key }) => rowOf(key));
  };
}
