/**
 * Replies of XREAD in pieces of any size: what `src/bridge/requests/xread` makes of them beside what ioredis' decoder
 * and a plain reading of PROTOCOL.md make of them.
 */
import assert from "node:assert/strict";
import { Decoder } from "ioredis/built/resp/decoder.js";
import { generator } from "../../harness/random.ts";
import { isReplyStream } from "../../src/bridge/redis/keys.ts";
import { Proofs, proofDigits } from "../../src/bridge/requests/proofs.ts";
import type { Request } from "../../src/bridge/requests/request.ts";
import { type ProofsOf, type StreamRequests, XreadDecoder } from "../../src/bridge/requests/xread/decoder.ts";
import { giveBackJoined } from "../../src/bridge/requests/xread/joined-values.ts";

type Random = () => number;
type Entry = [id: string, fields: Buffer[]];
type Stream = [name: string, entries: Entry[]];
/** What is compared: the words of a fault are another test's. */
type Read = Omit<Request, "readAt" | "fault"> & { readonly isFaulty: boolean };

const NAME_BYTES_MAX = 64;
/** As the constants of the sidecar are. */
const CALLER_BYTES_MAX = 64;
const COLLECTION_BYTES_MAX = 81;

/** Proofs that this file can make too: the digits of the id. */
class IdProofs extends Proofs {
  override proves(id: string, digits: Buffer): boolean {
    return digits.equals(Buffer.from(proofOf(id)));
  }
}

const proofOf = (id: string) => id.padStart(proofDigits, "0").slice(-proofDigits);
const proofs = new IdProofs("");
const proofsOf: ProofsOf = (stream) => (stream === "vstore:queries" ? proofs : undefined);

/**
 * One decoder reads all replies, one after the other, as that of a connection does.
 *
 * @throws Error that names the round, where the two do not agree
 */
export function compareXread(seed: number, rounds: number, counted: () => void): void {
  const decoder = new XreadDecoder(proofsOf);
  for (let round = 0; round < rounds; round++) {
    const random = generator(seed + round);
    const bytes = encode(randomReply(random));
    const after = Buffer.from(below(random, 10) === 0 ? "+OK\r\n" : "");
    const rest = writeInPieces(random, decoder, Buffer.concat([bytes, after]));
    assert.equal(rest.toString(), after.toString(), `seed ${seed + round}: the bytes after the reply`);
    const read = decoder.take();
    assert.deepEqual(asRead(read), ordinary(bytes), `seed ${seed + round}`);
    if (below(random, 2) === 0) giveBack(read);
    counted();
  }
}

const below = (random: Random, n: number) => Math.floor(random() * n);
const pick = <T>(random: Random, of: readonly T[]): T => of[below(random, of.length)]!;
const some = <T>(n: number, make: (i: number) => T): T[] => Array.from({ length: n }, (_, i) => make(i));

/** Later values are joined in the same buffers. */
function giveBack(read: readonly StreamRequests[]): void {
  for (const { requests } of read)
    for (const { args } of requests) for (const each of args) giveBackJoined(each);
}

/** The bytes that are left after the reply. */
function writeInPieces(random: Random, decoder: XreadDecoder, bytes: Buffer): Buffer {
  const longest = bytes.length > 100_000 ? [65_536, 1_000_000] : [1, 3, 50, 2_000, 65_536];
  const pieceMax = pick(random, longest);
  let rest: Buffer | undefined;
  for (let at = 0; at < bytes.length; ) {
    const end = Math.min(bytes.length, at + 1 + below(random, pieceMax));
    // A copy, as each piece of a socket has its own memory.
    const piece = Buffer.from(bytes.subarray(at, end));
    rest = rest === undefined ? decoder.write(piece) : Buffer.concat([rest, piece]);
    at = end;
  }
  assert(rest !== undefined, "the reply has no end");
  return rest;
}

function randomReply(random: Random): Stream[] {
  const kind = below(random, 100);
  const streams = kind < 3 ? 0 : kind < 5 ? 300 : 1 + below(random, 3);
  const entriesMax = kind < 10 ? 1 : 6;
  return some(streams, (i) => [
    pick(random, ["vstore:queries", "vstore:{docs}:log", `vstore:{ü${i}}:log`]),
    some(1 + below(random, entriesMax), () => {
      const id = randomId(random);
      return [id, randomFields(random, id)];
    }),
  ]);
}

const randomId = (random: Random) => `${below(random, 2 ** 31)}-${below(random, 2 ** 31)}`;

/** Mostly as the module writes them, else changed in one place, or of words in any order. */
function randomFields(random: Random, id: string): Buffer[] {
  const kind = below(random, 10);
  if (kind === 0) return some(2 * below(random, 12), () => Buffer.from(pick(random, words(random, id))));
  const count = kind === 1 ? 150 : below(random, 14);
  const name = pick(random, ["INSERT", "SEARCH", "CARD", ""]);
  const fields: Buffer[] = [Buffer.from("cmd"), Buffer.from(name)];
  for (const name of ["client", "reply", "at", "after", "proof"])
    if (below(random, 2)) fields.push(Buffer.from(name), Buffer.from(pick(random, words(random, id))));
  for (let i = 0; i < count; i++) fields.push(Buffer.from(`${i}`), randomValue(random));
  if (kind < 4) fields[below(random, fields.length)] = Buffer.from(pick(random, words(random, id)));
  return fields;
}

function words(random: Random, id: string): string[] {
  const number = `${below(random, 2_000)}`;
  const proof = proofOf(id);
  return [
    ...[
      "cmd",
      "client",
      "reply",
      "at",
      "after",
      "proof",
      "0",
      "1",
      "2",
      "01",
      "10",
      "",
      " ",
      "-",
      "client ",
      "\xff",
    ],
    ...[
      number,
      `${number} alice`,
      `${number}-${number}`,
      `${number}-`,
      "123456789012345",
      "1234567890123456",
    ],
    ...["vstore:reply:a", "vstore:reply:a:log", "orders", "x".repeat(60 + below(random, 10)), "é".repeat(50)],
    ...[
      `7 ${proof}`,
      `${number} ${proof} alice`,
      `7 ${proof} ${"u".repeat(70)}`,
      `8 ${proof}x`,
      `9 ${proof} `,
    ],
    ...[`${"7".repeat(70)} ${proof}`, "c".repeat(75 + below(random, 12))],
  ];
}

function randomValue(random: Random): Buffer {
  const kind = below(random, 400);
  if (kind === 0) return Buffer.alloc(below(random, 300_000), "$9\r\n");
  if (kind < 8) return Buffer.alloc(below(random, 9_000), "*2\r\n");
  if (kind < 100) return Buffer.from(pick(random, ["\r\n", "$-1\r\n", "*-1\r\n", "-ERR\r\n", "\n", "\r"]));
  return Buffer.from(some(below(random, 40), () => below(random, 256)));
}

function encode(reply: readonly Stream[]): Buffer {
  if (reply.length === 0) return Buffer.from("*-1\r\n");
  const parts: Buffer[] = [];
  const head = (text: string) => parts.push(Buffer.from(`${text}\r\n`));
  const value = (bytes: Buffer) =>
    parts.push(Buffer.from(`$${bytes.length}\r\n`), bytes, Buffer.from("\r\n"));
  head(`*${reply.length}`);
  for (const [name, entries] of reply) {
    head("*2");
    value(Buffer.from(name));
    head(`*${entries.length}`);
    for (const [id, fields] of entries) {
      head("*2");
      value(Buffer.from(id));
      head(`*${fields.length}`);
      for (const field of fields) value(field);
    }
  }
  return Buffer.concat(parts);
}

function asRead(streams: readonly StreamRequests[]): [string, Read[]][] {
  return streams.map(({ stream, requests }) => [
    stream,
    requests.map(({ readAt: _, fault, ...rest }) => ({ ...rest, isFaulty: fault !== undefined })),
  ]);
}

function ordinary(bytes: Buffer): [string, Read[]][] {
  let reply: [Buffer, [Buffer, Buffer[]][]][] | null = null;
  const unexpected = () => assert.fail("ioredis has found no reply");
  const decoder = new Decoder({
    getTypeMapping: () => ({ 36: Buffer }),
    onReply: (decoded: unknown) => {
      reply = decoded as typeof reply;
    },
    onErrorReply: unexpected,
    onPush: unexpected,
  });
  decoder.write(bytes);
  const streams = reply ?? ([] as [Buffer, [Buffer, Buffer[]][]][]);
  return streams.map(([name, entries]) => [
    name.toString(),
    entries.map(([id, fields]) => plainRead(name.toString(), id.toString("latin1"), fields)),
  ]);
}

/** By PROTOCOL.md, without any care for time. */
function plainRead(stream: string, id: string, fields: readonly Buffer[]): Read {
  const text = (at: number) => fields[at]?.toString("latin1") ?? "";
  const heads = ["client", "reply", "at", "after", "proof"];
  let start = 2;
  while (start < fields.length && heads.includes(text(start))) start += 2;
  const last = (name: string) => {
    for (let at = start - 2; at >= 2; at -= 2) if (text(at) === name) return text(at + 1);
    return undefined;
  };
  const waits = some(start / 2, (i) => 2 * i).filter((at) => at > 0 && /^(client|reply)$/.test(text(at)));
  const [first, latest] = [waits[0], waits.at(-1)];
  const name = text(0) === "cmd" && text(1).length <= NAME_BYTES_MAX ? text(1) : "";
  const args = fields.filter((_, at) => at >= start && at % 2 === 1);
  const areInOrder = args.every((_, i) => text(start + 2 * i) === `${i}`);
  const isElsewhere = latest !== undefined && text(latest) === "reply" && !isReplyStream(text(latest + 1));
  const [at, after] = [last("at"), last("after")];
  const client = clientOf(last("client"));
  const isModules = latest !== undefined && text(latest) === "client";
  const isForged = isModules && proofsOf(stream) !== undefined && client.proof !== proofOf(id);
  const kind =
    latest === undefined || isElsewhere || isForged ? "none" : (text(latest) as "client" | "reply");
  return {
    stream,
    id,
    name,
    args: areInOrder ? args : [],
    collection: areInOrder ? (args[0]?.toString("latin1", 0, COLLECTION_BYTES_MAX) ?? "") : "",
    waiter: kind === "reply" ? { kind: "stream", key: fields[latest! + 1]! } : { kind },
    caller: isForged ? "" : callerOf(text(first ?? -1), text((first ?? -1) + 1)),
    user: isForged ? "stream clients" : client.user,
    at: at === undefined ? undefined : /^\d{1,15}$/.test(at) ? Number(at) : 0,
    after: after !== undefined && /^\d{1,20}-\d{1,20}$/.test(after) ? after : undefined,
    proof: Buffer.from(last("proof") ?? "", "latin1"),
    bytes: fields.reduce((sum, { length }) => sum + length, 0),
    isFaulty: name === "" || !areInOrder || isElsewhere || isForged,
  };
}

function callerOf(name: string, value: string): string {
  if (name === "") return "";
  if (name === "reply") return `stream ${value.slice(0, CALLER_BYTES_MAX)}`;
  return `client ${value.split(" ")[0]!.slice(0, CALLER_BYTES_MAX)}`;
}

/** `<id>`, `<id> <proof>` or `<id> <proof> <user>`. */
function clientOf(value: string | undefined): { proof: string; user: string } {
  if (value === undefined) return { proof: "", user: "stream clients" };
  const space = value.indexOf(" ");
  const rest = space < 0 ? "" : value.slice(space + 1);
  const isNamed = rest[proofDigits] === " ";
  const user = isNamed ? rest.slice(proofDigits + 1, proofDigits + 1 + CALLER_BYTES_MAX) : "default";
  return { proof: rest.slice(0, proofDigits), user };
}
