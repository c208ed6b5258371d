/** Which node of the cluster has which slots, as the sidecar's own node says. */
import type { Redis } from "ioredis";
import { slotCount } from "./slots.ts";

export interface Address {
  /** Undefined where the node does not know its own: it is the one that was asked. */
  readonly host: string | undefined;
  readonly port: number;
}

export interface Primary {
  readonly address: Address;
  /** First and last of each range of its slots. */
  readonly ranges: readonly (readonly [number, number])[];
}

export class Topology {
  /** By their lowest slot. */
  readonly primaries: readonly Primary[];
  readonly #ofSlot: (Primary | undefined)[] = new Array(slotCount).fill(undefined);

  constructor(primaries: readonly Primary[]) {
    this.primaries = primaries;
    for (const primary of primaries)
      for (const [first, last] of primary.ranges) this.#ofSlot.fill(primary, first, last + 1);
  }

  /** Undefined where no node has the slot. */
  ofSlot(slot: number): Address | undefined {
    return this.#ofSlot[slot]?.address;
  }
}

type Range = [first: number, last: number, primary: [host: string | null, port: number, ...unknown[]]];

export async function readTopology(redis: Redis): Promise<Topology> {
  const ranges = (await redis.call("CLUSTER", "SLOTS")) as Range[];
  const byAddress = new Map<string, { address: Address; ranges: [number, number][] }>();
  for (const [first, last, [host, port]] of ranges.sort(([a], [b]) => a - b)) {
    const name = `${host}:${port}`;
    const known = byAddress.get(name) ?? { address: { host: host || undefined, port }, ranges: [] };
    known.ranges.push([first, last]);
    byAddress.set(name, known);
  }
  return new Topology([...byAddress.values()]);
}
