/**
 * A request as a stream entry holds it; the field table is in PROTOCOL.md. Pure: bytes in, values out. The fields are
 * decoded one after the other where they lie, and nothing is made for a field that the request does not keep.
 *
 * Stream clients write entries too, so an entry may be malformed. It still becomes a request, with its `fault`, because
 * the client that waits for it has to hear of it.
 */
import { ID_PATTERN } from "../../engine/log-id.ts";
import { limits } from "../../limits.ts";
import { isReplyStream, replyPrefix } from "../redis/keys.ts";
import { type Proofs, proofDigits } from "./proofs.ts";
import { isText, Texts } from "./xread/texts.ts";

/** Where the answer goes: to a client that the module has blocked, to a stream, or nowhere. */
export type Waiter =
  | { readonly kind: "client" }
  | { readonly kind: "stream"; readonly key: Buffer }
  | { readonly kind: "none" };

export interface Request {
  /** Stream and id are the identity of the request. */
  readonly stream: string;
  readonly id: string;
  /** Command name in upper case, without the VSTORE. prefix; empty when the entry has none. */
  readonly name: string;
  readonly args: readonly Buffer[];
  /** Its first argument: the collection, where the command has one. Empty without arguments. */
  readonly collection: string;
  readonly waiter: Waiter;
  /** The connection or the stream that waits for the answer: what one caller has under way is limited. */
  readonly caller: string;
  /** The user of the connection; one name stands for all stream clients, which tell none. */
  readonly user: string;
  /** When it was made, in ms since 1970, as the entry says; undefined when it does not. */
  readonly at: number | undefined;
  /** Of a read: the entry of the log that it has to see; undefined when there was none, or the entry does not say. */
  readonly after: string | undefined;
  /** Of a write of a cache: what proves that the module wrote it, see proofs.ts. Empty where there is none. */
  readonly proof: Buffer;
  /** Size of the entry's values. */
  readonly bytes: number;
  /** Why the entry itself is malformed. */
  readonly fault: string | undefined;
  /** By `performance.now()`. */
  readonly readAt: number;
}

/** Bytes of a command's name: messages and the errors stream repeat it. */
const nameBytesMax = 64;

/** Bytes of an id of a client, or of a stream, by which callers are told apart. */
const callerBytesMax = 64;

/** The user of a connection whose entry names none. */
const defaultUser = "default";
/** No user has this name: it has a space. */
const streamClients = "stream clients";

const forged = "'client' is for the module: another producer names a stream with 'reply'";
const SPACE = 0x20;
const noProof = Buffer.alloc(0);

const client: Waiter = { kind: "client" };
const none: Waiter = { kind: "none" };

const plain = new Texts((text) => text);
const callers = new Texts((client) => `client ${client}`);
const times = new Texts(decodeTime);
const ids = new Texts((text) => (ID_PATTERN.test(text) ? text : undefined));

/**
 * `fields` are the names and values of the entry, alternating, as XREAD answers them.
 *
 * @param proofs of the stream: there an entry whose `client` is not proven is no request of the module's
 */
export function decodeEntry(
  stream: string,
  id: string,
  fields: readonly Buffer[],
  readAt = 0,
  proofs?: Proofs,
): Request {
  const decoder = new EntryDecoder();
  decoder.begin();
  for (let at = 0; at + 1 < fields.length; at += 2) {
    decoder.name(fields[at]!, 0, fields[at]!.length);
    decoder.value(fields[at + 1]!, 0, fields[at + 1]!.length);
  }
  return decoder.end(stream, id, readAt, proofs);
}

/** What the value of a field is; `other` where its name is none of ours. */
type Field = "cmd" | "client" | "reply" | "at" | "after" | "proof" | "argument" | "other";

/**
 * One entry after the other, each from its fields in their order:
 *
 *   cmd → client, reply, at, after, proof → arguments
 */
export class EntryDecoder {
  #field: Field = "other";
  /** Fields whose name has come. */
  #fields = 0;
  #name = "";
  #waiter: Waiter = none;
  /** What proves that the module wrote it: of a read, and of a write of a cache. */
  #proof: Buffer = noProof;
  #writeProof: Buffer = noProof;
  #caller = "";
  #user = streamClients;
  #at: number | undefined;
  #after: string | undefined;
  /** Undefined once they are not the fields "0", "1", … to the end. */
  #args: Buffer[] | undefined = [];
  #bytes = 0;

  begin(): void {
    this.#fields = 0;
    this.#name = "";
    this.#waiter = none;
    this.#proof = noProof;
    this.#writeProof = noProof;
    this.#caller = "";
    this.#user = streamClients;
    this.#at = undefined;
    this.#after = undefined;
    this.#args = [];
    this.#bytes = 0;
  }

  /** The name of the next field. The bytes are not kept. */
  name(bytes: Buffer, start: number, end: number): void {
    this.#bytes += end - start;
    this.#field = this.#fieldOf(bytes, start, end);
    this.#fields++;
    if (this.#field === "other" && this.#fields > 1) this.#args = undefined;
  }

  #fieldOf(bytes: Buffer, start: number, end: number): Field {
    if (this.#fields === 0) return isText("cmd", bytes, start, end) ? "cmd" : "other";
    if (this.#args === undefined) return "other";
    const count = this.#args.length;
    if (isPosition(bytes, start, end, count)) return count < limits.argumentsMax ? "argument" : "other";
    if (count > 0) return "other";
    for (const name of headFields) if (isText(name, bytes, start, end)) return name;
    return "other";
  }

  /** Its value. Arguments are kept as views of the bytes. */
  value(bytes: Buffer, start: number, end: number): void {
    this.#bytes += end - start;
    switch (this.#field) {
      case "argument":
        this.#args!.push(bytes.subarray(start, end));
        return;
      case "cmd":
        this.#name = end - start <= nameBytesMax ? plain.of(bytes, start, end) : "";
        return;
      case "client":
        this.#client(bytes, start, end);
        return;
      case "reply":
        this.#waiter = { kind: "stream", key: bytes.subarray(start, end) };
        this.#caller ||= `stream ${bytes.toString("latin1", start, Math.min(end, start + callerBytesMax))}`;
        return;
      case "at":
        this.#at = times.of(bytes, start, end);
        return;
      case "after":
        this.#after = ids.of(bytes, start, end);
        return;
      case "proof":
        this.#writeProof = bytes.subarray(start, end);
    }
  }

  /** The client's id, of a read the proof too, and of some users the name; see PROTOCOL.md. */
  #client(bytes: Buffer, start: number, end: number): void {
    let idEnd = start;
    while (idEnd < end && bytes[idEnd] !== SPACE) idEnd++;
    const proofEnd = Math.min(end, idEnd + 1 + proofDigits);
    this.#waiter = client;
    this.#caller ||= callers.of(bytes, start, Math.min(idEnd, start + callerBytesMax));
    this.#proof = idEnd < end ? bytes.subarray(idEnd + 1, proofEnd) : noProof;
    const isNamed = proofEnd < end && bytes[proofEnd] === SPACE;
    const nameEnd = Math.min(end, proofEnd + 1 + callerBytesMax);
    this.#user = isNamed ? plain.of(bytes, proofEnd + 1, nameEnd) : defaultUser;
  }

  /** @param proofs see decodeEntry */
  end(stream: string, id: string, readAt: number, proofs: Proofs | undefined): Request {
    const [args, waiter] = [this.#args, this.#waiter];
    const isForged = proofs !== undefined && waiter === client && !proofs.proves(id, this.#proof);
    return {
      stream,
      id,
      name: this.#name,
      args: args ?? [],
      collection: collectionOf(args),
      waiter: isForged || isElsewhere(waiter) ? none : waiter,
      caller: isForged ? "" : this.#caller,
      user: isForged ? streamClients : this.#user,
      at: this.#at,
      after: this.#after,
      proof: this.#writeProof,
      bytes: this.#bytes,
      fault: isForged ? forged : faultOf(this.#name, waiter, args),
      readAt,
    };
  }
}

/** Between the command's name and its arguments. */
const headFields = ["client", "at", "after", "reply", "proof"] as const;

/** No name of a collection is longer; an argument may have 64 MiB. */
function collectionOf(args: readonly Buffer[] | undefined): string {
  const first = args?.[0];
  if (first === undefined) return "";
  return plain.of(first, 0, Math.min(first.length, limits.collectionNameBytesMax + 1));
}

/** A malformed time counts as 0: a deadline that is counted from it is past. */
function decodeTime(text: string): number {
  return /^\d{1,15}$/.test(text) ? Number(text) : 0;
}

/** Whether the field's name is the decimal of the position. */
function isPosition(bytes: Buffer, start: number, end: number, position: number): boolean {
  let rest = position;
  for (let at = end - 1; at >= start; at--) {
    if (bytes[at] !== 0x30 + (rest % 10)) return false;
    rest = Math.floor(rest / 10);
    if (rest === 0) return at === start;
  }
  return false;
}

function faultOf(name: string, waiter: Waiter, args: Buffer[] | undefined): string | undefined {
  if (name === "") return `the first field of a request must be 'cmd', of 1 to ${nameBytesMax} bytes`;
  if (args === undefined)
    return `the arguments of a request must be the fields '0', '1', … in order, at most ${limits.argumentsMax}`;
  if (isElsewhere(waiter)) return `'reply' must name a stream that begins with ${replyPrefix}`;
  return undefined;
}

/** An answer must not go to a key of the application, nor to one of vstore's own. */
function isElsewhere(waiter: Waiter): boolean {
  return waiter.kind === "stream" && !isReplyStream(waiter.key.toString("latin1"));
}
