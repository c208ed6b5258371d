/**
 * Redis' glob patterns over bytes, as SCAN … MATCH has them: * ? [abc] [a-z] [^a] and \ before a literal. An
 * unclosed class ends with the pattern. A star is retried from its last position only, so that a hostile
 * pattern costs length x length and not 2 to the power of its stars.
 */

const STAR = 0x2a;
const QUESTION = 0x3f;
const OPEN = 0x5b;
const BACKSLASH = 0x5c;
const CLOSE = 0x5d;
const CARET = 0x5e;
const DASH = 0x2d;

export function globMatches(pattern: Uint8Array, text: Uint8Array): boolean {
  let at = 0;
  let position = 0;
  let afterStar = -1;
  let retry = 0;
  while (position < text.length) {
    if (pattern[at] === STAR) {
      afterStar = ++at;
      retry = position;
      continue;
    }
    const next = matchOne(pattern, at, text[position]!);
    if (next === undefined && afterStar < 0) return false;
    at = next ?? afterStar;
    position = next === undefined ? ++retry : position + 1;
  }
  while (pattern[at] === STAR) at++;
  return at === pattern.length;
}

/** Where the pattern goes on when its element at `at`, which is no star, matches the byte. */
function matchOne(pattern: Uint8Array, at: number, byte: number): number | undefined {
  const element = pattern[at];
  if (element === undefined) return undefined;
  if (element === QUESTION) return at + 1;
  if (element === OPEN) return matchClass(pattern, at + 1, byte);
  const literal = element === BACKSLASH && at + 1 < pattern.length ? at + 1 : at;
  return pattern[literal] === byte ? literal + 1 : undefined;
}

function matchClass(pattern: Uint8Array, start: number, byte: number): number | undefined {
  const negated = pattern[start] === CARET;
  let at = negated ? start + 1 : start;
  let found = false;
  while (at < pattern.length && pattern[at] !== CLOSE) {
    const [first, last, next] = classMember(pattern, at);
    found ||= byte >= Math.min(first, last) && byte <= Math.max(first, last);
    at = next;
  }
  return found === negated ? undefined : Math.min(at + 1, pattern.length);
}

/** First and last byte of one member of a class, and where the next one begins. */
function classMember(pattern: Uint8Array, at: number): [first: number, last: number, next: number] {
  const byte = pattern[at]!;
  const following = pattern[at + 1];
  if (byte === BACKSLASH && following !== undefined) return [following, following, at + 2];
  const last = following === DASH ? pattern[at + 2] : undefined;
  return last === undefined ? [byte, byte, at + 1] : [byte, last, at + 3];
}
