/**
 * The buffers in which large values are joined. One is used again once its request has been applied: memory outside of
 * the heap counts as garbage to V8, which collects the sooner the more of it there is. Only a value that nothing refers
 * to any more may be given back.
 */

/** Values that are larger get a buffer that is not used again. */
const keptValueBytesMax = 1024 * 1024;
/** Of all buffers that wait for a value. */
const keptBytesMax = 4 * 1024 * 1024;
/** Values of about the same size share buffers. */
const stepBytes = 4 * 1024;

/** Of those that have a value now; one that is never given back goes with its value. */
const lent = new WeakSet<ArrayBufferLike>();
/** By their size. */
const waiting = new Map<number, ArrayBuffer[]>();
let waitingBytes = 0;

/** Room for a value of so many bytes. */
export function takeJoined(bytes: number): Buffer {
  const size = Math.ceil(bytes / stepBytes) * stepBytes;
  if (size > keptValueBytesMax) return Buffer.allocUnsafeSlow(bytes);
  let buffer = waiting.get(size)?.pop();
  if (buffer === undefined) buffer = new ArrayBuffer(size);
  else waitingBytes -= size;
  lent.add(buffer);
  return Buffer.from(buffer, 0, bytes);
}

/** Takes the buffer of a value back, if it is one of these. The value must not be read any more. */
export function giveBackJoined({ buffer }: Uint8Array): void {
  if (!lent.delete(buffer)) return;
  const size = buffer.byteLength;
  if (waitingBytes + size > keptBytesMax) return;
  waitingBytes += size;
  const same = waiting.get(size);
  if (same === undefined) waiting.set(size, [buffer as ArrayBuffer]);
  else same.push(buffer as ArrayBuffer);
}
