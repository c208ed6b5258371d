/**
 * A request as a stream entry holds it; the field table is in PROTOCOL.md. Pure: bytes in, values out.
 *
 * Stream clients write entries too, so an entry may be malformed. It still becomes a request, with its `fault`, because
 * the client that waits for it has to hear of it.
 */
import { ID_PATTERN } from "../../engine/log-id.ts";
import { limits } from "../../limits.ts";
import { isReplyStream, replyPrefix } from "../redis/keys.ts";

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

const client: Waiter = { kind: "client" };
const none: Waiter = { kind: "none" };

/** `fields` are the names and values of the entry, alternating, as XREAD answers them. */
export function decodeEntry(stream: string, id: string, fields: readonly Buffer[], readAt = 0): Request {
  const named = fieldIs(fields, 0, "cmd") && fields[1]!.length <= nameBytesMax;
  const name = named ? fields[1]!.toString("latin1") : "";
  const { end, waiter, caller, user, at, after } = decodeHead(fields);
  const args = decodeArguments(fields, end);
  const fault = faultOf(name, waiter, args);
  const bytes = fields.reduce((sum, field) => sum + field.length, 0);
  return {
    stream,
    id,
    name,
    args: args ?? [],
    collection: collectionOf(args),
    waiter: isElsewhere(waiter) ? none : waiter,
    caller,
    user,
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
    caller: "",
    user: streamClients,
    at: undefined,
    after: undefined,
  };
  for (; head.end + 1 < fields.length; head.end += 2) {
    const value = fields[head.end + 1]!;
    if (fieldIs(fields, head.end, "client")) {
      head.waiter = client;
      head.user = userOf(value);
    } else if (fieldIs(fields, head.end, "reply")) head.waiter = { kind: "stream", key: value };
    else if (fieldIs(fields, head.end, "at")) head.at = decodeTime(value);
    else if (fieldIs(fields, head.end, "after")) head.after = decodeId(value);
    else break;
    if (head.waiter !== none)
      head.caller ||= `${head.waiter.kind} ${value.toString("latin1", 0, callerBytesMax)}`;
  }
  return head;
}

/** What the module writes after the client's id; see PROTOCOL.md. */
function userOf(client: Buffer): string {
  const space = client.indexOf(0x20);
  return space < 0 ? defaultUser : client.toString("latin1", space + 1, space + 1 + callerBytesMax);
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
