/**
 * Decodes the replies of XREAD, as they come in pieces, into requests. The reply has one shape, so its tokens are known
 * by their place:
 *
 *   *streams ( *2 $stream *entries ( *2 $id *fields ( $name $value )… )… )…
 *
 * No value is copied that lies in one piece, and no object is made for what a request does not keep. A large value that
 * lies in several pieces is joined as they arrive: to copy the 64 MiB of an argument takes nearly as long as a turn of
 * the event loop may.
 */
import type { Proofs } from "../proofs.ts";
import { EntryDecoder, type Request } from "../request.ts";
import { takeJoined } from "./joined-values.ts";

/** What one stream has brought, oldest first. */
export interface StreamRequests {
  readonly stream: string;
  readonly requests: readonly Request[];
}

/** What the `client` of an entry is proven by, in each stream where it has to be. */
export type ProofsOf = (stream: string) => Proofs | undefined;

/** A value of this size is joined piece by piece. Of smaller tokens the begun one is put before the next piece. */
const joinedBytesMin = 4 * 1024;
/** No value or number of a reply is larger: Redis' own limit of a value. */
const sizeMax = 512 * 1024 * 1024;

const [CR, LF, BULK, ARRAY, MINUS, ZERO, NINE] = [0x0d, 0x0a, 0x24, 0x2a, 0x2d, 0x30, 0x39];
const CRLF_BYTES = 2;

/** The token that comes next. */
type Token = "streams" | "stream" | "stream name" | "entries" | "entry" | "id" | "fields" | "name" | "value";

export class XreadDecoder {
  readonly #proofsOf: ProofsOf;
  readonly #entry = new EntryDecoder();
  #next: Token = "streams";
  /** Of each kind, how many are still to come, with the one that has begun. */
  #streams = 0;
  #entries = 0;
  #fields = 0;
  #stream = "";
  #proofs: Proofs | undefined;
  #id = "";
  #requests: Request[] = [];
  #read: StreamRequests[] = [];
  #isWhole = false;
  #readAt = 0;
  /** A token that has begun. */
  #begun: Buffer | undefined;
  /** A large value with its line's end, and how much of it has come. */
  #value: Buffer | undefined;
  #valueBytes = 0;

  constructor(proofsOf: ProofsOf) {
    this.#proofsOf = proofsOf;
  }

  /** What the whole reply has brought; the next one may come. */
  take(): readonly StreamRequests[] {
    const read = this.#read;
    this.#read = [];
    this.#isWhole = false;
    this.#next = "streams";
    return read;
  }

  /**
   * @returns the bytes after the reply; undefined while it goes on
   * @throws Error when it is no reply of XREAD
   */
  write(piece: Buffer): Buffer | undefined {
    this.#readAt = performance.now();
    if (this.#value !== undefined) return this.#join(this.#value, piece);
    const bytes = this.#begun === undefined ? piece : Buffer.concat([this.#begun, piece]);
    this.#begun = undefined;
    return this.#decode(bytes, 0);
  }

  #join(value: Buffer, piece: Buffer): Buffer | undefined {
    const copied = piece.copy(value, this.#valueBytes);
    this.#valueBytes += copied;
    if (this.#valueBytes < value.length) return undefined;
    this.#value = undefined;
    this.#takeValue(value, 0, value.length - CRLF_BYTES);
    return this.#decode(piece, copied);
  }

  #decode(bytes: Buffer, start: number): Buffer | undefined {
    const { length } = bytes;
    let token = start;
    while (!this.#isWhole) {
      let [at, size] = [token + 1, 0];
      const isNil = at < length && bytes[at] === MINUS;
      if (isNil) at++;
      for (; at < length; at++) {
        const byte = bytes[at]!;
        if (byte < ZERO || byte > NINE) break;
        size = size * 10 + byte - ZERO;
      }
      if (at + 1 >= length) return this.#keep(bytes, token);
      const kind = bytes[token];
      if (bytes[at] !== CR || bytes[at + 1] !== LF || size > sizeMax) throw malformed();
      at += CRLF_BYTES;
      if (kind === ARRAY) {
        this.#takeCount(isNil ? 0 : size);
        token = at;
        continue;
      }
      if (kind !== BULK || isNil) throw malformed();
      const end = at + size;
      if (end + CRLF_BYTES > length)
        return size < joinedBytesMin ? this.#keep(bytes, token) : this.#begin(bytes, at, size);
      this.#takeValue(bytes, at, end);
      token = end + CRLF_BYTES;
    }
    return bytes.subarray(token);
  }

  #keep(bytes: Buffer, token: number): undefined {
    this.#begun = bytes.subarray(token);
  }

  #begin(bytes: Buffer, start: number, size: number): undefined {
    this.#value = takeJoined(size + CRLF_BYTES);
    this.#valueBytes = bytes.copy(this.#value, 0, start);
  }

  #takeCount(count: number): void {
    switch (this.#next) {
      case "streams":
        this.#streams = count;
        this.#next = "stream";
        this.#isWhole = count === 0;
        return;
      case "stream":
        this.#next = "stream name";
        return;
      case "entries":
        this.#entries = count;
        this.#next = "entry";
        if (count === 0) this.#endStream();
        return;
      case "entry":
        this.#next = "id";
        return;
      case "fields":
        this.#fields = count;
        this.#next = "name";
        this.#entry.begin();
        if (count === 0) this.#endEntry();
        return;
      default:
        throw malformed();
    }
  }

  #takeValue(bytes: Buffer, start: number, end: number): void {
    switch (this.#next) {
      case "name":
        this.#entry.name(bytes, start, end);
        this.#next = "value";
        return;
      case "value":
        this.#entry.value(bytes, start, end);
        this.#next = "name";
        this.#fields -= 2;
        if (this.#fields <= 0) this.#endEntry();
        return;
      case "id":
        this.#id = bytes.toString("latin1", start, end);
        this.#next = "fields";
        return;
      case "stream name":
        this.#stream = bytes.toString("utf8", start, end);
        this.#proofs = this.#proofsOf(this.#stream);
        this.#requests = [];
        this.#next = "entries";
        return;
      default:
        throw malformed();
    }
  }

  #endEntry(): void {
    this.#requests.push(this.#entry.end(this.#stream, this.#id, this.#readAt, this.#proofs));
    this.#next = "entry";
    if (--this.#entries === 0) this.#endStream();
  }

  #endStream(): void {
    this.#read.push({ stream: this.#stream, requests: this.#requests });
    this.#next = "stream";
    this.#isWhole = --this.#streams === 0;
  }
}

function malformed(): Error {
  return new Error("Redis has answered XREAD with something else");
}
