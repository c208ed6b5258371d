/**
 * The nodes that have parts, and where each part is. What a node answers that is no fault of the request becomes
 * `PARTDOWN`, which names the part: its sidecar is away, its slot is in motion, it was dropped by hand.
 */
import type { Redis } from "ioredis";
import { type ErrorCode, errorCodes, VstoreError } from "../../../errors.ts";
import { onServer } from "../../redis/address.ts";
import { codeOf } from "../../redis/error-code.ts";
import { nodeTag } from "../../redis/keys.ts";
import type { Word } from "./connection.ts";
import { NoAnswer, Node, TooMany } from "./node.ts";
import { slotOf } from "./slots.ts";
import { type Address, readTopology, Topology } from "./topology.ts";

/** BUILD WAIT and CHECKPOINT of a part. */
const longAnswerMsMax = 600_000;
/** Nodes that say that a slot is not theirs are not asked about the slots again before this time has passed. */
const refreshMsMin = 100;
/** After this time the slots of parts on this very node are looked at again: no MOVED tells that one has left. */
const ownSlotsMsMax = 1_000;

export class Nodes {
  readonly #redis: Redis;
  readonly #url: string;
  /** Of one request to a node. */
  readonly timeoutMs: number;
  readonly #nodes = new Map<string, Node>();
  /** Of what takes minutes. */
  readonly #patient = new Map<string, Node>();
  #topology = new Topology([]);
  #refresh: Promise<void> | undefined;
  #refreshedAt = Number.NEGATIVE_INFINITY;
  /** A slot of the sidecar's own node. */
  readonly #ownSlot = slotOf(`{${nodeTag}}`);

  /**
   * @param redis connection to the sidecar's own node, which says where slots are
   * @param url of that node; the others are reached with the same user and TLS
   */
  constructor(redis: Redis, url: string, timeoutMs: number) {
    this.timeoutMs = timeoutMs;
    this.#redis = redis;
    this.#url = url;
  }

  /** Where the slots are now. @throws Error where the user may not ask for it */
  async look(): Promise<Topology> {
    await this.#renew();
    return this.#topology;
  }

  /**
   * Whether the slot is the sidecar's own node's. Where it has moved just now, all that was written to it through this
   * node is in the files still: a write would have found it gone, and this with it.
   */
  isHere(slot: number): boolean {
    if (performance.now() - this.#refreshedAt > ownSlotsMsMax) this.#renew().catch(() => {});
    const address = this.#topology.ofSlot(slot);
    return address !== undefined && address === this.#topology.ofSlot(this.#ownSlot);
  }

  /** The reply to a search with short replies, as bytes. @param request an encoded command */
  exchange(part: string, request: Buffer): Promise<Buffer> {
    const send = (address: Address) => this.#nodeAt(this.#nodes, address).exchange(request, this.timeoutMs);
    return this.#askOnce(part, false, send);
  }

  /**
   * What the part answers. It leaves at once, where a connection to that node is free.
   *
   * @param writes whether the error has to say that it may have been applied
   * @throws {VstoreError} PARTDOWN, TRYAGAIN, and what the part itself refuses
   */
  ask(part: string, command: string, words: readonly Word[], writes = false): Promise<unknown> {
    const [name, all] = [`VSTORE.${command}`, [part, ...words]];
    const send = (address: Address) => this.#nodeAt(this.#nodes, address).ask(name, all, this.timeoutMs);
    return this.#askOnce(part, writes, send);
  }

  /** The same of what takes minutes, over a connection that waits for it. */
  askLong(part: string, command: string, words: readonly Word[]): Promise<unknown> {
    const [name, all] = [`VSTORE.${command}`, [part, ...words]];
    const patient = { socketTimeout: longAnswerMsMax };
    const send = (address: Address) =>
      this.#nodeAt(this.#patient, address, patient).ask(name, all, longAnswerMsMax);
    return this.#askOnce(part, false, send);
  }

  /** Once more where Redis says that the slot is elsewhere: the module has not seen the request then. */
  async #askOnce<T>(part: string, writes: boolean, send: (address: Address) => Promise<T>): Promise<T> {
    if (this.#topology.primaries.length === 0) await this.#renew();
    let address = this.#addressOf(part);
    try {
      return await send(address);
    } catch (error) {
      if (!hasMoved(error)) throw refusalOf(part, address, error, writes);
    }
    try {
      await this.#renew();
      address = this.#addressOf(part);
      return await send(address);
    } catch (error) {
      throw refusalOf(part, address, error, writes);
    }
  }

  close(): void {
    for (const nodes of [this.#nodes, this.#patient]) {
      for (const node of nodes.values()) node.close();
      nodes.clear();
    }
  }

  /** Where the part is, for people to read. */
  placeOf(part: string): string {
    return textOf(this.#topology.ofSlot(slotOf(part)), this.#url);
  }

  #addressOf(part: string): Address {
    const address = this.#topology.ofSlot(slotOf(part));
    if (address !== undefined) return address;
    throw new VstoreError("PARTDOWN", `part '${part}': no node of the cluster has its slot`);
  }

  #nodeAt(nodes: Map<string, Node>, address: Address, extra?: { socketTimeout: number }): Node {
    const name = `${address.host}:${address.port}`;
    const known = nodes.get(name);
    if (known !== undefined) return known;
    const url = address.host === undefined ? this.#url : onServer(this.#url, address.host, address.port);
    const node = new Node(url, extra);
    nodes.set(name, node);
    return node;
  }

  /** One look for all that ask at the same time. */
  #renew(): Promise<void> {
    if (this.#refresh === undefined && performance.now() - this.#refreshedAt < refreshMsMin)
      return Promise.resolve();
    this.#refresh ??= readTopology(this.#redis)
      .then((topology) => {
        this.#topology = topology;
        this.#refreshedAt = performance.now();
      })
      .finally(() => {
        this.#refresh = undefined;
      });
    return this.#refresh;
  }
}

/** Redis has not passed the request on to the module. */
function hasMoved(error: unknown): boolean {
  return ["MOVED", "ASK"].includes(codeOf(error) ?? "");
}

/** Those that say something about the request, which every part would. */
const passedOn: ReadonlySet<string> = new Set(
  Object.keys(errorCodes).filter((code) => !["NOCOLLECTION", "PARTDOWN"].includes(code)),
);
/** Nothing was applied, and the same may succeed later. */
const passing: ReadonlySet<string> = new Set(["BUSY", "NOREPLICAS"]);

/** What the home's client hears of it. */
export function refusalOf(part: string, address: Address, error: unknown, writes = false): VstoreError {
  if (error instanceof VstoreError) return error;
  const { message } = error as Error;
  if (error instanceof TooMany) return new VstoreError("TRYAGAIN", `part '${part}': ${message}`);
  const code = codeOf(error);
  if (code !== undefined && passedOn.has(code))
    return new VstoreError(code as ErrorCode, message.slice(code.length + 1));
  if (code !== undefined && passing.has(code))
    return new VstoreError("TRYAGAIN", `part '${part}': ${message}`);
  const isOpen = writes && error instanceof NoAnswer && error.isSent;
  const fate = isOpen ? "; the write may have been applied or not" : "";
  return new VstoreError("PARTDOWN", `part '${part}' on ${textOf(address)}: ${message}${fate}`);
}

function textOf(address: Address | undefined, own?: string): string {
  if (address === undefined) return "no node";
  if (address.host === undefined) return own === undefined ? `this node` : new URL(own).host;
  return `${address.host}:${address.port}`;
}
