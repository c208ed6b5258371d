/**
 * The members of a JSON object, or the elements of an array, as the texts that they have there: JSON.parse would round
 * numbers of many digits.
 */

const quote = 0x22;
const backslash = 0x5c;
const opening = new Set([0x7b, 0x5b]);
const closing = new Set([0x7d, 0x5d]);
const comma = 0x2c;

/** @param text of a JSON object that has been parsed without an error */
export function members(text: string): Map<string, string> {
  const found = new Map<string, string>();
  let at = text.indexOf("{") + 1;
  for (;;) {
    const start = text.indexOf('"', at);
    if (start < 0) return found;
    const end = endOfText(text, start);
    const valueStart = text.indexOf(":", end) + 1;
    const valueEnd = endOfValue(text, valueStart);
    found.set(JSON.parse(text.slice(start, end)), text.slice(valueStart, valueEnd).trim());
    if (text.charCodeAt(valueEnd) !== comma) return found;
    at = valueEnd + 1;
  }
}

/** @param text of a JSON array that has no error */
export function elements(text: string): string[] {
  const found: string[] = [];
  for (let at = text.indexOf("[") + 1; ; ) {
    const end = endOfValue(text, at);
    const element = text.slice(at, end).trim();
    if (element !== "") found.push(element);
    if (text.charCodeAt(end) !== comma) return found;
    at = end + 1;
  }
}

/** Behind the quote that ends the text which begins at `start`. */
function endOfText(text: string, start: number): number {
  for (let at = start + 1; ; at++) {
    const code = text.charCodeAt(at);
    if (code === backslash) at++;
    else if (code === quote) return at + 1;
  }
}

/** At the comma or brace that follows the value. */
function endOfValue(text: string, start: number): number {
  for (let at = start, depth = 0; ; at++) {
    const code = text.charCodeAt(at);
    if (code === quote) at = endOfText(text, at) - 1;
    else if (opening.has(code)) depth++;
    else if (depth === 0 && (code === comma || closing.has(code))) return at;
    else if (closing.has(code)) depth--;
  }
}
