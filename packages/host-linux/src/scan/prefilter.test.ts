import { readFileSync } from 'node:fs';
import { gzipSync } from 'node:zlib';
import {
  createKernelLogLineReader,
  isKernelLogCandidate,
  type KernelLogRecord,
  kernelLogNeedles,
  sniffKernelLogFormat,
} from '@k8s-gpu-mcp/core';
import { describe, expect, it } from 'vitest';
import { chunksOf, collect, createRandom } from '../../test/kernel-log-samples.ts';
import { firstLines, scanKernelLog } from './scan-kernel-log.ts';
import { maximumSearchBytes } from './simd-search.ts';

/** Excerpts of real logs, in every container that people paste: dmesg, syslog, journalctl, kmsg, JSON. */
const snippets = ['xid', 'amdgpu', 'intel'].flatMap((name) =>
  readFileSync(new URL(`../../../core/fixtures/kernel-log/${name}-corpus.jsonl`, import.meta.url), 'utf8')
    .trim()
    .split('\n')
    .map((line): { readonly id: string; readonly raw: string } => JSON.parse(line)),
);

const nowMilliseconds = Date.UTC(2026, 9, 1);
const linesAfter = 3;

/** The rule, line by line: a line with a needle that can be an event, the three lines after it, and every line where the format asks for it. */
function recordsByLine(log: Buffer, needles: readonly string[] = kernelLogNeedles): KernelLogRecord[] {
  const { everyLine } = sniffKernelLogFormat(firstLines(log));
  const reader = createKernelLogLineReader({ nowMilliseconds, file: '-' });
  const lines = log.toString('utf8').split('\n');
  const records: KernelLogRecord[] = [];
  let owed = 0;
  for (const [index, line] of lines.entries()) {
    const text = line.replace(/^\0+/, '').replace(/\r$/, '');
    if (!everyLine && owed === 0 && !needles.some((needle) => text.includes(needle))) continue;
    const isCandidate = isKernelLogCandidate(text);
    if (!everyLine && owed === 0 && !isCandidate) continue;
    owed = isCandidate ? linesAfter : Math.max(0, owed - 1);
    records.push(...reader.push(text, index + 1));
  }
  return [...records, ...reader.end()].filter(({ text }) => isKernelLogCandidate(text));
}

const scan = (log: Buffer, ...chunkBytes: number[]) =>
  collect(scanKernelLog({ stream: chunksOf(log, ...chunkBytes), name: '-' }, { nowMilliseconds }));

const noiseLines = [
  'eth0: link becomes ready',
  'audit: type=1400 apparmor="ALLOWED" operation="open" EDA AER NVR Xid IO_PA',
  '[UFW BLOCK] IN=eth0 OUT= SRC=10.0.0.1 DST=10.0.0.2 LEN=60 ID=61917 DF PROTO=TCP',
  'SELinux: Context system_u:object_r is not valid',
  'INFO: task kworker/92:1:12762 blocked for more than 120 seconds.',
  'Grüße 🚀 NVIDIA',
  '',
];

/** Lines of the snippets among lines of other programs, with what files hold besides: CRLF, zero and invalid bytes. */
function mixedLog(seed: number, byteCount: number): Buffer {
  const random = createRandom(seed);
  const parts: Buffer[] = [];
  for (let length = 0; length < byteCount; ) {
    const snippet = snippets[random(snippets.length)]?.raw ?? '';
    const kind = random(30);
    const text =
      kind === 0 ? snippet : `[${random(1e6)}.000001] ${noiseLines[random(noiseLines.length)] ?? ''}`;
    const bytes = kind === 1 ? Buffer.from([0, 0, random(256), 0xff, 0xc3, random(256)]) : Buffer.from(text);
    const part = Buffer.concat([bytes, Buffer.from(random(4) === 0 ? '\r\n' : '\n')]);
    parts.push(part);
    length += part.length;
  }
  return Buffer.concat(parts);
}

describe('the search for lines loses nothing', () => {
  it('gives what judging line by line gives, for every excerpt, cut anywhere', async () => {
    let recordCount = 0;
    for (const { id, raw } of snippets) {
      const log = Buffer.from(raw);
      const expected = recordsByLine(log);
      recordCount += expected.length;
      for (const chunkBytes of [1, 17, log.length]) {
        expect(await scan(log, chunkBytes), `${id} in chunks of ${chunkBytes}`).toEqual(expected);
      }
    }
    expect(recordCount).toBeGreaterThan(100);
  });

  it('gives the same with CRLF, and out of gzip', async () => {
    for (const { id, raw } of snippets) {
      const log = Buffer.from(raw.replaceAll(/\r?\n/g, '\r\n'));
      const expected = recordsByLine(log);
      expect(await scan(log, log.length), id).toEqual(expected);
      expect(await scan(gzipSync(log), 64), `${id}, gzip`).toEqual(expected);
    }
  });

  it('gives the same in a lot of noise, whatever the chunks', async () => {
    for (const seed of [1, 2, 3, 4]) {
      const log = mixedLog(seed * 104_729, 700_000);
      const expected = recordsByLine(log);
      expect(expected.length).toBeGreaterThan(100);
      for (const chunkBytes of [4_099, maximumSearchBytes, maximumSearchBytes + 1, log.length]) {
        expect(await scan(log, chunkBytes, 7), `seed ${seed}, ${chunkBytes}`).toEqual(expected);
      }
    }
  });

  it('finds a message at each place round the border of a piece', async () => {
    const message = '[    1.000000] NVRM: Xid (PCI:0000:3b:00): 79, pid=1, GPU has fallen off the bus.\n';
    for (
      let before = maximumSearchBytes - message.length - 2;
      before <= maximumSearchBytes + 2;
      before += 1
    ) {
      const noise = Buffer.alloc(before - 1, 'an ordinary line of the kernel\n');
      const log = Buffer.concat([noise, Buffer.from(`\n${message}`), noise]);
      const records = await scan(log, log.length);
      const line = noise.filter((byte) => byte === 10).length + 2;
      expect(
        records.map((record) => record.line),
        `after ${before} bytes`,
      ).toEqual([line]);
    }
  });

  it('planted fault: a needle that nobody looks for is noticed by the comparison', async () => {
    const log = mixedLog(8, 300_000);
    expect(await scan(log, log.length)).toEqual(recordsByLine(log));
    const fewer = kernelLogNeedles.filter((needle) => needle !== 'NVRM' && needle !== 'Xid (');
    expect(await scan(log, log.length)).not.toEqual(recordsByLine(log, fewer));
  });
});
