/**
 * Arguments are bytes. This file turns them into text: exactly, for parsing, and safely, for messages, where
 * bytes that a user sent must neither break the line protocol nor flood a log.
 */

/** Longest part of a user's argument that a message repeats. */
const echoBytesMax = 64;

const named: Readonly<Record<number, string>> = {
  7: "\\a",
  8: "\\b",
  9: "\\t",
  10: "\\n",
  13: "\\r",
  34: '\\"',
  39: "\\'",
  92: "\\\\",
};

/** One character per byte: numbers, names and tokens are read from it. */
export function latin1(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString("latin1");
}

/** The bytes as Redis prints them: printable ASCII as it is, the rest as \n, \xNN and the like. */
function escapeBytes(bytes: Uint8Array): string {
  let text = "";
  for (const byte of bytes) text += named[byte] ?? escapeByte(byte);
  return text;
}

function escapeByte(byte: number): string {
  if (byte >= 0x20 && byte < 0x7f) return String.fromCharCode(byte);
  return `\\x${byte.toString(16).padStart(2, "0")}`;
}

/** How a message shows an argument: a plain number as it is, anything else quoted, long ones shortened. */
export function echo(bytes: Uint8Array): string {
  if (bytes.length > echoBytesMax) {
    return `'${escapeBytes(bytes.subarray(0, echoBytesMax))}...' (${bytes.length} bytes)`;
  }
  const text = escapeBytes(bytes);
  return /^-?\d+(\.\d+)?$/.test(text) ? text : `'${text}'`;
}
