/** A command as Redis reads it, for a connection that ioredis does not write to. */

const CRLF = "\r\n";

export function encodeCommand(words: readonly (string | Buffer)[]): Buffer {
  const heads = words.map((word) => `$${Buffer.byteLength(word)}${CRLF}`);
  const first = `*${words.length}${CRLF}`;
  let size = first.length;
  for (const [i, word] of words.entries()) size += heads[i]!.length + Buffer.byteLength(word) + CRLF.length;
  const bytes = Buffer.allocUnsafe(size);
  let at = bytes.write(first, "latin1");
  for (const [i, word] of words.entries()) {
    at += bytes.write(heads[i]!, at, "latin1");
    at += typeof word === "string" ? bytes.write(word, at) : word.copy(bytes, at);
    at += bytes.write(CRLF, at, "latin1");
  }
  return bytes;
}
