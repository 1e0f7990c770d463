import { kernelLogNeedles } from '@k8s-gpu-mcp/core';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { createRandom } from '../../test/kernel-log-samples.ts';
import { createByteSearch, createPlainSearch } from './byte-search.ts';
import type { ByteSearch } from './needles.ts';
import { createSimdSearch, maximumSearchBytes } from './simd-search.ts';

const buffersOf = (needles: readonly string[]) => needles.map((needle) => Buffer.from(needle));
const needles = [...kernelLogNeedles];

/** Both kinds, so that the slower one stays right where nobody notices it. */
function searches(words: readonly string[]): readonly (readonly [string, ByteSearch])[] {
  const simd = createSimdSearch(buffersOf(words));
  expect(simd, 'this machine has no SIMD').toBeDefined();
  return [
    ['plain', createPlainSearch(buffersOf(words))] as const,
    ...(simd ? [['simd', simd] as const] : []),
  ];
}

/** All that a search finds from `from` on, each with the line feeds before it. */
function walk(search: ByteSearch, chunk: Buffer, from = 0): [place: number, lineFeedCount: number][] {
  const steps: [number, number][] = [];
  search.take(chunk);
  for (let position = from; ; ) {
    const place = search.next(position);
    steps.push([place, search.lineFeedCount]);
    if (place === chunk.length) return steps;
    position = place + 1;
  }
}

/** The same in the plainest words. */
function naiveWalk(words: readonly string[], chunk: Buffer, from = 0): [number, number][] {
  const steps: [number, number][] = [];
  let lineFeedCount = 0;
  for (let place = from; place < chunk.length; place += 1) {
    if (words.some((word) => chunk.toString('latin1', place, place + word.length) === word)) {
      steps.push([place, lineFeedCount]);
      lineFeedCount = 0;
    }
    if (chunk[place] === 10) lineFeedCount += 1;
  }
  steps.push([chunk.length, lineFeedCount]);
  return steps;
}

/** Needles, beginnings of needles, line feeds and any other bytes. */
function randomBytes(seed: number, words: readonly string[], byteCount: number): Buffer {
  const random = createRandom(seed);
  const parts: Buffer[] = [];
  for (let length = 0; length < byteCount; ) {
    const word = words[random(words.length)] ?? '';
    const kind = random(8);
    const part =
      kind === 0
        ? Buffer.from(word)
        : kind < 3
          ? Buffer.from(word.slice(0, 1 + random(word.length)))
          : kind === 3
            ? Buffer.from('\n'.repeat(random(40)))
            : Buffer.from(Array.from({ length: random(30) }, () => random(256)));
    parts.push(part);
    length += part.length;
  }
  return Buffer.concat(parts).subarray(0, byteCount);
}

afterEach(() => {
  vi.unstubAllGlobals();
  vi.resetModules();
});

describe('createByteSearch', () => {
  it.each([
    ['the needles of the kernel log', needles],
    ['two bytes, a line feed among them', ['ab', 'b\n']],
    ['needles that begin alike', ['Linux v', 'Linux', 'Lin', 'Li']],
    ['more needles than buckets', 'aA bB cC dD eE fF gG hH iI jJ kK'.split(' ')],
  ])('finds what a naive search finds: %s', (_, words) => {
    for (let seed = 1; seed <= 60; seed += 1) {
      const chunk = randomBytes(seed * 7919, words, 1 + createRandom(seed)(3_000));
      const from = createRandom(seed * 31)(chunk.length);
      for (const [kind, search] of searches(words)) {
        expect(walk(search, chunk, from), `${kind}, seed ${seed}`).toEqual(naiveWalk(words, chunk, from));
      }
    }
  });

  it('finds each needle at each place of a block, and none that the end cuts', () => {
    for (const [kind, search] of searches(needles)) {
      for (const needle of needles) {
        for (let before = 0; before < 40; before += 1) {
          const chunk = Buffer.from(`${'\n'.repeat(before)}${needle}`);
          expect(walk(search, chunk)[0], `${kind}, ${needle} after ${before}`).toEqual([before, before]);
          // What the chunk before held beyond this one's end must not count.
          expect(walk(search, chunk.subarray(0, -1)), `${kind}, ${needle} cut`).toEqual([
            [chunk.length - 1, before],
          ]);
        }
      }
    }
  });

  it('searches as many bytes as it says', () => {
    const chunk = Buffer.alloc(maximumSearchBytes, '\n');
    chunk.write('NVRM', maximumSearchBytes - 4);
    for (const [kind, search] of searches(needles)) {
      expect(walk(search, chunk)[0], kind).toEqual([maximumSearchBytes - 4, maximumSearchBytes - 4]);
    }
  });

  it('keeps searches with other needles apart', () => {
    const first = createByteSearch(['NVRM']);
    const second = createByteSearch(['Kill']);
    for (const chunk of [Buffer.from('Kill NVRM'), Buffer.from(`Kill NVRM${'x'.repeat(50_000)}`)]) {
      for (let turn = 0; turn < 2; turn += 1) {
        expect(walk(first, chunk)[0]).toEqual([5, 0]);
        expect(walk(second, chunk)[0]).toEqual([0, 0]);
      }
    }
  });

  it('takes the first eight bytes of a longer needle for it', () => {
    const [, simd] = searches(['a needle that is longer']);
    if (!simd) throw new Error('there is no such search');
    expect(walk(simd[1], Buffer.from('a needle'))[0]?.[0]).toBe(0);
    expect(walk(simd[1], Buffer.from('a needl'))[0]?.[0]).toBe(7);
  });

  it.each([
    ['a needle of one byte', ['#']],
    ['very many needles', Array.from({ length: 40 }, (_, index) => `needle ${index}`.slice(-4))],
  ])('searches without SIMD for %s', (_, words) => {
    const chunk = randomBytes(3, words, 20_000);
    expect(createSimdSearch(buffersOf(words))).toBeUndefined();
    expect(walk(createByteSearch(words), chunk)).toEqual(naiveWalk(words, chunk));
  });

  it.each([
    ['node without WebAssembly', undefined],
    [
      'a processor without SIMD',
      {
        Module: class {
          constructor() {
            throw new Error('SIMD unsupported');
          }
        },
      },
    ],
  ])('finds the same in %s', async (_, webAssembly) => {
    vi.resetModules();
    vi.stubGlobal('WebAssembly', webAssembly);
    const { createSimdSearch: create } = await import('./simd-search.ts');
    expect(create(buffersOf(needles))).toBeUndefined();
    const { createByteSearch: createAnother } = await import('./byte-search.ts');
    const chunk = randomBytes(17, needles, 20_000);
    expect(walk(createAnother(needles), chunk)).toEqual(naiveWalk(needles, chunk));
  });

  it('planted fault: a lost line feed and a lost needle are noticed by the comparison', () => {
    const chunk = randomBytes(5, needles, 4_000);
    const expected = naiveWalk(needles, chunk);
    for (const [, search] of searches(needles)) expect(walk(search, chunk)).toEqual(expected);
    const damaged = Buffer.from(chunk);
    damaged[damaged.indexOf(10)] = 11;
    for (const [, search] of searches(needles)) expect(walk(search, damaged)).not.toEqual(expected);
    for (const [, search] of searches(needles.slice(1))) expect(walk(search, chunk)).not.toEqual(expected);
  });
});
