import {
  type GpuSample,
  gpuSectionLeaves,
  gpuSections,
  makeSample,
  type PartialReadings,
} from '@k8s-gpu-mcp/core';
import { describe, expect, test } from 'vitest';
import { gpuSectionLeafKeys } from './leaf-kinds.ts';
import {
  findGapsWithoutNull,
  findMemberGapFaults,
  findNullsWithoutGap,
  findRangeFaults,
  findRepeatedMembers,
  findSectionFaults,
  findSpellingFaults,
  findTypeFaults,
} from './sample-checks.ts';

const gpu = { index: 0, uuid: null, pciAddress: null, name: null };
const fan = { index: 0, speedPercent: 40, targetSpeedPercent: 40, speedRevolutionsPerMinute: 900 };
/** A sample with one fan, as an adapter without types might hand it over. */
const withFans = (...fans: readonly object[]): GpuSample =>
  makeSample(gpu, ['thermal'], { thermal: { fans } } as PartialReadings);
const withoutGaps = (sample: GpuSample): GpuSample => ({ ...sample, gaps: [] });

test('the table of kinds has every leaf of the port, in its order', () => {
  expect(Object.keys(gpuSectionLeafKeys)).toEqual([...gpuSections]);
  for (const section of gpuSections) {
    expect([...gpuSectionLeafKeys[section]].sort()).toEqual([...gpuSectionLeaves[section]].sort());
  }
});

describe('what is inside a list is checked like any reading', () => {
  test('a sound member passes every check', () => {
    const sample = withFans(fan, { ...fan, index: 1 });
    for (const check of [findTypeFaults, findRangeFaults, findSpellingFaults, findRepeatedMembers]) {
      expect(check(sample)).toEqual([]);
    }
    expect(findSectionFaults(sample, ['thermal'])).toEqual([]);
    expect(findMemberGapFaults(sample)).toEqual([]);
  });

  test.each([
    ['a missing key', { index: 0 }, findSectionOf, /speedPercent: missing/],
    ['an unknown key', { ...fan, noise: 3 }, findSectionOf, /noise: not in the port/],
    ['a wrong type', { ...fan, speedPercent: '40' }, findTypeFaults, /fans\.0\.speedPercent/],
    ['a null where the port has none', { ...fan, index: null }, findTypeFaults, /fans\.0\.index: null/],
    [
      'a wrong unit',
      { ...fan, speedRevolutionsPerMinute: 9e6 },
      findRangeFaults,
      /speedRevolutionsPerMinute/,
    ],
  ] as const)('%s', (_, broken, check, problem) => {
    expect(check(withFans(broken)).join()).toMatch(problem);
  });

  test('a name that repeats', () => {
    expect(findRepeatedMembers(withFans(fan, fan))).toEqual(['thermal.fans: index 0 repeats']);
  });

  test('a word that is in no closed list, or in it twice', () => {
    const sample = makeSample(gpu, ['events'], {
      events: { supportedTypes: ['xid', 'xid', 'reboot'] },
    } as unknown as PartialReadings);
    expect(findTypeFaults(sample)).toEqual([expect.stringContaining('events.supportedTypes.2: "reboot"')]);
    expect(findRepeatedMembers(sample)).toHaveLength(1);
  });
});

describe('nulls inside lists share gaps', () => {
  const nulls = [0, 1, 2].map((index) => ({ ...fan, index, speedPercent: null }));

  test('one for each reason is right, none is not', () => {
    const sample = withFans(...nulls);
    expect(findMemberGapFaults(sample)).toEqual([]);
    expect(findMemberGapFaults(withoutGaps(sample))).toEqual([
      'thermal.fans.speedPercent: null in 3 members without a gap',
    ]);
    // It is no leaf of its own.
    expect(findNullsWithoutGap(sample)).toEqual([]);
  });

  test('one for each member is too many', () => {
    const sample = withFans(...nulls);
    const gap = sample.gaps.find(({ field }) => field === 'thermal.fans.speedPercent');
    const perMember = { ...sample, gaps: [...sample.gaps, ...(gap ? [gap, gap] : [])] };
    expect(findMemberGapFaults(perMember)).toEqual([
      'thermal.fans.speedPercent: a reason has more than one gap',
    ]);
  });

  test('a gap with a position names nothing that is null', () => {
    const sample = withFans(...nulls);
    const gaps = sample.gaps.map((gap) => ({ ...gap, field: gap.field.replace('fans.', 'fans.0.') }));
    expect(findGapsWithoutNull({ ...sample, gaps })).toEqual([
      'gap thermal.fans.0.speedPercent: nothing under that name is null',
    ]);
  });
});

function findSectionOf(sample: GpuSample) {
  return findSectionFaults(sample, ['thermal']);
}
