/**
 * Replies as RESP3 bytes (https://github.com/redis/redis-specifications/blob/master/protocol/RESP3.md). A reply is
 * written into one scratch buffer that grows as needed and is then copied out at its exact size; the replies of
 * most requests, nil and small integers, are encoded once. The buffers given out must not be changed. What is not RESP3
 * (`@`, `^`) is for the module: see PROTOCOL.md.
 */
import { Double, type Reply, type ReplyMap, Status, ValueOf, WithFields } from "./reply.ts";

const scratchBytes = 64 * 1024;
/** A larger scratch buffer is given back after the reply that needed it. */
const scratchBytesKept = 4 * 1024 * 1024;

const NIL = Buffer.from("_\r\n");
const smallIntegers = Array.from({ length: 256 }, (_, integer) => Buffer.from(`:${integer}\r\n`));

let scratch = Buffer.allocUnsafeSlow(scratchBytes);
let used = 0;

export function encodeReply(reply: Reply): Buffer {
  if (reply === null) return NIL;
  const ready = typeof reply === "number" ? smallIntegers[reply] : undefined;
  if (ready) return ready;
  used = 0;
  write(reply);
  return copyOut();
}

/** @param line "CODE message", without line breaks; see wire-error.ts */
export function encodeError(line: string): Buffer {
  return Buffer.from(`-${line}\r\n`);
}

function copyOut(): Buffer {
  const bytes = Buffer.from(scratch.subarray(0, used));
  if (scratch.length > scratchBytesKept) scratch = Buffer.allocUnsafeSlow(scratchBytes);
  return bytes;
}

function write(reply: Reply): void {
  if (reply === null) writeLine("_");
  else if (typeof reply === "number") writeLine(`:${reply}`);
  else if (typeof reply === "string") writeText(reply);
  else if (typeof reply === "boolean") writeLine(reply ? "#t" : "#f");
  else if (reply instanceof Uint8Array) writeBytes(reply);
  else if (reply instanceof Double) writeDouble(reply.value);
  else if (reply instanceof Status) writeLine(`+${reply.text}`);
  else if (reply instanceof Float32Array) writeDoubles(reply);
  else if (reply instanceof Map) writeMap(reply);
  else if (reply instanceof ValueOf) writeBytes(reply.key, "@");
  else if (reply instanceof WithFields) writeWithFields(reply);
  else writeArray(reply);
}

function writeArray(items: readonly Reply[]): void {
  writeLine(`*${items.length}`);
  for (const item of items) write(item);
}

function writeMap(map: ReplyMap): void {
  writeLine(`%${map.size}`);
  for (const [key, value] of map) {
    write(key);
    write(value);
  }
}

function writeWithFields({ fields, reply }: WithFields): void {
  writeLine(`^${fields.length}`);
  for (const field of fields) writeBytes(field);
  write(reply);
}

function writeDoubles(values: Float32Array): void {
  writeLine(`*${values.length}`);
  for (const value of values) writeDouble(value);
}

function writeDouble(value: number): void {
  writeLine(`,${doubleText(value)}`);
}

/** The shortest decimal that reads back as the same double. */
function doubleText(value: number): string {
  if (Number.isFinite(value)) return Object.is(value, -0) ? "-0" : String(value);
  if (Number.isNaN(value)) return "nan";
  return value > 0 ? "inf" : "-inf";
}

function writeText(text: string): void {
  const length = Buffer.byteLength(text);
  writeLine(`$${length}`);
  reserve(length + 2);
  used += scratch.write(text, used, "utf8");
  writeLineEnd();
}

function writeBytes(bytes: Uint8Array, type = "$"): void {
  writeLine(`${type}${bytes.length}`);
  reserve(bytes.length + 2);
  scratch.set(bytes, used);
  used += bytes.length;
  writeLineEnd();
}

/** A short ASCII line: a loop beats a call into the runtime. */
function writeLine(line: string): void {
  reserve(line.length + 2);
  for (let i = 0; i < line.length; i++) scratch[used++] = line.charCodeAt(i);
  writeLineEnd();
}

function writeLineEnd(): void {
  scratch[used++] = 0x0d;
  scratch[used++] = 0x0a;
}

function reserve(bytes: number): void {
  if (used + bytes <= scratch.length) return;
  const larger = Buffer.allocUnsafeSlow(Math.max(scratch.length * 2, used + bytes));
  scratch.copy(larger, 0, 0, used);
  scratch = larger;
}
