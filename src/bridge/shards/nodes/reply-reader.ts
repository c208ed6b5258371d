/**
 * Finds where one reply in RESP2 ends, as its bytes come in pieces. It decodes nothing: the reply is read where it is
 * used, and only as far as it is.
 */
const [CR, ARRAY, BULK, MINUS, ZERO] = [0x0d, 0x2a, 0x24, 0x2d, 0x30];
const CRLF_BYTES = 2;

export class ReplyReader {
  /** What has come of the reply, at the beginning of a room that doubles: joined each time, pieces would cost n². */
  #room: Buffer = Buffer.alloc(0);
  #length = 0;
  /** Where the next element begins. */
  #at = 0;
  /** Elements that are still to come. */
  #left = 1;

  /** @returns the reply, once it is whole; the node sends nothing behind it */
  write(piece: Buffer): Buffer | undefined {
    const bytes = this.#joined(piece);
    while (this.#left > 0) {
      const [kind, lineEnd] = [bytes[this.#at], bytes.indexOf(CR, this.#at)];
      if (lineEnd < 0 || lineEnd + 1 >= bytes.length) return undefined;
      let end = lineEnd + CRLF_BYTES;
      const size = kind === ARRAY || kind === BULK ? sizeOf(bytes, this.#at + 1, lineEnd) : -1;
      if (kind === BULK && size >= 0) end += size + CRLF_BYTES;
      if (end > bytes.length) return undefined;
      this.#left += kind === ARRAY && size > 0 ? size - 1 : -1;
      this.#at = end;
    }
    return bytes;
  }

  #joined(piece: Buffer): Buffer {
    const length = this.#length + piece.length;
    if (this.#length === 0) this.#room = piece;
    else {
      if (length > this.#room.length)
        this.#room = Buffer.concat([this.#room.subarray(0, this.#length)], 2 * length);
      piece.copy(this.#room, this.#length);
    }
    this.#length = length;
    return this.#room.subarray(0, length);
  }
}

/** -1 where there is no value. */
function sizeOf(bytes: Buffer, start: number, end: number): number {
  if (bytes[start] === MINUS) return -1;
  let size = 0;
  for (let at = start; at < end; at++) size = size * 10 + bytes[at]! - ZERO;
  return size;
}
