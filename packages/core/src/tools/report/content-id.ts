const offsetBasis = 0xcbf29ce484222325n;
const prime = 0x100000001b3n;
const mask = 0xffffffffffffffffn;

/** A name for a text: `rep-` and 16 hexadecimal digits, the same for the same text. FNV-1a, 64 bits: it names, it does not protect. */
export function contentId(text: string): string {
  let hash = offsetBasis;
  for (let index = 0; index < text.length; index++) {
    hash = ((hash ^ BigInt(text.charCodeAt(index))) * prime) & mask;
  }
  return `rep-${hash.toString(16).padStart(16, '0')}`;
}
