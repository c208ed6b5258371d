/**
 * Plain searches of parts on other nodes. A request to another node costs more than the search itself. So those of one
 * turn of the event loop that differ in nothing but their vectors go to a part in one request, and so do those that
 * come while earlier ones are under way.
 */
import type { PlainSearch } from "../../commands/search/plain-search.ts";
import type { Hit } from "../../engine/hits.ts";
import { VstoreError } from "../../errors.ts";
import { encodeCommand } from "../redis/encode-command.ts";
import { allOf, BytesOfPart } from "./found.ts";

/** Searches of one request. */
const togetherMax = 16;
/** Requests of like searches to one part that are under way; further searches gather meanwhile. */
const requestsMax = 2;

/** Sends an encoded command to the node that has the part. */
export type Exchange = (part: string, request: Buffer) => Promise<Buffer>;

interface Asked {
  readonly blob: Uint8Array;
  readonly resolve: (hits: readonly Hit[]) => void;
  readonly reject: (error: unknown) => void;
}

/** Searches of one part that differ in nothing but their vectors. */
interface Alike {
  readonly key: string;
  readonly part: string;
  readonly plain: PlainSearch;
  waiting: Asked[];
  requests: number;
}

export class PlainSearches {
  readonly #exchange: Exchange;
  readonly #alike = new Map<string, Alike>();
  /** Those with searches of this turn of the event loop. */
  #asked: Alike[] = [];

  constructor(exchange: Exchange) {
    this.#exchange = exchange;
  }

  /** What the part has found, nearest first. @param plain with distances. @throws {VstoreError} */
  ask(part: string, plain: PlainSearch): Promise<readonly Hit[]> {
    const { k, ef = 0, within, blob } = plain;
    const key = `${k} ${ef} ${within} ${part}`;
    let alike = this.#alike.get(key);
    if (alike === undefined) {
      alike = { key, part, plain, waiting: [], requests: 0 };
      this.#alike.set(key, alike);
    }
    if (alike.waiting.length === 0) {
      if (this.#asked.length === 0) process.nextTick(() => this.#sendAsked());
      this.#asked.push(alike);
    }
    const { waiting } = alike;
    return new Promise((resolve, reject) => waiting.push({ blob, resolve, reject }));
  }

  #sendAsked(): void {
    const asked = this.#asked;
    this.#asked = [];
    for (const alike of asked) this.#sendSome(alike);
  }

  #sendSome(alike: Alike): void {
    while (alike.waiting.length > 0 && alike.requests < requestsMax) {
      alike.requests++;
      void this.#send(alike, alike.waiting.splice(0, togetherMax)).then(() => {
        alike.requests--;
        this.#sendSome(alike);
      });
    }
    if (alike.waiting.length === 0 && alike.requests === 0) this.#alike.delete(alike.key);
  }

  /** Never rejects. */
  async #send({ part, plain }: Pick<Alike, "part" | "plain">, asked: readonly Asked[]): Promise<void> {
    const isOne = asked.length === 1;
    try {
      const request = isOne ? requestOfOne(part, plain, asked[0]!) : requestOf(part, plain, asked);
      const found = new BytesOfPart(await this.#exchange(part, request), !isOne);
      for (const { resolve } of asked) resolve(allOf(found.query()));
    } catch (error) {
      if (isOne || !isOfRequest(error)) for (const { reject } of asked) reject(error);
      else await Promise.all(asked.map((each) => this.#send({ part, plain }, [each])));
    }
  }
}

/** Whether the part has refused it: what is too much together may do one by one. */
function isOfRequest(error: unknown): boolean {
  return error instanceof VstoreError && error.code !== "PARTDOWN";
}

/** What follows the part's name in the request of a search. */
export function plainWords({ blob, k, ef, within }: PlainSearch): (string | Buffer)[] {
  const words = ["FP32", bufferOf(blob), "COUNT", String(k)];
  if (ef !== undefined) words.push("EF", String(ef));
  if (within !== Number.POSITIVE_INFINITY) words.push("WITHIN", String(within));
  words.push("WITHDISTANCES");
  return words;
}

function requestOfOne(part: string, plain: PlainSearch, { blob }: Asked): Buffer {
  return encodeCommand(["VSTORE.SEARCH", part, "FP32", bufferOf(blob), ...plainWords(plain).slice(2)]);
}

function requestOf(part: string, plain: PlainSearch, asked: readonly Asked[]): Buffer {
  const all = Buffer.concat(asked.map(({ blob }) => blob));
  const head = ["VSTORE.MSEARCH", part, String(asked.length), "FP32", all];
  return encodeCommand([...head, ...plainWords(plain).slice(2)]);
}

function bufferOf({ buffer, byteOffset, length }: Uint8Array): Buffer {
  return Buffer.from(buffer, byteOffset, length);
}
