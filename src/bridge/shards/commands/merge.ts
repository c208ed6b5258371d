/**
 * Merges what the parts have found, nearest first. Each part's results are in order, so the nearest of all is at the
 * head of one of them. Equal distances come in the order of the parts.
 */
import type { PlainSearch } from "../../../commands/search/plain-search.ts";
import { encodeWith } from "../../../commands/wire/resp3.ts";
import { lookUp } from "../../../engine/filter/expression.ts";
import { identityOf, pathOf } from "../../../engine/generation/distinct.ts";
import type { Hit } from "../../../engine/hits.ts";
import type { Found } from "../found.ts";

/** The results in order, as many as are taken. */
export function* nearestFirst(parts: readonly Found[]): Generator<Hit> {
  const heads = parts.map((found) => ({ found, hit: found.next() }));
  for (;;) {
    let nearest: (typeof heads)[number] | undefined;
    for (const head of heads) {
      if (head.hit === undefined) continue;
      if (nearest === undefined || head.hit.distance < nearest.hit!.distance) nearest = head;
    }
    if (nearest === undefined) return;
    yield nearest.hit!;
    nearest.hit = nearest.found.next();
  }
}

/** The reply to a plain search, from the results of each part. */
export function encodeNearest(found: readonly (readonly Hit[])[], { k, withDistances }: PlainSearch): Buffer {
  const count = Math.min(
    k,
    found.reduce((sum, { length }) => sum + length, 0),
  );
  const taken = found.map(() => 0);
  return encodeWith((writer) => {
    writer.writeHead("*", count);
    for (let i = 0; i < count; i++) {
      let [from, nearest] = [-1, Number.POSITIVE_INFINITY];
      for (let part = 0; part < found.length; part++) {
        const hit = found[part]![taken[part]!];
        if (hit === undefined || (from >= 0 && hit.distance >= nearest)) continue;
        [from, nearest] = [part, hit.distance];
      }
      const { key, distance } = found[from]![taken[from]!++]!;
      if (withDistances) writer.writeHead("*", 2);
      writer.write(key);
      if (withDistances) writer.writeDouble(distance);
    }
  });
}

/** Tells which results are beyond those that each value of a field may have. Every hit has the field. */
export class ValueLimit {
  readonly #path: readonly string[];
  readonly #per: number;
  readonly #counts = new Map<string | number, number>();

  /** @throws {VstoreError} ERR, where the field is none */
  constructor(field: string, per: number) {
    this.#path = pathOf(field);
    this.#per = per;
  }

  /** Whether there is room for one more of the hit's value; it counts then. */
  takes({ attributes }: Hit): boolean {
    const json: unknown = attributes && JSON.parse(Buffer.from(attributes).toString("utf8"));
    const value = identityOf(
      typeof json === "object" && json !== null ? lookUp(json, this.#path) : undefined,
    );
    const count = this.#counts.get(value) ?? 0;
    this.#counts.set(value, count + 1);
    return count < this.#per;
  }
}
