/**
 * Searches of parts on this very node, which this sidecar leads: by the code that would answer them had they come
 * through Redis. They see every write that was acknowledged, as this sidecar applied it before. They take no places of
 * the reads: the request of the whole has one.
 */
import { ReplyError } from "ioredis";
import type { Context } from "../../commands/command.ts";
import { execute, type Outcome } from "../../commands/execute.ts";
import { answerPlainly, type PlainSearch } from "../../commands/search/plain-search.ts";
import { search } from "../../commands/search/search.ts";
import { toWireError } from "../../commands/wire/wire-error.ts";
import type { Catalog } from "../../engine/catalog.ts";
import { limits } from "../../limits.ts";
import { Budget } from "../requests/reads/budget.ts";
import type { Word } from "./nodes/connection.ts";
import { type Nodes, refusalOf } from "./nodes/nodes.ts";
import { plainWords } from "./plain-searches.ts";

/** Bytes of large answers that are being built; others wait meanwhile. */
const answerBytesTotalMax = 2 * limits.answerBytesMax;

export interface Part {
  readonly name: string;
  readonly slot: number;
}

export type ContextOfPart = (answerRoom: Context["answerRoom"]) => Context;

export class OwnParts {
  readonly #catalog: Catalog;
  readonly #nodes: Nodes;
  readonly #context: ContextOfPart;
  readonly #answerBytes = new Budget(answerBytesTotalMax);

  constructor(catalog: Catalog, nodes: Nodes, context: ContextOfPart) {
    this.#catalog = catalog;
    this.#nodes = nodes;
    this.#context = context;
  }

  has({ name, slot }: Part): boolean {
    return this.#nodes.isHere(slot) && this.#catalog.has(name);
  }

  /** The bytes of the reply. @throws {VstoreError} */
  async ask(part: Part, command: string, words: readonly Word[]): Promise<Buffer> {
    const room = this.#answerBytes.claim();
    try {
      const context = this.#context(async (bytes) => void (await room.take(bytes)));
      const args = [part.name, ...words].map((word) =>
        Buffer.isBuffer(word) ? word : Buffer.from(`${word}`),
      );
      return this.#bytesOf(part, await execute(context, command, args));
    } finally {
      room.giveBack();
    }
  }

  /** The same of a plain search with distances. */
  askPlainly(part: Part, plain: PlainSearch): Promise<Buffer> {
    return new Promise((resolve) => {
      const takeOtherWay = () => resolve(this.ask(part, search.name, plainWords(plain)));
      if (!answerPlainly(this.#catalog, part.name, plain, resolve, takeOtherWay)) takeOtherWay();
    });
  }

  #bytesOf({ name }: Part, { bytes, error }: Outcome): Buffer {
    if (error === undefined) return bytes;
    throw refusalOf(name, { host: undefined, port: 0 }, new ReplyError(toWireError(error)));
  }
}
