/** The native graph by itself, with the rows and the lives that its owner would keep, and what it has to find. */
import { expect } from "vitest";
import { randomVector } from "../../harness/random.ts";
import { distanceTo } from "../../src/engine/index/distance.ts";
import {
  type GraphOptions,
  type GraphSearchOptions,
  NativeGraph,
} from "../../src/engine/index/native-addon.ts";
import { type Quantization, quantizations } from "../../src/engine/options.ts";

export const QUANTIZATIONS: readonly Quantization[] = quantizations;

export interface Found {
  readonly slot: number;
  readonly distance: number;
}

/** A graph and the rows it works on, with room for `capacity` slots in segments of `segmentRows`. */
export class Fixture {
  readonly graph: NativeGraph;
  readonly rows: Float32Array;
  readonly alive = new Set<number>();
  slots = 0;
  watermark = 0;

  constructor(options: Partial<GraphOptions>, capacity: number, graph?: NativeGraph) {
    this.graph = graph ?? new NativeGraph(complete(options));
    const { dimensions } = this.graph.options;
    this.rows = new Float32Array(capacity * dimensions);
    const half = capacity >> 1;
    this.graph.addSegment(0, this.rows.subarray(0, half * dimensions));
    this.graph.addSegment(half, this.rows.subarray(half * dimensions));
  }

  insert(vector: Float32Array): void {
    this.rows.set(vector, this.slots * vector.length);
    this.graph.setLive(this.slots);
    this.alive.add(this.slots++);
  }

  kill(slot: number): void {
    this.graph.kill(slot);
    this.alive.delete(slot);
  }

  async index(): Promise<void> {
    const to = this.slots;
    await this.graph.add(this.watermark, to);
    this.watermark = to;
  }

  async search(query: Float32Array, options: Partial<GraphSearchOptions> = {}): Promise<Found[]> {
    const { slots, watermark } = this;
    const k = options.k ?? 10;
    const found = await this.graph.search(query, { k, ef: 64, slots, watermark, ...options });
    return Array.from({ length: found.counts[0]! }, (_, i) => ({
      slot: found.slots[i]!,
      distance: found.distances[i]!,
    }));
  }

  /** What an exact search has to find now, by the engine's own distances. */
  expected(query: Float32Array, k: number, may: (slot: number) => boolean = () => true): Found[] {
    const distance = distanceTo(query, this.graph.options.metric);
    return [...this.alive]
      .filter(may)
      .map((slot) => ({ slot, distance: distance(this.rows, slot * query.length) }))
      .sort((a, b) => a.distance - b.distance || a.slot - b.slot)
      .slice(0, k);
  }
}

export function complete(options: Partial<GraphOptions>): GraphOptions {
  return { dimensions: 16, metric: "COSINE", M: 16, efConstruction: 200, quantization: "INT8", ...options };
}

/** Rounding differs between the two, so equal distances may swap: slots are compared through their distances. */
export function expectSame(found: readonly Found[], expected: readonly Found[]): void {
  expect(found.length).toBe(expected.length);
  for (const [i, { distance }] of expected.entries()) expect(found[i]!.distance).toBeCloseTo(distance, 6);
  expect(new Set(found.map(({ slot }) => slot)).size).toBe(found.length);
}

export function recall(found: readonly Found[], expected: readonly Found[]): number {
  const slots = new Set(found.map(({ slot }) => slot));
  return expected.filter(({ slot }) => slots.has(slot)).length / expected.length;
}

/** With so many indexed vectors, and room for as many more. */
export async function filled(
  random: () => number,
  options: Partial<GraphOptions>,
  count: number,
): Promise<Fixture> {
  const fixture = new Fixture(options, count * 2);
  for (let i = 0; i < count; i++) fixture.insert(randomVector(random, fixture.graph.options.dimensions));
  await fixture.index();
  return fixture;
}
