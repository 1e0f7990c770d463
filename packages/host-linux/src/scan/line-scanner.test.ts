import { describe, expect, it } from 'vitest';
import { createRandom } from '../../test/kernel-log-samples.ts';
import { createLineScanner } from './line-scanner.ts';

const parsers = {
  kernelLogNeedles: ['NVRM', 'Xid (', 'Kill'],
  isKernelLogCandidate: (text: string) => ['NVRM', 'Xid (', 'Kill'].some((needle) => text.includes(needle)),
};
type Found = readonly [line: number, text: string];

function scan(
  bytes: Uint8Array,
  options: { chunkBytes?: number; everyLine?: boolean; maximumLineBytes?: number } = {},
): Found[] {
  const found: Found[] = [];
  const scanner = createLineScanner({ parsers, everyLine: false, ...options });
  const emit = (text: string, line: number): void => {
    found.push([line, text]);
  };
  const size = options.chunkBytes ?? bytes.length;
  for (let start = 0; start < bytes.length; start += size) {
    // The scanner may not keep what it is given: the copy is overwritten afterwards.
    const chunk = Buffer.from(bytes.subarray(start, start + size));
    scanner.push(chunk, emit);
    chunk.fill(0x4e);
  }
  scanner.end(emit);
  return found;
}

/** The specification in the plainest words: candidates and the three lines after each. */
function naive(bytes: Uint8Array): Found[] {
  const lines = Buffer.from(bytes).toString('utf8').split('\n');
  if (lines.at(-1) === '') lines.pop();
  const candidate = lines.map((line) => parsers.isKernelLogCandidate(line));
  return lines
    .map((text, index) => [index + 1, text.replace(/^\0+/, '').replace(/\r$/, '')] as const)
    .filter((_, index) => candidate.slice(Math.max(0, index - 3), index + 1).includes(true));
}

function randomLog(seed: number, byteCount: number): Buffer {
  const random = createRandom(seed);
  const words = [
    'NVRM',
    'NVR',
    'Xid (',
    'Xid',
    'Kill',
    'eth0: link',
    '\n',
    '\n',
    '\n\n',
    '\r\n',
    '\0',
    ' ',
    'ü',
    '🚀',
  ];
  const parts: Buffer[] = [];
  let length = 0;
  while (length < byteCount) {
    const rare = random(20);
    const part =
      rare === 0
        ? Buffer.from([random(256), random(256)])
        : Buffer.from(words[rare < 4 ? random(words.length) : 5 + random(9)] ?? '');
    parts.push(part);
    length += part.length;
  }
  return Buffer.concat(parts);
}

describe('createLineScanner', () => {
  it('finds what a naive reader finds, cut at every byte', () => {
    const log = Buffer.from(
      'boot\nNVRM: Xid (PCI:0000:3b:00): 79\r\nthis line follows\n\nmore\nlast of three is gone\n\0\0NVRM zeros\nend Kill',
    );
    const expected = naive(log);
    expect(expected.map(([line]) => line)).toEqual([2, 3, 4, 5, 7, 8]);
    for (let chunkBytes = 1; chunkBytes <= log.length; chunkBytes += 1) {
      expect(scan(log, { chunkBytes }), `chunks of ${chunkBytes}`).toEqual(expected);
    }
    for (let cut = 1; cut < log.length; cut += 1) {
      const found: Found[] = [];
      const scanner = createLineScanner({ parsers, everyLine: false });
      const emit = (text: string, line: number): unknown => found.push([line, text]);
      scanner.push(log.subarray(0, cut), emit);
      scanner.push(log.subarray(cut), emit);
      scanner.end(emit);
      expect(found, `cut at ${cut}`).toEqual(expected);
    }
  });

  it('agrees with a naive reader on random bytes', () => {
    for (let seed = 1; seed <= 300; seed += 1) {
      const log = randomLog(seed * 7919, 2_000);
      const chunkBytes = 1 + createRandom(seed)(400);
      expect(scan(log, { chunkBytes }), `seed ${seed}`).toEqual(naive(log));
    }
  });

  it('planted fault: a lost line feed is noticed by the comparison', () => {
    const log = randomLog(99, 5_000);
    const firstLineFeed = log.indexOf(10);
    const damaged = Buffer.concat([log.subarray(0, firstLineFeed), log.subarray(firstLineFeed + 1)]);
    expect(scan(log)).toEqual(naive(log));
    expect(scan(damaged)).not.toEqual(naive(log));
  });

  it('emits every line when asked to', () => {
    expect(scan(Buffer.from('a\n\nb'), { everyLine: true, chunkBytes: 1 })).toEqual([
      [1, 'a'],
      [2, ''],
      [3, 'b'],
    ]);
  });

  it('replaces invalid UTF-8 and keeps the rest of the line', () => {
    const line = Buffer.concat([Buffer.from('NVRM '), Buffer.from([0xff, 0xc3]), Buffer.from(' ok\n')]);
    expect(scan(line)).toEqual([[1, 'NVRM �� ok']]);
  });

  it.each([1, 1000, 65_536, 300_000, 2_000_000])(
    'finds a message deep in a line of a megabyte, in chunks of %i bytes',
    (chunkBytes) => {
      const noise = Buffer.alloc(500_000, 'x');
      const log = Buffer.concat([
        Buffer.from('first\n'),
        noise,
        Buffer.from(' NVRM: deep '),
        noise,
        Buffer.from('\nNVRM: after\n'),
      ]);
      const found = scan(log, { chunkBytes });
      expect(found.map(([line]) => line)).toEqual([2, 3]);
      expect(found[0]?.[1]).toContain('NVRM: deep ');
      expect(found[0]?.[1].length).toBeLessThanOrEqual(64 * 1024);
      expect(found[1]?.[1]).toBe('NVRM: after');
    },
  );

  it('finds a message wherever it stands in an overlong line, once', () => {
    const maximumLineBytes = 4096;
    for (let before = 0; before < 12_000; before += 97) {
      const line = Buffer.concat([
        Buffer.alloc(before, 'x'),
        Buffer.from('NVRM: the whole message'),
        Buffer.alloc(9_000, 'y'),
        Buffer.from('\n'),
      ]);
      const found = scan(line, { maximumLineBytes, chunkBytes: 1777 });
      expect(found.length, `${before} bytes before`).toBe(1);
      expect(found[0]?.[1], `${before} bytes before`).toContain('NVRM: the whole message');
    }
  });

  it('starts after zero bytes in an overlong line', () => {
    const log = Buffer.concat([Buffer.alloc(200_000), Buffer.from('[    1.5] NVRM: x\n')]);
    expect(scan(log)).toEqual([[1, '[    1.5] NVRM: x']]);
  });
});
