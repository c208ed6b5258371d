/**
 * Strict readers of numbers: the whole text must be one number as people write it. Number() alone would take
 * "", " 1", "0x10" and "1e3" for an integer, parseFloat "10abc".
 */
import { latin1 } from "./bytes.ts";

const integerText = /^(0|-?[1-9]\d{0,15})$/;
const decimalText = /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i;

/** The integer that the bytes spell, NaN when they spell none. */
export function readInteger(bytes: Uint8Array): number {
  const text = latin1(bytes);
  return integerText.test(text) ? Number(text) : Number.NaN;
}

/** The decimal number that the bytes spell (1e999 is Infinity), NaN when they spell none. */
export function readDouble(bytes: Uint8Array): number {
  const text = latin1(bytes);
  return decimalText.test(text) ? Number(text) : Number.NaN;
}
