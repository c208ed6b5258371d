/** A command as Redis reads it, for a connection that ioredis does not write to. */

const CRLF = "\r\n";

/** The text between two blobs is written at once: each write is a call into the runtime. */
export function encodeCommand(words: readonly (string | Buffer)[]): Buffer {
  const parts: (string | Buffer)[] = [];
  let text = `*${words.length}${CRLF}`;
  let size = 0;
  for (const word of words) {
    text += `$${Buffer.byteLength(word)}${CRLF}`;
    if (typeof word === "string") {
      text += word + CRLF;
      continue;
    }
    parts.push(text, word);
    size += Buffer.byteLength(text) + word.length;
    text = CRLF;
  }
  const bytes = Buffer.allocUnsafe(size + Buffer.byteLength(text));
  let at = 0;
  for (const part of parts) at += typeof part === "string" ? bytes.write(part, at) : part.copy(bytes, at);
  bytes.write(text, at);
  return bytes;
}
