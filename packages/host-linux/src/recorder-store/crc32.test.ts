import { expect, test } from 'vitest';
import { crc32 } from './crc32.ts';

test('the check value of CRC-32/ISO-HDLC, whole and in parts', () => {
  // Source: RevEng catalogue of CRC algorithms, check value for "123456789".
  expect(crc32(Buffer.from('123456789'))).toBe(0xcbf43926);
  expect(crc32(Buffer.from('56789'), crc32(Buffer.from('1234')))).toBe(0xcbf43926);
  expect(crc32(Buffer.alloc(0))).toBe(0);
});

test('one flipped bit changes it', () => {
  const bytes = Buffer.alloc(1000, 7);
  const before = crc32(bytes);
  bytes[500] = 6;
  expect(crc32(bytes)).not.toBe(before);
});
