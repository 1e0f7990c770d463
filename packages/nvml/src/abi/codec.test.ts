import { describe, expect, it } from 'vitest';
import { allocate, allocateStruct, readField, readText } from './codec.ts';
import { structs } from './structs.ts';

describe('allocateStruct', () => {
  it.each(Object.entries(structs).filter(([, layout]) => 'version' in layout))(
    'writes sizeof | revision << 24 into the version member of %s',
    (name, layout) => {
      const buffer = allocateStruct(name as keyof typeof structs);
      const version = buffer.readUInt32LE(0);
      expect(version & 0xff_ffff).toBe(layout.size);
      // The revision is the one in the type's name.
      expect(version >>> 24).toBe(Number(/_v(\d)_t$/.exec(name)?.[1]));
    },
  );

  it('leaves room behind the struct for a library that writes a longer one', () => {
    expect(allocateStruct('nvmlMemory_v2_t').length).toBeGreaterThanOrEqual(40 + 64);
    expect(allocate(4).length).toBeGreaterThanOrEqual(4 + 64);
  });
});

describe('readField', () => {
  it('reads 64-bit members as bigint, also small ones', () => {
    const buffer = allocateStruct('nvmlMemory_v2_t');
    buffer.writeBigUInt64LE(80n, structs.nvmlMemory_v2_t.fields.total.offset);
    expect(readField(buffer, 'nvmlMemory_v2_t', 'total')).toBe(80n);
  });

  it('reads signed members as signed', () => {
    const buffer = allocateStruct('nvmlMarginTemperature_v1_t');
    buffer.writeInt32LE(-5, 4);
    expect(readField(buffer, 'nvmlMarginTemperature_v1_t', 'marginTemperature')).toBe(-5);
  });

  it('reads the entries of an array at their stride', () => {
    const buffer = allocateStruct('nvmlFieldValue_t', 3);
    buffer.writeUInt32LE(82, 2 * 40);
    expect(readField(buffer, 'nvmlFieldValue_t', 'fieldId', 2)).toBe(82);
    expect(readField(buffer, 'nvmlFieldValue_t', 'fieldId', 1)).toBe(0);
  });
});

describe('readText', () => {
  it('ends at the first NUL, or at the end of the buffer when there is none', () => {
    expect(readText(Buffer.from('H100\0garbage'), 0, 12)).toBe('H100');
    expect(readText(Buffer.from('xxH100yy'), 2, 4)).toBe('H100');
    expect(readText(Buffer.from('\0'), 0, 1)).toBe('');
  });

  it('survives bytes that are no UTF-8', () => {
    expect(readText(Buffer.from([0xff, 0x41, 0]), 0, 3)).toBe('\ufffdA');
  });
});
