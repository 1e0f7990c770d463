// CRC-32 as of zlib and IEEE 802.3 (reflected, polynomial 0xEDB88320). node:zlib has it from 22.2 on; this runs on 20 too.
const table = Uint32Array.from({ length: 256 }, (_, byte) => {
  let value = byte;
  for (let bit = 0; bit < 8; bit += 1) value = value & 1 ? (value >>> 1) ^ 0xedb88320 : value >>> 1;
  return value;
});

/** Of bytes, or of bytes that follow those whose checksum is `previous`. An unsigned 32-bit number. */
export function crc32(bytes: Uint8Array, previous = 0): number {
  let value = ~previous;
  for (let index = 0; index < bytes.length; index += 1) {
    value = (value >>> 8) ^ (table[(value ^ (bytes[index] ?? 0)) & 0xff] ?? 0);
  }
  return ~value >>> 0;
}
