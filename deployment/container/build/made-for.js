// What a startup snapshot belongs to: node reads it only with the build that wrote it, and ends where the two do not fit. The launcher
// compares what is written here before it chooses the snapshot (look_at of launcher/launcher.c).
import { closeSync, fstatSync, openSync, readSync, writeFileSync } from 'node:fs';

const endBytes = 4_096;

/** Size, first and last bytes of a file. */
function looksOf(path) {
  const file = openSync(path);
  try {
    const { size } = fstatSync(file);
    if (size < endBytes) throw new Error(`${path} has only ${size} bytes`);
    const looks = Buffer.alloc(8 + 2 * endBytes);
    looks.writeBigUInt64LE(BigInt(size));
    readSync(file, looks, 8, endBytes, 0);
    readSync(file, looks, 8 + endBytes, endBytes, size - endBytes);
    return looks;
  } finally {
    closeSync(file);
  }
}

/** Writes `BLOB.made-for`. */
export function writeMadeFor(blob, node) {
  writeFileSync(`${blob}.made-for`, Buffer.concat([looksOf(node), looksOf(blob)]));
}
