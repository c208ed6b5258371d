/**
 * Replies as RESP3 bytes (https://github.com/redis/redis-specifications/blob/master/protocol/RESP3.md). A reply is
 * written into a buffer that grows as needed and is then copied out at its exact size; the replies of
 * most requests, nil and small integers, are encoded once. The buffers given out must not be changed. What is not RESP3
 * (`@`, `^`) is for the module: see PROTOCOL.md.
 */

import type { KeyTable } from "../../engine/slots/key-table.ts";
import { TimeSlice } from "../../engine/time-slice.ts";
import { Double, type Reply, type ReplyMap, Status, ValueOf, WithFields } from "./reply.ts";

const scratchBytes = 64 * 1024;
/** A larger scratch buffer is freed after the reply that needed it. */
const scratchBytesKept = 4 * 1024 * 1024;

const ZERO = "0".charCodeAt(0);
const NIL = Buffer.from("_\r\n");
const smallIntegers = Array.from({ length: 256 }, (_, integer) => Buffer.from(`:${integer}\r\n`));

/** Elements that are encoded between two looks at the clock; a reply of fewer is encoded at once. */
const sliceElements = 512;

export function encodeReply(reply: Reply): Buffer {
  if (reply === null) return NIL;
  const ready = typeof reply === "number" ? smallIntegers[reply] : undefined;
  if (ready) return ready;
  shared.begin();
  shared.write(reply);
  return shared.take();
}

/** For a reply that is written as it is made; nothing else may be encoded meanwhile. */
export function encodeWith(write: (writer: Writer) => void): Buffer {
  shared.begin();
  write(shared);
  return shared.take();
}

/** What stands before the elements of an array. */
export function encodeHead(length: number): Buffer {
  return Buffer.from(`*${length}\r\n`);
}

/** @param line "CODE message", without line breaks; see wire-error.ts */
export function encodeError(line: string): Buffer {
  return Buffer.from(`-${line}\r\n`);
}

/** Whether encoding the reply at once would take a noticeable time. */
export function isLong(reply: Reply): boolean {
  return elementsOf(reply, sliceElements) >= sliceElements;
}

/** Bytes that are gathered, or copied, between two looks at the clock. */
const pieceBytes = 512 * 1024;

/** The same bytes as encodeReply(), a slice at a time. */
export async function encodeInSlices(reply: Reply): Promise<Buffer> {
  const writer = new Writer();
  const pieces: Buffer[] = [];
  const slice = new TimeSlice();
  /** Whether it is time to pause. */
  const isSpent = () => {
    if (writer.used >= pieceBytes) pieces.push(writer.take());
    return slice.spent;
  };
  const write = async (part: Reply): Promise<void> => {
    if (!isLong(part)) {
      writer.write(part);
      if (isSpent()) await slice.pause();
    } else if (part instanceof Float32Array) {
      writer.writeLine(`*${part.length}`);
      for (let at = 0; at < part.length; at += sliceElements) {
        writer.writeDoubles(part.subarray(at, at + sliceElements));
        if (isSpent()) await slice.pause();
      }
    } else if (part instanceof Map) {
      writer.writeLine(`%${part.size}`);
      for (const pair of part) for (const each of pair) await write(each);
    } else if (Array.isArray(part)) {
      writer.writeLine(`*${part.length}`);
      for (const each of part) await write(each);
    } else if (part instanceof WithFields) {
      writer.writeFields(part.fields);
      await write(part.reply);
    } else {
      writer.write(part);
      if (isSpent()) await slice.pause();
    }
  };
  await write(reply);
  return joined([...pieces, writer.take()], slice);
}

/** One buffer of them: to fill a large one takes longer than a turn of the event loop may. */
async function joined(pieces: readonly Buffer[], slice: TimeSlice): Promise<Buffer> {
  if (pieces.length === 1) return pieces[0]!;
  const all = Buffer.allocUnsafeSlow(pieces.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const piece of pieces) {
    at += piece.copy(all, at);
    if (slice.spent) await slice.pause();
  }
  return all;
}

/** How many elements a reply has, counted up to `max`; a long text counts as many, as it takes as long to encode. */
function elementsOf(reply: Reply, max: number): number {
  if (reply instanceof Uint8Array) return 1 + (reply.length >> 9);
  if (typeof reply === "string") return 1 + (reply.length >> 7);
  if (reply instanceof Float32Array) return reply.length;
  if (reply instanceof WithFields) return elementsOf(reply.reply, max);
  if (!(reply instanceof Map || Array.isArray(reply))) return 1;
  let elements = reply instanceof Map ? reply.size : reply.length;
  for (const part of reply instanceof Map ? reply.values() : reply) {
    if (elements >= max) return elements;
    elements += elementsOf(part, max);
  }
  return elements;
}

/** Gathers one reply. A class, because slices of two replies may be under way at the same time. */
export class Writer {
  #bytes = Buffer.allocUnsafeSlow(scratchBytes);
  #used = 0;

  begin(): void {
    this.#used = 0;
  }

  /** Bytes that were written since the last `take`. */
  get used(): number {
    return this.#used;
  }

  write(reply: Reply): void {
    if (reply === null) this.writeLine("_");
    else if (typeof reply === "number") this.writeLine(`:${reply}`);
    else if (typeof reply === "string") this.#writeText(reply);
    else if (typeof reply === "boolean") this.writeLine(reply ? "#t" : "#f");
    else if (reply instanceof Uint8Array) this.#writeBytes(reply);
    else if (reply instanceof Double) this.writeDouble(reply.value);
    else if (reply instanceof Status) this.writeLine(`+${reply.text}`);
    else if (reply instanceof Float32Array) this.#writeVector(reply);
    else if (reply instanceof Map) this.#writeMap(reply);
    else if (reply instanceof ValueOf) this.#writeBytes(reply.key, "@");
    else if (reply instanceof WithFields) this.#writeWithFields(reply);
    else this.#writeArray(reply);
  }

  /** A short ASCII line: a loop beats a call into the runtime. */
  writeLine(line: string): void {
    this.#reserve(line.length + 2);
    for (let i = 0; i < line.length; i++) this.#bytes[this.#used++] = line.charCodeAt(i);
    this.#writeLineEnd();
  }

  /** The line of an array or a text: its type and its length. */
  writeHead(type: "*" | "$", length: number): void {
    if (length > 9) {
      this.writeLine(`${type}${length}`);
      return;
    }
    this.#reserve(4);
    this.#bytes[this.#used++] = type.charCodeAt(0);
    this.#bytes[this.#used++] = ZERO + length;
    this.#writeLineEnd();
  }

  /** The key of a slot, as a text. */
  writeKey(keys: KeyTable, slot: number): void {
    const length = keys.lengthOf(slot);
    this.writeHead("$", length);
    this.#reserve(length + 2);
    this.#used = keys.copyKey(slot, this.#bytes, this.#used);
    this.#writeLineEnd();
  }

  /** What was written since the last time, at its exact size. */
  take(): Buffer {
    const isLarge = this.#bytes.length > scratchBytesKept;
    const used = this.#bytes.subarray(0, this.#used);
    const bytes = isLarge && 2 * this.#used > this.#bytes.length ? used : Buffer.from(used);
    if (isLarge) this.#bytes = Buffer.allocUnsafeSlow(scratchBytes);
    this.#used = 0;
    return bytes;
  }

  writeFields(fields: readonly Uint8Array[]): void {
    this.writeLine(`^${fields.length}`);
    for (const field of fields) this.#writeBytes(field);
  }

  #writeWithFields({ fields, reply }: WithFields): void {
    this.writeFields(fields);
    this.write(reply);
  }

  #writeArray(items: readonly Reply[]): void {
    this.writeLine(`*${items.length}`);
    for (const item of items) this.write(item);
  }

  #writeVector(values: Float32Array): void {
    this.writeLine(`*${values.length}`);
    this.writeDoubles(values);
  }

  #writeMap(map: ReplyMap): void {
    this.writeLine(`%${map.size}`);
    for (const [key, value] of map) {
      this.write(key);
      this.write(value);
    }
  }

  /** The elements of an array, without what stands before it. */
  writeDoubles(values: Float32Array): void {
    for (const value of values) this.writeDouble(value);
  }

  writeDouble(value: number): void {
    this.writeLine(`,${doubleText(value)}`);
  }

  #writeText(text: string): void {
    const length = Buffer.byteLength(text);
    this.writeLine(`$${length}`);
    this.#reserve(length + 2);
    this.#used += this.#bytes.write(text, this.#used, "utf8");
    this.#writeLineEnd();
  }

  #writeBytes(bytes: Uint8Array, type = "$"): void {
    this.writeLine(`${type}${bytes.length}`);
    this.#reserve(bytes.length + 2);
    this.#bytes.set(bytes, this.#used);
    this.#used += bytes.length;
    this.#writeLineEnd();
  }

  #writeLineEnd(): void {
    this.#bytes[this.#used++] = 0x0d;
    this.#bytes[this.#used++] = 0x0a;
  }

  #reserve(bytes: number): void {
    if (this.#used + bytes <= this.#bytes.length) return;
    const larger = Buffer.allocUnsafeSlow(Math.max(this.#bytes.length * 2, this.#used + bytes));
    this.#bytes.copy(larger, 0, 0, this.#used);
    this.#bytes = larger;
  }
}

/** For the replies that are written at once. */
const shared = new Writer();

/** The shortest decimal that reads back as the same double. */
function doubleText(value: number): string {
  if (Number.isFinite(value)) return Object.is(value, -0) ? "-0" : String(value);
  if (Number.isNaN(value)) return "nan";
  return value > 0 ? "inf" : "-inf";
}
