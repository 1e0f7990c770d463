import { describe, expect, test } from 'vitest';
import { readNvlink5Facts } from '../../fixtures/kernel-log/read.ts';
import { decodeXidDetail } from './decode.ts';
import { readNvlinkRegisters } from './nvlink-registers.ts';
import { matchNvlink5 } from './nvlink5-rules.ts';
import { recoveryMeanings } from './recovery-actions.ts';
import { bucketActions, type VendorBucket } from './vendor-buckets.ts';

const facts = readNvlink5Facts();
const bucketOf = (published: string): VendorBucket => {
  const name = Object.keys(bucketActions).find((bucket) => bucket === published);
  if (!name) throw new RangeError(`no bucket ${published}`);
  return name as VendorBucket;
};
const hex8 = (value: number) => `0x${value.toString(16).padStart(8, '0')}`;

describe('NVLink 5 (144 to 150)', () => {
  const cases = facts.rules.flatMap((rule) =>
    (['intrInfoV1', 'intrInfoV2'] as const).flatMap((layout) =>
      rule.unit.flatMap((unit) => {
        const statuses = rule.errorStatus === null ? [0, 7] : [rule.errorStatus].flat();
        return statuses.map((status) => ({ rule, layout, unit, status }));
      }),
    ),
  );

  test('the published table has 95 rules', () => expect(facts.rules).toHaveLength(95));

  test.each(cases)('$rule.xid $unit $status ($layout)', ({ rule, layout, unit, status }) => {
    // Bits that the pattern leaves open are taken as zero.
    const intrInfo = Number.parseInt(rule[layout].replaceAll('-', '0'), 2);
    const printed = rule.severity.startsWith('Non') ? 'Nonfatal' : 'Fatal';
    const detail = `${unit} ${printed.padEnd(8)} XC0 i0 Link 03 (${hex8(intrInfo)} ${hex8(status)} 0x00000000 0x00000000)`;
    const told = decodeXidDetail(rule.xid, detail);
    expect(told?.link).toBe(3);
    expect(told?.action).toBe(bucketActions[bucketOf(rule.action)]);
    expect(told?.decoded).toMatchObject({ unit, linkDownReason: (intrInfo >>> 20) & 0x3f });
    if (rule.severity.startsWith('Non')) expect(['warning', 'info']).toContain(told?.severity);
    else if (rule.action !== 'IGNORE') expect(['fatal', 'critical']).toContain(told?.severity);
  });

  test.each(facts.vectors)('vector $printedUnit $intrInfo', (vector) => {
    const link = vector.link < 0 ? '-1' : String(vector.link).padStart(2, '0');
    const detail = `${vector.printedUnit}  ${vector.printedSeverity} XC0 i0 Link ${link} (${vector.intrInfo} ${vector.errorStatus} 0x00000000)`;
    const told = decodeXidDetail(vector.xid, detail);
    const [published] = vector.decode;
    expect(told?.action).toBe(bucketActions[bucketOf(published?.action ?? '')]);
    expect(told?.link).toBe(vector.link < 0 ? undefined : vector.link);
    expect(told?.decoded).toMatchObject({
      subcodeV1: vector.subcodeV1,
      subcodeV2: vector.subcodeV2,
      linkDownReason: vector.bits25_20,
    });
    expect(String(told?.decoded?.['layout']).split('/')).toContain(published?.version);
  });

  test('open bits do not matter, fixed bits do', () => {
    const rule = facts.rules.find((each) => each.xid === 149 && each.severity.startsWith('Link'));
    if (!rule) throw new RangeError('no link rule');
    const [unit = ''] = rule.unit;
    const open = Number.parseInt(rule.intrInfoV1.replaceAll('-', '1'), 2);
    const wrong = (Number.parseInt(rule.intrInfoV1.replaceAll('-', '0'), 2) ^ 0x200) >>> 0;
    expect(matchNvlink5(149, unit, open, 0)?.layouts).toContain('V1');
    expect(matchNvlink5(149, unit, wrong, 0)).toBeUndefined();
  });

  test('without a rule the printed word decides, and the number gives no action', () => {
    expect(decodeXidDetail(145, 'RLW_REMAP Fatal   XC1 i0 Link 10 (0xffffffff 0x1)')).toMatchObject({
      severity: 'critical',
      link: 10,
    });
    const cut = decodeXidDetail(145, 'RLW_REMAP Nonfatal XC1 i0 Link 10 ');
    expect(cut).toMatchObject({ severity: 'warning', decoded: { unit: 'RLW_REMAP' } });
    expect(cut).not.toHaveProperty('action');
  });

  test('155 has the shape, and no rule', () => {
    const told = decodeXidDetail(
      155,
      'NVLINK_SW_DEFINED_ERROR  Fatal   XC0 i0 Link 00 : Link Down While Active.',
    );
    expect(told).toEqual({
      link: 0,
      decoded: { unit: 'NVLINK_SW_DEFINED_ERROR', printedSeverity: 'fatal' },
    });
  });
});

describe('74: register words', () => {
  const bits = Object.entries(facts.xid74).flatMap(([word, groups]) =>
    Object.entries(groups).flatMap(([meaning, list]) =>
      list.map((bit) => ({ word: Number(word.slice(4)), bit, meaning })),
    ),
  );

  test.each(bits)('word $word bit $bit: $meaning', ({ word, bit, meaning }) => {
    const words = [0, 0, 0, 0, 0, 0, 0];
    words[word - 1] = 2 ** bit;
    const reading = readNvlinkRegisters(words);
    expect(reading?.findings).toHaveLength(1);
    expect(reading?.findings[0]).not.toContain('=report=');
    const isHarmless = /^ignore|^secondary$|eccThresholdOnly/.test(meaning);
    expect(reading?.severity === 'info').toBe(isHarmless);
    if (meaning.startsWith('possibleHardware')) expect(reading?.action).toBe('check-mechanicals');
    if (meaning.includes('fabric reset')) expect(reading?.action).toBe('reset-gpu');
    if (meaning.startsWith('ecc')) expect(reading?.action).not.toBe('none');
  });

  test('a bit without a published meaning is for support', () => {
    expect(readNvlinkRegisters([4, 0, 0, 0, 0, 0, 0])).toMatchObject({
      findings: ['1.2=report'],
      action: 'contact-support',
    });
  });

  test('the worst bit decides; words without a meaning say nothing', () => {
    expect(readNvlinkRegisters([2 ** 0 + 2 ** 28, 0, 0, 0, 0, 0, 0])).toMatchObject({
      severity: 'critical',
      action: 'check-mechanicals',
    });
    expect(readNvlinkRegisters([0, 0xffff, 0, 0, 0, 1, 1])).toBeUndefined();
    expect(readNvlinkRegisters([2 ** 31, 0, 0, 0, 0, 0, 0])?.findings).toEqual(['1.31=report']);
  });

  test('the line', () => {
    const told = decodeXidDetail(
      74,
      'NVLink: fatal error detected on link 8(0x0, 0x0, 0x10000, 0x0, 0x0, 0x0, 0x0)',
    );
    expect(told).toEqual({
      link: 8,
      decoded: {
        registers: [0, 0, 0x10000, 0, 0, 0, 0],
        registerFindings: '3.16=field-diagnostic-when-repeated',
      },
      severity: 'warning',
      action: 'monitor',
    });
    expect(decodeXidDetail(74, 'NVLink: fatal error detected on link 2')).toEqual({ link: 2 });
    expect(decodeXidDetail(74, 'NVLink: failed to train link 5 to remote PCI:0000:3B:00')).toEqual({
      link: 5,
      decoded: { remotePciAddress: '0000:3b:00' },
    });
  });
});

describe('154: recovery action', () => {
  const wanted = { 0: 'none', 1: 'reset-gpu', 2: 'reboot-node', 4: 'reset-gpu', 5: 'restart-service' };
  const cases = Object.entries(facts.xid154).flatMap(([value, { texts }]) =>
    texts.map((text) => ({ value: Number(value), text })),
  );

  test.each(cases)('to 0x$value ($text)', ({ value, text }) => {
    const told = decodeXidDetail(
      154,
      `GPU recovery action changed from 0x3 (Drain P2P) to 0x${value} (${text})`,
    );
    expect(told?.decoded).toMatchObject({ recoveryFrom: 3, recoveryTo: value });
    expect(told?.action).toBe(recoveryMeanings[value]?.action);
    const action = Object.entries(wanted).find(([key]) => Number(key) === value)?.[1];
    if (action) expect(told?.action).toBe(action);
  });

  test('the number counts, not the text', () => {
    const told = decodeXidDetail(
      154,
      'GPU recovery action changed from 0x0 (None) to 0x2 (GPU Reset Required)',
    );
    expect(told).toMatchObject({ action: 'reboot-node', severity: 'fatal' });
  });

  test('a number nobody published asks for nothing disruptive', () => {
    const told = decodeXidDetail(154, 'GPU recovery action changed from 0x0 (None) to 0x63 (New)');
    expect(told).toMatchObject({ action: 'monitor', decoded: { recoveryAction: null, recoveryTo: 0x63 } });
  });
});

describe('other numbers', () => {
  test.each([
    [
      13,
      'Graphics SM Warp Exception on (GPC 7, TPC 6, SM 1): Illegal Instruction Parameter',
      { exception: 'sm-warp', gpc: 7, tpc: 6, sm: 1, reason: 'Illegal Instruction Parameter' },
    ],
    [
      13,
      'Graphics SM Global Exception on (GPC 0, TPC 2): Physical Multiple Warp Errors',
      { exception: 'sm-global', gpc: 0, tpc: 2, reason: 'Physical Multiple Warp Errors' },
    ],
    [
      13,
      'Graphics Exception: ESR 0x57c730=0xc04000b 0x57c734=0x24',
      { exception: 'esr', register: '0x57c730', value: '0xc04000b' },
    ],
    [
      13,
      'Graphics Exception: ChID 000c, Class 0000cbc0, Offset 00000000, Data 0000001f',
      { exception: 'class', channel: 12, class: '0xcbc0', offset: '0x0', data: '0x1f' },
    ],
    [
      31,
      'Ch 0000003a, intr 10000000. MMU Fault: ENGINE GRAPHICS GPCCLIENT_T1_3 faulted @ 0x17_00592000. Fault is of type FAULT_PDE ACCESS_TYPE_READ',
      {
        channel: 0x3a,
        engine: 'GRAPHICS',
        client: 'GPCCLIENT_T1_3',
        faultAddress: '0x1700592000',
        faultType: 'FAULT_PDE',
        accessType: 'READ',
      },
    ],
    [
      31,
      'channel 0x00000002, intr 00000000. MMU Fault: ENGINE GRAPHICS GPC6 GPCCLIENT_T1_13 faulted @ 0x6f6f_320c2000. Fault is of type FAULT_PDE ACCESS_TYPE_VIRT_READ',
      { channel: 2, gpc: 6, client: 'GPCCLIENT_T1_13', accessType: 'VIRT_READ' },
    ],
    [
      48,
      'An uncorrectable double bit error (DBE) has been detected on GPU in the framebuffer at physAddr 0x7fdf0de80 partition 5, subpartition 1.',
      { memory: 'framebuffer', physicalAddress: '0x7fdf0de80', partition: 5, subpartition: 1 },
    ],
    [48, 'channel 0x00000002', { channel: 2 }],
    [
      63,
      'Row Remapper: New row (0x0000000e9b9107e0) marked for remapping, reset gpu to activate.',
      { unit: 'row', physicalAddress: '0xe9b9107e0', pending: true, activatedBy: 'gpu-reset' },
    ],
    [
      63,
      'Dynamic Page Retirement: New retired page, reload the driver to activate. (0x00000000001f6c2d)',
      { unit: 'page', physicalAddress: '0x1f6c2d', activatedBy: 'driver-reload' },
    ],
    [
      64,
      'Row Remapper Error: (0x00000001bfc00ee0) - All reserved rows for bank are remapped',
      { unit: 'row', physicalAddress: '0x1bfc00ee0', reason: 'All reserved rows for bank are remapped' },
    ],
    [64, 'Dynamic Page Retirement: Fatal error, unable to retire page (0x3fdf5e)', { unit: 'page' }],
    [
      94,
      'Contained: CE User Channel (0x9). RST: No, D-RST: No',
      { contained: true, unit: 'CE User Channel', resetRequired: false, drainResetRequired: false },
    ],
    [95, 'Uncontained: FBHUB. RST: Yes', { contained: false, unit: 'FBHUB', resetRequired: true }],
    [
      119,
      'Timeout after 6s of waiting for RPC response from GPU4 GSP! Expected function 103 (GSP_RM_ALLOC) (0x2081 0x4).',
      { waitedSeconds: 6, driverGpuNumber: 4, functionNumber: 103, functionName: 'GSP_RM_ALLOC' },
    ],
    [
      119,
      'Timeout waiting for RPC from GSP! Expected function FREE (0xa55a0090 0x0).',
      { functionName: 'FREE' },
    ],
    [
      119,
      'Timeout after 45s of waiting for RPC response from GPU0 GSP! Expected function 76 (GSP_RM_CONTROL) sequence 812 (0x20801813 0x4c).',
      { functionNumber: 76, sequence: 812 },
    ],
    [
      120,
      'GSP kernel exception: store access page fault (cause:0xf) @ pc:0xffffffff93003d42, partition:4#0, task:2',
      {
        failure: 'kernel exception',
        reason: 'store access page fault',
        cause: '0xf',
        programCounter: '0xffffffff93003d42',
        partition: '4#0',
        task: 2,
      },
    ],
    [45, 'channel 0x00000010 caused by previous Xid 45', { channel: 16, causedByPreviousXid: 45 }],
    [43, 'Ch 00000018', { channel: 0x18 }],
    [8, 'Channel 00000020', { channel: 32 }],
    [32, 'Channel ID 00000052 intr 02000000', { channel: 0x52 }],
    [
      69,
      'Class Error: ChId 0005, Class 0000a097, Offset 00000d9c, Data ffffffff, ErrorCode 0000000c',
      { channel: 5, class: '0xa097', offset: '0xd9c', data: '0xffffffff' },
    ],
  ] as const)('%d: %s', (xid, detail, decoded) => {
    expect(decodeXidDetail(xid, detail)?.decoded).toMatchObject(decoded);
  });

  test('links of 136 and 137', () => {
    expect(decodeXidDetail(136, 'NVLink: Link training failed for link 11(0x1, 0x2)')).toEqual({
      link: 11,
      decoded: { registers: [1, 2] },
    });
    expect(decodeXidDetail(137, 'RLW_RXPIPE interrupt hit on link 3 on GPU1: PRIV Error')).toEqual({
      link: 3,
      decoded: { unit: 'RLW_RXPIPE', driverGpuNumber: 1, reason: 'PRIV Error' },
    });
  });

  test('text that says nothing decodes to nothing', () => {
    for (const xid of [0, 13, 31, 48, 63, 64, 74, 94, 95, 119, 120, 136, 137, 144, 150, 154, 155, 999]) {
      for (const detail of ['', ' ', 'abc', '(', '0x', '\u0000\ufffd', '(((((', 'Link', 'Ch ']) {
        expect(decodeXidDetail(xid, detail)?.decoded ?? {}).toEqual({});
      }
    }
  });
});

test('a broken table would be seen: the wrong unit does not match', () => {
  const rule = facts.rules.find(({ xid }) => xid === 145);
  const intrInfo = Number.parseInt(rule?.intrInfoV1.replaceAll('-', '0') ?? '', 2);
  expect(matchNvlink5(145, 'RLW_TAGSTATE', intrInfo, 1)).toBeUndefined();
  expect(matchNvlink5(146, rule?.unit[0] ?? '', intrInfo, 1)).toBeUndefined();
});
