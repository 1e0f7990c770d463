import { type FieldLayout, type FieldName, type StructName, structs } from './structs.ts';

/** Library writes past the size we know of (a newer driver's longer struct) must not reach other memory. */
const slackBytes = 64;

/** Zeroed memory for one struct (or `count` of them in a row), its version member filled in. */
export function allocateStruct(name: StructName, count = 1): Buffer {
  const layout = structs[name];
  const buffer = allocate(layout.size * count);
  if ('version' in layout) buffer.writeUInt32LE(layout.version, layout.fields.version.offset);
  return buffer;
}

/** Zeroed. Small ones are cut from a block: a snapshot makes hundreds of them. */
export function allocate(size: number): Buffer {
  const bytes = size + slackBytes;
  if (bytes > blockBytes / 8) return Buffer.alloc(bytes);
  if (usedBytes + bytes > blockBytes) {
    block = Buffer.alloc(blockBytes);
    usedBytes = 0;
  }
  const start = usedBytes;
  // The next one begins on a word of its own.
  usedBytes += Math.ceil(bytes / 8) * 8;
  return block.subarray(start, start + bytes);
}
const blockBytes = 16 * 1024;
let block = Buffer.alloc(0);
let usedBytes = blockBytes;

/** Out values that are read before the next call is made: always the same memory, zeroed. */
const outValues = [Buffer.alloc(8 + slackBytes), Buffer.alloc(8 + slackBytes)] as const;
export function outValue(position: 0 | 1 = 0): Buffer {
  const out = outValues[position];
  out.writeDoubleLE(0);
  return out;
}

type FieldTypeOf<
  Name extends StructName,
  Field extends FieldName<Name>,
> = (typeof structs)[Name]['fields'][Field] extends { readonly type: infer Type } ? Type : never;
/** How a member reads. */
export type MemberValue<Name extends StructName, Field extends FieldName<Name>> = DecodedField<
  FieldTypeOf<Name, Field>
>;
type DecodedField<Type> = Type extends 'text'
  ? string
  : Type extends 'bytes'
    ? Buffer
    : Type extends 'u64' | 'i64' | 'address'
      ? bigint
      : number;

/** One member of one struct. 64-bit members are always bigint, never "number when it happens to fit". */
export function readField<Name extends StructName, Field extends FieldName<Name>>(
  buffer: Buffer,
  name: Name,
  field: Field,
  position = 0,
): MemberValue<Name, Field> {
  const struct = structs[name];
  const layout = (struct.fields as Readonly<Record<string, FieldLayout>>)[field];
  if (!layout) throw new TypeError(`${name} has no member ${field}`);
  const at = struct.size * position + layout.offset;
  return decodeMember(buffer, layout, at) as MemberValue<Name, Field>;
}

/** Fills in an input member of 32 bits. */
export function writeU32<Name extends StructName>(
  buffer: Buffer,
  name: Name,
  field: FieldName<Name>,
  value: number,
  position = 0,
): void {
  const struct = structs[name];
  const layout = (struct.fields as Readonly<Record<string, FieldLayout>>)[field];
  if (layout?.type !== 'u32') throw new TypeError(`${name} has no 32-bit member ${field}`);
  buffer.writeUInt32LE(value, struct.size * position + layout.offset);
}

function decodeMember(buffer: Buffer, layout: FieldLayout, at: number): string | number | bigint | Buffer {
  switch (layout.type) {
    case 'u8':
      return buffer.readUInt8(at);
    case 'u32':
      return buffer.readUInt32LE(at);
    case 'i32':
      return buffer.readInt32LE(at);
    case 'f64':
      return buffer.readDoubleLE(at);
    case 'u64':
    case 'address':
      return buffer.readBigUInt64LE(at);
    case 'i64':
      return buffer.readBigInt64LE(at);
    case 'text':
      return readText(buffer, at, layout.length);
    case 'bytes':
      return buffer.subarray(at, at + layout.length);
  }
}

/** A C string: up to the first NUL or the end of its buffer. */
export function readText(buffer: Buffer, offset: number, length: number): string {
  const bytes = buffer.subarray(offset, offset + length);
  const end = bytes.indexOf(0);
  return bytes.toString('utf8', 0, end < 0 ? bytes.length : end);
}
