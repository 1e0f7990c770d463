import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { limits } from '../src/nvidia-smi/document.ts';
import {
  parseSmi,
  parseSmiList,
  parseSmiTable,
  parseSmiText,
  parseSmiXml,
} from '../src/nvidia-smi/parse-smi.ts';
import type { SmiCapture } from '../src/recording.ts';

const folder = new URL('../fixtures/nvidia-smi/', import.meta.url);
const fixtures = ['q', 'qx', 'table', 'errors', 'L'].flatMap((kind) =>
  readdirSync(new URL(`${kind}/`, folder)).map((file) =>
    readFileSync(new URL(`${kind}/${file}`, folder), 'utf8'),
  ),
);
const source = { file: 'capture', firstLine: 1 };

/** Repeatable: a failure names its seed. */
function randomNumbers(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

const damages: Readonly<Record<string, (text: string, random: (below: number) => number) => string>> = {
  cut: (text, random) => text.slice(0, random(text.length)),
  'cut at both ends': (text, random) =>
    text.slice(random(text.length / 2), text.length / 2 + random(text.length / 2)),
  'bytes flipped': (text, random) => {
    const bytes = Buffer.from(text);
    for (let flip = 0; flip < 40; flip += 1) bytes[random(bytes.length)] = random(256);
    return bytes.toString('latin1');
  },
  'lines shuffled': (text, random) => {
    const lines = text.split('\n');
    for (let swap = 0; swap < 60; swap += 1) {
      const [one, other] = [random(lines.length), random(lines.length)];
      [lines[one], lines[other]] = [lines[other] ?? '', lines[one] ?? ''];
    }
    return lines.join('\n');
  },
  'another capture spliced in': (text, random) => {
    const other = fixtures[random(fixtures.length)] ?? '';
    const at = random(text.length);
    return text.slice(0, at) + other.slice(random(other.length)) + text.slice(at);
  },
  'lines doubled': (text, random) => {
    const lines = text.split('\n');
    const [from, count] = [random(lines.length), random(50)];
    return [...lines.slice(0, from + count), ...lines.slice(from)].join('\n');
  },
};

/** Whatever a file holds, an answer keeps to its contract. */
function complaints(capture: SmiCapture | undefined): readonly string[] {
  if (capture === undefined) return [];
  const indexes = capture.gpus.map(({ ref }) => ref.index);
  const numbers = capture.gpus.flatMap((gpu) =>
    Object.values(gpu.readings).flatMap((section) =>
      Object.values(section).filter((leaf) => typeof leaf === 'number'),
    ),
  );
  const leaves = capture.gpus.flatMap(({ readings, gaps }) =>
    gaps.filter(({ field }) => {
      const [section = '', leaf = '', member] = field.split('.');
      const values = (readings as Readonly<Record<string, Readonly<Record<string, unknown>>>>)[section];
      return member === undefined && values?.[leaf] !== undefined;
    }),
  );
  const lines = [
    ...capture.unread.map(({ line }) => line),
    ...capture.gpus.flatMap(({ citations }) => Object.values(citations).map(({ line }) => line)),
  ];
  return [
    ...(new Set(indexes).size === indexes.length ? [] : ['two GPUs with one index']),
    ...(numbers.every((value) => Number.isFinite(value)) ? [] : ['a number that is none']),
    ...(leaves.length === 0 ? [] : [`a reading and a gap: ${leaves[0]?.field}`]),
    ...(lines.every((line) => Number.isInteger(line) && line >= 1) ? [] : ['a line that is none']),
    ...(capture.gpus.length <= 2 * limits.gpus ? [] : ['too many GPUs']),
    ...(JSON.stringify(capture).length < 20_000_000 ? [] : ['too long']),
  ];
}

describe('damaged captures', () => {
  test.each(Object.keys(damages))('%s: no exception, and what is said holds together', (name) => {
    const damage = damages[name];
    if (damage === undefined) throw new Error('no such damage');
    for (let seed = 1; seed <= 300; seed += 1) {
      const random = randomNumbers(seed);
      const text = damage(fixtures[random(fixtures.length)] ?? '', random);
      const lines = text.split('\n');
      for (const capture of [
        parseSmi(text, source),
        parseSmiXml(text, source),
        parseSmiText(lines, source),
        parseSmiTable(lines, source),
        parseSmiList(lines, source),
      ]) {
        expect(complaints(capture), `seed ${seed}`).toEqual([]);
      }
    }
  });

  test('planted fault: the complaints are not always empty', () => {
    const capture = parseSmi(fixtures[0] ?? '', source);
    const [gpu] = capture?.gpus ?? [];
    if (capture === undefined || gpu === undefined) throw new Error('no capture');
    expect(complaints({ ...capture, gpus: [gpu, gpu] })).toEqual(['two GPUs with one index']);
    expect(complaints({ ...capture, unread: [{ file: 'x', line: 0, part: '', reason: '' }] })).toHaveLength(
      1,
    );
  });
});

const million = 1_000_000;
const gpuHead = '<nvidia_smi_log><gpu id="00000000:01:00.0">';
const hostile: Readonly<Record<string, string>> = {
  'elements ten thousand deep': gpuHead + '<a>'.repeat(10_000) + '</a>'.repeat(10_000),
  'a million open elements': gpuHead + '<a>'.repeat(million),
  'a million end tags': gpuHead + '</b>'.repeat(million),
  'a million empty elements': `${gpuHead}${'<a/>'.repeat(million)}</gpu></nvidia_smi_log>`,
  'many GPUs': `<nvidia_smi_log>${'<gpu id="00000000:01:00.0"></gpu>'.repeat(100_000)}</nvidia_smi_log>`,
  'the same group again and again': `${gpuHead}${'<ecc_errors><x>1</x></ecc_errors>'.repeat(100_000)}`,
  'comments without an end': gpuHead + '<!--'.repeat(million),
  'angle brackets': gpuHead + '<'.repeat(4 * million),
  'a tag without an end': `${gpuHead}<${'a'.repeat(4 * million)}`,
  'an attribute without an end': `<nvidia_smi_log><gpu id="${'a'.repeat(4 * million)}`,
  'blanks in a tag': `${gpuHead}<a${' '.repeat(4 * million)}>`,
  'a value of megabytes': `${gpuHead}<product_name>${'x '.repeat(2 * million)}</product_name></gpu></nvidia_smi_log>`,
  entities: `${gpuHead}<product_name>${'&amp;'.repeat(million)}</product_name></gpu>`,
  processes: `${gpuHead}<processes>${'<process_info><pid>1</pid></process_info>'.repeat(50_000)}</processes></gpu>`,
  'empty lines': `Attached GPUs : 1\n${'\n'.repeat(4 * million)}`,
  headings: `GPU 00000000:01:00.0\n${'    A\n'.repeat(600_000)}`,
  'ever deeper lines': `GPU 00000000:01:00.0\n${Array.from({ length: 3_000 }, (_, depth) => `${' '.repeat(depth)}A`).join('\n')}`,
  'GPU headings': 'GPU 00000000:01:00.0\n'.repeat(200_000),
  'one line of blanks': `==============NVSMI LOG==============\n${' '.repeat(4 * million)}x`,
  separators: `==============NVSMI LOG==============\nA${' : '.repeat(million)}`,
  'lost GPUs': 'Unable to determine the device handle for GPU 0000:01:00.0: GPU is lost.\n'.repeat(50_000),
  'table rows': `| NVIDIA-SMI 590.48.01  Driver Version: 590.48.01  |\n| GPU  Name | Bus-Id |\n${'|   0  NVIDIA H200  On  |   00000000:83:00.0 Off |   On |\n'.repeat(80_000)}`,
  'table processes': `| NVIDIA-SMI 590.48.01 |\n| GPU | Bus-Id |\n|   0  N  On | 00000000:83:00.0 Off | 0 |\n| Processes: |\n${'|    0    2    1    12249      C   x     1MiB |\n'.repeat(80_000)}`,
  'a table line of megabytes': `| NVIDIA-SMI 590.48.01 |\n${'| '.repeat(2 * million)}`,
  'a list line of megabytes': `GPU 0: ${'x ('.repeat(million)}\nGPU 0: x (UUID: GPU-1)`,
};

describe('hostile files', () => {
  test.each(Object.keys(hostile))('%s', (name) => {
    const text = hostile[name] ?? '';
    // What is not linear takes minutes at this size, and the runner ends it.
    const lines = text.split('\n');
    for (const capture of [
      parseSmi(text, source),
      parseSmiXml(text, source),
      parseSmiText(lines, source),
      parseSmiTable(lines, source),
      parseSmiList(lines, source),
    ]) {
      expect(complaints(capture)).toEqual([]);
    }
  });

  test('twice the file takes about twice the time', () => {
    const xml = readFileSync(new URL('qx/nvidia__qx-b200.xml', folder), 'utf8');
    const start = xml.indexOf('<gpu ');
    const end = xml.lastIndexOf('</gpu>') + 6;
    const grown = (times: number) =>
      xml.slice(0, start) + xml.slice(start, end).repeat(times) + xml.slice(end);
    const fastest = (text: string) => {
      const times = [1, 2, 3].map(() => {
        const started = performance.now();
        parseSmiXml(text, source);
        return performance.now() - started;
      });
      return Math.min(...times);
    };
    fastest(grown(4));
    const [small, large] = [fastest(grown(8)), fastest(grown(32))];
    expect(large / small).toBeLessThan(16);
  });
});

describe('nothing of an XML document is expanded or fetched', () => {
  test('entities that a DOCTYPE declares', () => {
    const bomb = `<?xml version="1.0"?>
<!DOCTYPE nvidia_smi_log [
  <!ENTITY a "aaaaaaaaaaaaaaaaaaaa">
  <!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;">
  <!ENTITY c "&b;&b;&b;&b;&b;&b;&b;&b;&b;&b;">
  <!ENTITY x SYSTEM "file:///etc/passwd">
]>
<nvidia_smi_log><gpu id="00000000:01:00.0"><product_name>&c;&x;</product_name><serial>&x;</serial></gpu></nvidia_smi_log>`;
    const capture = parseSmiXml(bomb, source);
    expect(capture?.gpus[0]?.ref.name).toBe('&c;&x;');
    expect(capture?.gpus[0]?.readings.identity?.serial).toBeUndefined();
    expect(JSON.stringify(capture).length).toBeLessThan(2_000);
  });
});
