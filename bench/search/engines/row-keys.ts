/** Keys that name rows of the base vectors: four bytes, little-endian. */

export function keyOf(row: number): Buffer {
  const key = Buffer.alloc(4);
  key.writeUInt32LE(row);
  return key;
}

export function rowOf(key: Uint8Array): number {
  return (key[0]! | (key[1]! << 8) | (key[2]! << 16) | (key[3]! << 24)) >>> 0;
}
