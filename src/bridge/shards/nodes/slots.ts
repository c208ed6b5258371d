/** Redis Cluster's hash slots: CRC-16 (XMODEM) of a name's hash tag, or of all of it, modulo 16,384. */
export const slotCount = 16_384;

const table = Uint16Array.from({ length: 256 }, (_, byte) => {
  let crc = byte << 8;
  for (let bit = 0; bit < 8; bit++) crc = (crc & 0x8000) === 0 ? crc << 1 : (crc << 1) ^ 0x1021;
  return crc;
});

export function crc16(bytes: Uint8Array): number {
  let crc = 0;
  for (const byte of bytes) crc = ((crc << 8) & 0xffff) ^ table[(crc >>> 8) ^ byte]!;
  return crc;
}

export function slotOf(name: string): number {
  const open = name.indexOf("{");
  const close = open < 0 ? -1 : name.indexOf("}", open + 1);
  const tag = close > open + 1 ? name.slice(open + 1, close) : name;
  return crc16(Buffer.from(tag, "latin1")) % slotCount;
}
