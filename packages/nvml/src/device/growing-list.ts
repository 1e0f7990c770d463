import { allocate } from '../abi/codec.ts';
import { rc } from '../abi/constants.ts';
import { missing } from '../decode/values.ts';

const maxAttempts = 5;
const maxEntries = 65_536;

export type GrowingList =
  | { readonly buffer: Buffer; readonly count: number }
  | { readonly code: number }
  | ReturnType<typeof missing>;

/** A list whose length is known only afterwards, and which may have grown meanwhile. */
export function readGrowing(
  name: string,
  capacity: number,
  stride: number,
  call: (count: Buffer, buffer: Buffer) => number,
): GrowingList {
  let room = capacity;
  for (let attempt = 0; attempt < maxAttempts; attempt += 1) {
    const count = allocate(4);
    count.writeUInt32LE(room);
    const buffer = allocate(room * stride);
    const code = call(count, buffer);
    const filled = count.readUInt32LE(0);
    if (code === rc.success) {
      if (filled <= room) return { buffer, count: filled };
      return missing('error', `${name}: ${filled} entries in room for ${room}`);
    }
    if (code !== rc.insufficientSize) return { code };
    room = Math.min(Math.max(room, filled) * 2 + 5, maxEntries);
  }
  return missing('error', `${name}: the list keeps growing`);
}
