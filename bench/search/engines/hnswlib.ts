/** hnswlib-node as npm builds it. It is synchronous: one thread, and no way for two to share a graph. */
import { createRequire } from "node:module";
import type { HierarchicalNSW } from "hnswlib-node";
import { type Engine, type EngineKind, oneByOne, type Pass, type Place } from "../engine.ts";
import { type Matrix, row } from "../matrix.ts";
import { EF_CONSTRUCTION, K, M } from "../settings.ts";

const hnswlibNode = createRequire(import.meta.url)("hnswlib-node") as typeof import("hnswlib-node");

const SPACE = { COSINE: "cosine", L2: "l2", IP: "ip" } as const;

export const hnswlib: EngineKind = {
  name: "hnswlib-node",
  settings: "float32",
  cores: "one-thread",
  open: async (place) => new HnswlibEngine(place),
};

class HnswlibEngine implements Engine {
  readonly #graph: HierarchicalNSW;
  readonly #path: string;

  constructor({ set, directory }: Place) {
    this.#graph = new hnswlibNode.HierarchicalNSW(SPACE[set.metric], set.dimensions);
    this.#path = `${directory}/index`;
  }

  async build(base: Matrix): Promise<void> {
    this.#graph.initIndex(base.rows, M, EF_CONSTRUCTION);
    for (let i = 0; i < base.rows; i++) this.#graph.addPoint(Array.from(row(base, i)), i);
  }

  async save(): Promise<void> {
    await this.#graph.writeIndex(this.#path);
  }

  async load(): Promise<void> {
    await this.#graph.readIndex(this.#path);
  }

  setEf(ef: number): void {
    this.#graph.setEf(ef);
  }

  each(queries: Matrix): Promise<Pass> {
    return oneByOne(queries, (query) => this.#graph.searchKnn(Array.from(query), K).neighbors);
  }

  flood(queries: Matrix): Promise<Pass> {
    return this.each(queries);
  }

  processes(): readonly number[] {
    return [process.pid];
  }

  async close(): Promise<void> {}
}
