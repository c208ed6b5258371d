/**
 * What a part answers to SEARCH … WITHDISTANCES [WITHATTRS], result by result: as values, or as the bytes of a reply,
 * which are read as far as results are taken. Bytes are RESP2, as another node sends them, or RESP3, as this one has
 * encoded them:
 *
 *   RESP2   *2n      ( $key ( $distance | *2 $distance ( $json | $-1 ) ) )…
 *   RESP3   *n  ( *2 ( $key ( ,distance | *2 ,distance ( $json | _   ) ) ) )…
 */
import type { Hit } from "../../engine/hits.ts";

/** The results of one query, nearest first. */
export interface Found {
  /** Undefined after the last one. */
  next(): Hit | undefined;
}

export function allOf(found: Found): readonly Hit[] {
  const hits: Hit[] = [];
  for (let hit = found.next(); hit !== undefined; hit = found.next()) hits.push(hit);
  return hits;
}

/** What a part answers to one query or several. */
export interface FoundByPart {
  /** The results of the query whose turn is next. Those of the one before are lost, unless they were taken. */
  query(): Found;
}

/** Of values, as ioredis decodes them. */
export class ValuesOfPart implements FoundByPart {
  readonly #queries: readonly (readonly unknown[])[];
  readonly #withAttributes: boolean;
  #at = 0;

  /** @param queries for each, keys and details in turn */
  constructor(queries: readonly (readonly unknown[])[], withAttributes: boolean) {
    this.#queries = queries;
    this.#withAttributes = withAttributes;
  }

  query(): Found {
    return new FoundValues(this.#queries[this.#at++]!, this.#withAttributes);
  }
}

class FoundValues implements Found {
  readonly #values: readonly unknown[];
  readonly #withAttributes: boolean;
  #at = 0;

  constructor(values: readonly unknown[], withAttributes: boolean) {
    this.#values = values;
    this.#withAttributes = withAttributes;
  }

  next(): Hit | undefined {
    if (this.#at >= this.#values.length) return undefined;
    const [key, detail] = [this.#values[this.#at] as Buffer, this.#values[this.#at + 1]];
    this.#at += 2;
    if (!this.#withAttributes) return { key, distance: doubleOf(String(detail)), attributes: undefined };
    const [distance, attributes] = detail as [Buffer, Buffer | null];
    return { key, distance: doubleOf(String(distance)), attributes: attributes ?? undefined };
  }
}

const [ARRAY, BULK, NIL, MINUS, ZERO, CR] = [0x2a, 0x24, 0x5f, 0x2d, 0x30, 0x0d];
const CRLF_BYTES = 2;

/** Of the bytes of a reply. */
export class BytesOfPart implements FoundByPart {
  readonly #bytes: Buffer;
  #at = 0;
  /** Of the query whose turn it is, results that were not taken. */
  #left = 0;

  /** @param bytes of a whole reply. @param ofSeveral whether it is that of MSEARCH */
  constructor(bytes: Buffer, ofSeveral: boolean) {
    this.#bytes = bytes;
    if (ofSeveral) this.#line(ARRAY);
  }

  query(): Found {
    while (this.#left > 0) this.next();
    const elements = this.#line(ARRAY);
    const isFlat = elements > 0 && this.#bytes[this.#at] !== ARRAY;
    this.#left = isFlat ? elements / 2 : elements;
    return this;
  }

  next(): Hit | undefined {
    if (this.#left === 0) return undefined;
    this.#left--;
    if (this.#bytes[this.#at] === ARRAY) this.#line(ARRAY);
    const key = this.#value()!;
    const hasAttributes = this.#bytes[this.#at] === ARRAY;
    if (hasAttributes) this.#line(ARRAY);
    const distance = this.#double();
    return { key, distance, attributes: hasAttributes ? this.#value() : undefined };
  }

  #double(): number {
    const isValue = this.#bytes[this.#at] === BULK;
    if (isValue) this.#line(BULK);
    const start = isValue ? this.#at : this.#at + 1;
    const end = this.#bytes.indexOf(CR, start);
    this.#at = end + CRLF_BYTES;
    return doubleOf(this.#bytes.toString("latin1", start, end));
  }

  #value(): Buffer | undefined {
    if (this.#bytes[this.#at] === NIL) {
      this.#at += 1 + CRLF_BYTES;
      return undefined;
    }
    const size = this.#line(BULK);
    if (size < 0) return undefined;
    const start = this.#at;
    this.#at = start + size + CRLF_BYTES;
    return this.#bytes.subarray(start, start + size);
  }

  /** The number of a line; -1 where it is negative. */
  #line(kind: number): number {
    const bytes = this.#bytes;
    let at = this.#at;
    if (bytes[at++] !== kind) throw new Error("a part has answered a search with something else");
    let number = bytes[at] === MINUS ? -1 : 0;
    for (; bytes[at] !== CR; at++) if (number >= 0) number = number * 10 + bytes[at]! - ZERO;
    this.#at = at + CRLF_BYTES;
    return number;
  }
}

/** As Redis and vstore write doubles. */
function doubleOf(text: string): number {
  const number = Number(text);
  if (!Number.isNaN(number)) return number;
  if (text === "inf") return Number.POSITIVE_INFINITY;
  return text === "-inf" ? Number.NEGATIVE_INFINITY : number;
}
