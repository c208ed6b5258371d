/**
 * Searches of parts on this very node, which this sidecar leads: by the code that would answer them had they come
 * through Redis. They see every write that was acknowledged, as this sidecar applied it before; those with NOWAIT are
 * acknowledged earlier, so it is looked whether they are applied. They take no places of the reads: the request of the
 * whole has one.
 */
import { ReplyError } from "ioredis";
import type { Context } from "../../commands/command.ts";
import { execute, type Outcome } from "../../commands/execute.ts";
import { answerPlainly, type PlainSearch } from "../../commands/search/plain-search.ts";
import { search } from "../../commands/search/search.ts";
import { toWireError } from "../../commands/wire/wire-error.ts";
import type { Catalog } from "../../engine/catalog.ts";
import type { Collection } from "../../engine/collection.ts";
import { compareIds, FIRST_ID, laterId } from "../../engine/log-id.ts";
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

/** What was acknowledged of a part, by this session or an earlier one, while it was only in its log. */
interface State {
  /** Whether all of earlier sessions is applied. */
  readonly isCaughtUp: boolean;
  /** The last entry of this session. */
  readonly inLog: string;
}

const begun: State = { isCaughtUp: false, inLog: FIRST_ID };

export type ContextOfPart = (answerRoom: Context["answerRoom"]) => Context;

export class OwnParts {
  readonly #catalog: Catalog;
  readonly #nodes: Nodes;
  readonly #context: ContextOfPart;
  readonly #answerBytes = new Budget(answerBytesTotalMax);
  readonly #states = new WeakMap<Collection, State>();

  constructor(catalog: Catalog, nodes: Nodes, context: ContextOfPart) {
    this.#catalog = catalog;
    this.#nodes = nodes;
    this.#context = context;
  }

  /** Whether a search of the part sees all that was acknowledged before it. */
  has({ name, slot }: Part): boolean {
    if (!this.#nodes.isHere(slot)) return false;
    const part = this.#catalog.find(name);
    const state = part && this.#states.get(part);
    return state?.isCaughtUp === true && compareIds(part!.position, state.inLog) >= 0;
  }

  /** Must be called when a read of the part has come back through Redis: it saw all that was in the log. */
  caughtUp(name: string): void {
    this.#change(name, ({ inLog }) => ({ inLog, isCaughtUp: true }));
  }

  /** Must be called before a client hears that this entry is in the part's log. */
  isInLog(name: string, id: string): void {
    this.#change(name, ({ inLog, isCaughtUp }) => ({ inLog: laterId(id, inLog), isCaughtUp }));
  }

  #change(name: string, change: (state: State) => State): void {
    const part = this.#catalog.find(name);
    if (part !== undefined) this.#states.set(part, change(this.#states.get(part) ?? begun));
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
