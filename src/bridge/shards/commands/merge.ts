/**
 * Merges what the parts have found, nearest first. Each part's results are in order, so the nearest of all is at the
 * head of one of them. Equal distances come in the order of the parts.
 */
import { lookUp } from "../../../engine/filter/expression.ts";
import { identityOf, pathOf } from "../../../engine/generation/distinct.ts";
import type { Hit } from "../../../engine/hits.ts";

/** What one part answers to SEARCH … WITHDISTANCES [WITHATTRS] in RESP2: keys and details in turn. */
export type FoundByPart = readonly unknown[];

/** The results in order, as many as are taken. */
export function* nearestFirst(found: readonly FoundByPart[], withAttributes: boolean): Generator<Hit> {
  const heads = found.map((part) => ({ part, at: 0, hit: hitAt(part, 0, withAttributes) }));
  for (;;) {
    let nearest: (typeof heads)[number] | undefined;
    for (const head of heads) {
      if (head.hit === undefined) continue;
      if (nearest === undefined || head.hit.distance < nearest.hit!.distance) nearest = head;
    }
    if (nearest === undefined) return;
    yield nearest.hit!;
    nearest.at += 2;
    nearest.hit = hitAt(nearest.part, nearest.at, withAttributes);
  }
}

function hitAt(part: FoundByPart, at: number, withAttributes: boolean): Hit | undefined {
  if (at >= part.length) return undefined;
  const [key, detail] = [part[at] as Buffer, part[at + 1]];
  if (!withAttributes) return { key, distance: Number(String(detail)), attributes: undefined };
  const [distance, attributes] = detail as [Buffer, Buffer | null];
  return { key, distance: Number(String(distance)), attributes: attributes ?? undefined };
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
