import { describe, expect, it } from 'vitest';
import { allocate, allocateStruct, outValue, readField, readText, writeU32 } from './codec.ts';
import { fieldIds } from './constants.ts';
import { nvlinkFieldIds, nvlinkSpeedIdsByLink } from './link-constants.ts';
import { structs } from './structs.ts';

describe('allocateStruct', () => {
  const versioned = Object.entries(structs).filter(([, layout]) => 'version' in layout);
  const plain = ['nvmlGpmSupport_t', 'nvmlGpmMetricsGet_t'];

  it.each(versioned.filter(([name]) => !plain.includes(name)))(
    'writes sizeof | revision << 24 into the version member of %s',
    (name, layout) => {
      const buffer = allocateStruct(name as keyof typeof structs);
      const version = buffer.readUInt32LE(0);
      expect(version & 0xff_ffff).toBe(layout.size);
      // The revision is the one in the type's name.
      expect(version >>> 24).toBe(Number(/_v(\d)_t$/.exec(name)?.[1]));
    },
  );

  it('writes the plain revision into the GPM structs, which want it so', () => {
    expect(versioned.map(([name]) => name).filter((name) => !/_v\d_t$/.test(name))).toEqual(plain);
    expect(allocateStruct('nvmlGpmSupport_t').readUInt32LE(0)).toBe(1);
    expect(allocateStruct('nvmlGpmMetricsGet_t').readUInt32LE(0)).toBe(1);
  });

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

describe('writeU32', () => {
  it('writes a member of an entry, and nothing that is not one', () => {
    const buffer = allocateStruct('nvmlFieldValue_t', 2);
    writeU32(buffer, 'nvmlFieldValue_t', 'scopeId', 7, 1);
    expect(buffer.readUInt32LE(40 + 4)).toBe(7);
    expect(() => writeU32(buffer, 'nvmlFieldValue_t', 'value', 7)).toThrow('no 32-bit member');
  });
});

describe('members of other kinds', () => {
  it('reads floats, single bytes and runs of bytes', () => {
    const metric = allocateStruct('nvmlGpmMetric_t');
    metric.writeDoubleLE(12.5, 8);
    expect(readField(metric, 'nvmlGpmMetric_t', 'value')).toBe(12.5);
    const platform = allocateStruct('nvmlPlatformInfo_v2_t');
    platform.writeUInt8(200, 36);
    platform.write('AB', 20);
    expect(readField(platform, 'nvmlPlatformInfo_v2_t', 'slotNumber')).toBe(200);
    expect(readField(platform, 'nvmlPlatformInfo_v2_t', 'chassisSerialNumber')).toHaveLength(16);
    expect(readField(platform, 'nvmlPlatformInfo_v2_t', 'chassisSerialNumber')[1]).toBe(0x42);
  });
});

describe('memory for what a call writes', () => {
  it('is zeroed, on a word of its own, and shared with nothing else, however much of it is made', () => {
    const made = Array.from({ length: 2_000 }, (_, position) => allocate(1 + (position % 300)));
    for (const buffer of made) {
      expect(buffer.every((byte) => byte === 0)).toBe(true);
      expect(buffer.byteOffset % 8).toBe(0);
      buffer.fill(0xff);
    }
    expect(allocate(100_000)).toHaveLength(100_064);
  });

  it('of one value is zeroed each time, and there are two of it', () => {
    outValue(0).fill(0xff, 0, 8);
    outValue(1).writeUInt32LE(7);
    expect(outValue(0).readBigUInt64LE()).toBe(0n);
    expect(outValue(1).readBigUInt64LE()).toBe(0n);
    expect(
      outValue(0).buffer === outValue(1).buffer && outValue(0).byteOffset === outValue(1).byteOffset,
    ).toBe(false);
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

describe('field ids', () => {
  it('are never those that mean something else on another driver', () => {
    const used: readonly number[] = [
      ...Object.values(fieldIds),
      ...Object.values(nvlinkFieldIds),
      ...nvlinkSpeedIdsByLink,
    ];
    expect(used.length).toBeGreaterThan(40);
    // Renumbered in NVML 12.5 and 12.8 (199, 200), and in 12.9 and 13.1 (251 to 273).
    expect(used.filter((id) => id === 199 || id === 200 || (id >= 251 && id <= 273))).toEqual([]);
  });
});
