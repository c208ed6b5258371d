/**
 * A request as a stream entry holds it; the field table is in PROTOCOL.md. Pure: bytes in, values out.
 *
 * Stream clients write entries too, so an entry may be malformed. It still becomes a request, with its `fault`, because
 * the client that waits for it has to hear of it.
 */
import { ID_PATTERN } from "../../engine/log-id.ts";
import { limits } from "../../limits.ts";
import { isReplyStream, replyPrefix } from "../redis/keys.ts";
import { type Proofs, proofDigits } from "./proofs.ts";

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
const noProof = Buffer.alloc(0);

const client: Waiter = { kind: "client" };
const none: Waiter = { kind: "none" };

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
  const named = fieldIs(fields, 0, "cmd") && fields[1]!.length <= nameBytesMax;
  const name = named ? fields[1]!.toString("latin1") : "";
  const { end, waiter, proof, caller, user, at, after } = decodeHead(fields);
  const args = decodeArguments(fields, end);
  const isForged = proofs !== undefined && waiter === client && !proofs.proves(id, proof);
  const fault = isForged ? forged : faultOf(name, waiter, args);
  const bytes = fields.reduce((sum, field) => sum + field.length, 0);
  return {
    stream,
    id,
    name,
    args: args ?? [],
    collection: collectionOf(args),
    waiter: isForged || isElsewhere(waiter) ? none : waiter,
    caller: isForged ? "" : caller,
    user: isForged ? streamClients : user,
    at,
    after,
    bytes,
    fault,
    readAt,
  };
}

/** No name of a collection is longer; an argument may have 64 MiB. */
function collectionOf(args: readonly Buffer[] | undefined): string {
  return args?.[0]?.toString("latin1", 0, limits.collectionNameBytesMax + 1) ?? "";
}

interface Head {
  /** Where the arguments begin. */
  end: number;
  waiter: Waiter;
  /** What proves that the module wrote it. */
  proof: Buffer;
  caller: string;
  user: string;
  at: number | undefined;
  after: string | undefined;
}

/** Decodes the fields between the command's name and its arguments. */
function decodeHead(fields: readonly Buffer[]): Head {
  const head: Head = {
    end: 2,
    waiter: none,
    proof: noProof,
    caller: "",
    user: streamClients,
    at: undefined,
    after: undefined,
  };
  for (; head.end + 1 < fields.length; head.end += 2) {
    const value = fields[head.end + 1]!;
    if (fieldIs(fields, head.end, "client")) decodeClient(head, value);
    else if (fieldIs(fields, head.end, "reply")) {
      head.waiter = { kind: "stream", key: value };
      head.caller ||= `stream ${value.toString("latin1", 0, callerBytesMax)}`;
    } else if (fieldIs(fields, head.end, "at")) head.at = decodeTime(value);
    else if (fieldIs(fields, head.end, "after")) head.after = decodeId(value);
    else break;
  }
  return head;
}

/** The client's id, of a read the proof too, and of some users the name; see PROTOCOL.md. */
function decodeClient(head: Head, value: Buffer): void {
  const space = value.indexOf(0x20);
  const idEnd = space < 0 ? value.length : space;
  const proofEnd = idEnd + 1 + proofDigits;
  head.waiter = client;
  head.caller ||= `client ${value.toString("latin1", 0, Math.min(idEnd, callerBytesMax))}`;
  head.proof = value.subarray(idEnd + 1, proofEnd);
  const isNamed = value[proofEnd] === 0x20;
  head.user = isNamed ? value.toString("latin1", proofEnd + 1, proofEnd + 1 + callerBytesMax) : defaultUser;
}

/** A malformed time counts as 0: a deadline that is counted from it is past. */
function decodeTime(value: Buffer): number {
  const text = value.toString("latin1");
  return /^\d{1,15}$/.test(text) ? Number(text) : 0;
}

function decodeId(value: Buffer): string | undefined {
  const text = value.toString("latin1");
  return ID_PATTERN.test(text) ? text : undefined;
}

/** The values of the fields "0", "1", … from position `start` to the end; undefined when they are not that. */
function decodeArguments(fields: readonly Buffer[], start: number): Buffer[] | undefined {
  const args: Buffer[] = [];
  if (fields.length - start > 2 * limits.argumentsMax) return undefined;
  for (let at = start; at < fields.length; at += 2) {
    if (!isPosition(fields[at]!, args.length)) return undefined;
    args.push(fields[at + 1]!);
  }
  return args;
}

/** Whether the field's name is the decimal of the position. */
function isPosition(field: Buffer, position: number): boolean {
  let rest = position;
  for (let i = field.length - 1; i >= 0; i--) {
    if (field[i] !== 0x30 + (rest % 10)) return false;
    rest = Math.floor(rest / 10);
    if (rest === 0) return i === 0;
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

function fieldIs(fields: readonly Buffer[], at: number, name: string): boolean {
  return fields[at]?.length === name.length && fields[at].toString("latin1") === name;
}
