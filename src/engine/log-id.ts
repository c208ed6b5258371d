/**
 * Ids of log entries as text, `<milliseconds>-<sequence>`, both unsigned 64-bit decimals without leading zeros.
 * They are compared as text because a JavaScript number would round them.
 */

export const ID_PATTERN = /^\d{1,20}-\d{1,20}$/;
/** Below every id that a log can hold. */
export const FIRST_ID = "0-0";
const u64Max = 18_446_744_073_709_551_615n;

/** Negative, zero or positive, as for Array.sort. */
export function compareIds(a: string, b: string): number {
  // Of most, the parts are equally long, and nothing has to be taken apart.
  if (a.length === b.length && b[a.indexOf("-")] === "-") return a < b ? -1 : a > b ? 1 : 0;
  const [aTime, aSequence] = split(a);
  const [bTime, bSequence] = split(b);
  return compareDigits(aTime, bTime) || compareDigits(aSequence, bSequence);
}

/** The time that the id names, in milliseconds since 1970. */
export const millisecondsOf = (id: string): number => Number(split(id)[0]);

export function laterId(a: string, b: string): string {
  return compareIds(a, b) >= 0 ? a : b;
}

/** The smallest id above `id`. */
export function nextId(id: string): string {
  const [time, sequence] = split(id);
  const next = BigInt(sequence) + 1n;
  return next <= u64Max ? `${time}-${next}` : `${BigInt(time) + 1n}-0`;
}

function split(id: string): [string, string] {
  const dash = id.indexOf("-");
  return [id.slice(0, dash), id.slice(dash + 1)];
}

/** The longer number is the larger. */
function compareDigits(a: string, b: string): number {
  return a.length - b.length || (a < b ? -1 : a > b ? 1 : 0);
}
