import { execFileSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { isGpuError } from '@k8s-gpu-mcp/core';
import { describe, expect, it } from 'vitest';
import {
  bugReport,
  chunked,
  describeOf,
  fixtureOf,
  nowMilliseconds,
  openTexts,
  readers,
  recordsOf,
  unaborted,
  xidLine,
} from '../test/rig.ts';
import { openRecordings } from './open-recordings.ts';

const h200 = fixtureOf('nvidia-smi/q/linux-x86_64__nvidia-h200__590.48.01__idle.txt');

/** A seeded generator: a failing random test can be run again. */
function randomOf(seed: number): (below: number) => number {
  let state = seed | 1;
  return (below) => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) % below;
  };
}

describe('hostile input', () => {
  it('stops at a bomb and keeps what came before it', async () => {
    const bomb = gzipSync(`${xidLine(1)}\n${'\0'.repeat(32 * 1024 * 1024)}`);
    const { files } = await openTexts({ bomb, good: xidLine(2) }, { maximumInflatedBytes: 1024 * 1024 });
    expect(files[0]?.error?.code).toBe('INVALID_INPUT');
    expect(files[1]).toMatchObject({ recordCount: 1 });
  });

  it('keeps what stands before the cut of a file and says that the rest is missing', async () => {
    const whole = gzipSync(
      `${h200}\n${xidLine(1)}\n${Array.from({ length: 5000 }, (_, i) => `${i * 7919}`).join('\n')}`,
    );
    const recordings = await openTexts({ 'cut.gz': whole.subarray(0, whole.length - 2000) });
    const [file] = recordings.files;
    expect(file?.formats).toEqual(['nvidia-smi -q', 'kernel log']);
    expect(file?.error?.message).toContain('cut short');
    expect(file?.unread.at(-1)).toMatchObject({ part: 'rest of the file' });
    expect((await describeOf(recordings)).gpus).toHaveLength(1);
  });

  it('reads an XML that was cut in the middle, and what follows it', async () => {
    const xml = fixtureOf('nvidia-smi/qx/nvidia__qx-b200.xml');
    const recordings = await openTexts({
      report: bugReport([
        ['nvidia-smi -q -x', xml.slice(0, xml.length / 2)],
        ['dmesg:', xidLine(1)],
      ]),
    });
    expect(recordings.files[0]?.formats).toEqual(['nvidia-bug-report', 'nvidia-smi -q -x', 'kernel log']);
    const { gpus } = await describeOf(recordings);
    expect(gpus.length).toBeGreaterThan(0);
    expect(gpus.length).toBeLessThan(8);
  });

  it.each([
    ['XML', fixtureOf('nvidia-smi/qx/nvidia__qx-b200.xml').slice(0, 20_000), 'nvidia-smi -q -x'],
    ['JSON', '{\n  "DCGM Diagnostic": {\n    "test_categories": [\n', undefined],
    ["a program's brace", '{\n', undefined],
  ])('finds what follows %s that was cut', async (_, cut, format) => {
    const { files } = await openTexts({ paste: `${cut}\n${xidLine(1)}\nThen:\n\n${h200}` });
    expect(files[0]?.formats.toSorted()).toEqual(
      ['kernel log', 'nvidia-smi -q', ...(format === undefined ? [] : [format])].toSorted(),
    );
    expect(files[0]?.recordCount).toBe(1);
  });

  it('tells a list of processes from the capture above it', async () => {
    const ps = '    PID TTY      STAT   TIME COMMAND\n   4711 ?        D      0:00 nvidia-smi\n';
    const { files } = await openTexts({ paste: `${h200}\n\n${ps}` });
    expect(files[0]?.formats).toEqual(['nvidia-smi -q', 'ps']);
  });

  it.each([
    ['blanks', ' '],
    ['brackets', '['],
    ['braces', '{'],
    ['words', 'GPU '],
    ['pairs of brackets', '()'],
    ['digits', '1'],
    ['capitals', 'A '],
    ['colons', '00:'],
    ['pipes', '| '],
    ['angles', '<nvidia_smi_log '],
    ['list heads', 'GPU 0: '],
    ['dates', 'Oct 24 '],
  ])('takes time in proportion to a long line of %s', async (_, unit) => {
    const line = (characters: number) => `${unit.repeat(characters / unit.length)}\n`;
    const timeOf = async (characters: number) => {
      const start = performance.now();
      await openTexts({ a: `prose\n${line(characters)}${line(characters)}` });
      return performance.now() - start;
    };
    await timeOf(50_000);
    // Twenty times as much; quadratic time would take four hundred times as long, minutes instead of this.
    expect(await timeOf(1_000_000)).toBeLessThan(2_000);
  });

  it('finds the messages in binary data', async () => {
    const random = randomOf(7);
    const noise = Buffer.from(Array.from({ length: 100_000 }, () => random(256)));
    const bytes = Buffer.concat([Buffer.from([7]), noise, Buffer.from(`\n${xidLine(1)}\n`), noise]);
    const { files } = await openTexts({ core: bytes });
    expect(files[0]).toMatchObject({ recordCount: 1, unread: [{ part: 'binary data', line: 1 }] });
  });

  it.each([
    ['NUL bytes', `${'\0'.repeat(300)}${xidLine(1)}\n`],
    ['CRLF', `${xidLine(1)}\r\n`],
    ['UTF-16', Buffer.from(`\ufeff${xidLine(1)}\n`, 'utf16le')],
    ['Latin-1', Buffer.from(`[    0.500000] caf\u00e9 \u00fc\n${xidLine(1)}\n`, 'latin1')],
  ])('reads %s', async (_, content) => {
    const recordings = await openTexts({ log: content });
    expect(await recordsOf(recordings)).toMatchObject([{ uptimeSeconds: 1 }]);
  });

  it('cuts a line of many megabytes and goes on after it', async () => {
    const content = `prose\n${'x'.repeat(8 * 1024 * 1024)}\n${xidLine(1)}\n`;
    const { files } = await openTexts({ log: content });
    expect(files[0]).toMatchObject({ recordCount: 1, lineCount: 3 });
    expect(files[0]?.unread).toContainEqual(expect.objectContaining({ line: 2, part: 'rest of a line' }));
  });

  it('searches one long line for kernel messages only', async () => {
    const { files } = await openTexts({ log: 'x'.repeat(4 * 1024 * 1024) });
    expect(files[0]).toMatchObject({ formats: [], recordCount: 0, unread: [{ part: 'one long line' }] });
  });

  it('cuts a section that is longer than it may be', async () => {
    const padding = '    Nothing                               : N/A\n'.repeat(4000);
    const recordings = await openTexts({ smi: h200 + padding }, { maximumSectionCharacters: 50_000 });
    expect((await describeOf(recordings)).gpus).toHaveLength(1);
    expect(recordings.files[0]?.unread.map(({ part }) => part)).toContain('rest of a section');
  });

  it('bounds the captures and the list of what was not read', async () => {
    const one = h200.replace(/Timestamp.*/, '');
    const many = await openTexts({ smi: `${one}\n`.repeat(400) });
    expect(many.earlier.length).toBeLessThanOrEqual(256);
    expect(many.notes.join()).toContain('were left out');
    const parts = Array.from({ length: 500 }, (_, index) => [`*** /proc/${index}`, 'x'] as const);
    const { files } = await openTexts({ report: bugReport(parts) });
    expect(files[0]?.unread).toHaveLength(65);
    expect(files[0]?.unread.at(-1)).toMatchObject({ part: '436 more parts' });
  });

  it('refuses more inputs than it can hold', async () => {
    const inputs = Array.from({ length: 257 }, (_, index) => ({ name: `${index}`, stream: chunked('x') }));
    const error = await openRecordings(inputs, readers).catch((thrown: unknown) => thrown);
    expect(isGpuError(error) && error.code).toBe('INVALID_INPUT');
  });

  it('lists what cannot be opened, and reads a pipe once', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'recordings-'));
    try {
      const pipe = join(folder, 'pipe');
      execFileSync('sh', ['-c', 'mkfifo "$1"', 'sh', pipe]);
      const writing = writeFile(pipe, `${xidLine(1)}\n`);
      const paths = [join(folder, 'absent'), folder, '/dev/null', pipe];
      const { files } = await openRecordings(
        paths.map((path) => ({ name: path, path })),
        readers,
      );
      await writing;
      expect(files.map(({ error }) => error?.code)).toEqual([
        'INVALID_INPUT',
        'INVALID_INPUT',
        'INVALID_INPUT',
        undefined,
      ]);
      expect(files[3]).toMatchObject({ recordCount: 1 });
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  it('takes the fast path through a large kernel log, from a file and from a stream, with the name it was given', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'recordings-'));
    try {
      const log = Array.from({ length: 200_000 }, (_, second) => `[${second}.000000] eth0: link is up`);
      log[4000] = xidLine(4000);
      const path = join(folder, 'x');
      writeFileSync(path, log.join('\n'));
      for (const input of [
        { name: 'mine', path },
        { name: 'mine', stream: chunked(log.join('\n'), 1000) },
      ]) {
        const recordings = await openRecordings([input], readers, { nowMilliseconds });
        // Only the fast path leaves the lines uncounted.
        expect(recordings.files).toMatchObject([
          { formats: ['kernel log'], lineCount: null, recordCount: 1, unread: [] },
        ]);
        expect(await recordsOf(recordings)).toMatchObject([{ file: 'mine', line: 4001 }]);
      }
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  it('rejects when it is cancelled', async () => {
    const abort = new AbortController();
    abort.abort();
    const error = await openTexts({ log: xidLine(1) }, { signal: abort.signal }).catch(
      (thrown: unknown) => thrown,
    );
    expect(isGpuError(error) && error.code).toBe('CANCELLED');
  });
});

describe('random slices of real captures', () => {
  const fixtures = new URL('../fixtures/', import.meta.url);
  const texts = readdirSync(fixtures, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => readFileSync(join(entry.parentPath, entry.name)))
    .filter(({ length }) => length < 100_000);

  it.each([1, 2, 3, 4, 5, 6])('put together never throw (seed %i)', async (seed) => {
    expect(texts.length).toBeGreaterThan(30);
    const random = randomOf(seed * 7919);
    const slice = () => {
      const text = texts[random(texts.length)] ?? Buffer.alloc(0);
      const start = random(text.length);
      const bytes = Buffer.from(text.subarray(start, start + random(20_000)));
      for (let flips = random(4); flips > 0 && bytes.length > 0; flips -= 1) {
        bytes[random(bytes.length)] = random(256);
      }
      return bytes;
    };
    for (let round = 0; round < 15; round += 1) {
      const contents = Object.fromEntries(
        Array.from({ length: 1 + random(3) }, (_, index) => [
          `${index}`,
          Buffer.concat(Array.from({ length: random(6) }, slice)),
        ]),
      );
      const recordings = await openTexts(contents);
      const node = await describeOf(recordings).catch((error: unknown) => {
        expect(isGpuError(error)).toBe(true);
        return undefined;
      });
      for (const gpu of node?.gpus ?? []) {
        const sections = recordings.gpuProvider.manifest.sections;
        const sample = await recordings.gpuProvider
          .readGpu(gpu, sections, unaborted())
          .catch((error: unknown) => {
            expect(isGpuError(error)).toBe(true);
            return undefined;
          });
        for (const { line } of Object.values(sample?.citations ?? {})) expect(line).toBeGreaterThan(0);
      }
      for (const file of recordings.files) {
        for (const { line } of file.unread) {
          expect(line).toBeGreaterThan(0);
          expect(line).toBeLessThanOrEqual((file.lineCount ?? Number.POSITIVE_INFINITY) + 1);
        }
      }
    }
  });
});

describe('the checks themselves', () => {
  it('see a defect of the reading, which is no damaged file', async () => {
    const defect = new TypeError('planted');
    const broken = {
      ...readers,
      readText: () => {
        throw defect;
      },
    };
    await expect(openRecordings([{ name: 'a', stream: chunked('x') }], broken)).rejects.toBe(defect);
  });

  it('see a citation that is off by one line', async () => {
    const linesOf = async (text: string) => {
      const recordings = await openTexts({ smi: text });
      const { gpus } = await describeOf(recordings);
      const sample = await recordings.gpuProvider.readGpu(gpus[0]!, ['memory', 'ecc', 'pcie'], unaborted());
      return Object.values(sample.citations ?? {}).map(({ line }) => line);
    };
    const before = await linesOf(h200);
    expect(before.length).toBeGreaterThan(10);
    expect(await linesOf(`a line of prose\n${h200}`)).toEqual(before.map((line) => line + 1));
  });
});
