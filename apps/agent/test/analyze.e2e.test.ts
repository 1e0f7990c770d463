import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { runAgent } from './run-agent.ts';

// Line formats: open-gpu-kernel-modules (printf texts of the driver), Linux printk with a syslog prefix.
const prefix = (second: number) => `Nov 20 10:00:0${second} node1 kernel: [  10${second}.000000] `;
const fallen = `${prefix(1)}NVRM: Xid (PCI:0000:3b:00): 79, pid=1234, name=python3, GPU has fallen off the bus.`;
const fault = `${prefix(2)}NVRM: Xid (PCI:0001:AF:00): 31, pid=77, name=train, Ch 00000008, intr 00000000. MMU Fault: ENGINE GRAPHICS GPCCLIENT_T1_0 faulted @ 0x7f00_00000000. Fault is of type FAULT_PDE ACCESS_TYPE_VIRT_READ`;
const noise = Buffer.from(
  Array.from({ length: 4096 }, (_, index) => (index * 37) % 256).filter((byte) => byte !== 10),
);
const longLine = Buffer.alloc(1024 * 1024, 'x');
const newline = Buffer.from('\n');

let folder: string;
let dirty: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'agent-analyze-'));
  dirty = join(folder, 'kern.log');
  const parts = [
    noise,
    longLine,
    Buffer.from(fallen),
    Buffer.from(`${prefix(1)}usb 1-1: new device`),
    noise,
    longLine,
    Buffer.from(fault),
  ];
  await writeFile(dirty, Buffer.concat(parts.flatMap((part) => [part, newline])));
});
afterAll(() => rm(folder, { recursive: true }));

const eventsOf = (stdout: string) =>
  stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line));

describe('analyze --events', () => {
  const expected = (file: string) => [
    {
      file,
      line: 3,
      kind: 'xid',
      xid: 79,
      pciAddress: '0000:3b:00',
      pid: 1234,
      processName: 'python3',
      raw: fallen,
    },
    {
      file,
      line: 7,
      kind: 'xid',
      xid: 31,
      pciAddress: '0001:af:00',
      pid: 77,
      processName: 'train',
      raw: fault,
    },
  ];

  it('finds events among binary noise and lines of a megabyte, in input order', async () => {
    const { code, stdout } = await runAgent(['analyze', '--events', dirty]);
    const events = eventsOf(stdout);
    expect(events).toMatchObject(expected(dirty));
    for (const event of events)
      expect(event).toMatchObject({ severity: expect.any(String), action: expect.any(String) });
    expect(code).toBe(2);
  });

  it('reads gzip, and standard input', async () => {
    const bytes = Buffer.from(`\n\n${fallen}\n\n\n\n${fault}\n`);
    const zipped = join(folder, 'kern.log.gz');
    await writeFile(zipped, gzipSync(bytes));
    expect(eventsOf((await runAgent(['analyze', '--events', zipped])).stdout)).toMatchObject(
      expected(zipped),
    );
    expect(eventsOf((await runAgent(['analyze', '--events', '-'], { input: bytes })).stdout)).toMatchObject(
      expected('-'),
    );
  });

  it('removes what a terminal would obey', async () => {
    const hostile = `${prefix(3)}NVRM: Xid (PCI:0000:3b:00): 13, pid=1, name=\u001b[2Jevil, Graphics Exception\u009b31m`;
    const { stdout } = await runAgent(['analyze', '--events', '-'], { input: `${hostile}\n` });
    expect(stdout).toContain('"xid":13');
    expect(stdout).not.toMatch(/\\u001b|[\u001b\u009b]/);
  });
});

describe('analyze', () => {
  it('reports incidents for a person', async () => {
    const { code, stdout } = await runAgent(['analyze', dirty]);
    expect(code).toBe(2);
    expect(stdout).toContain('CRITICAL');
    expect(stdout).toContain('Xid 79');
    expect(stdout).toContain('reboot-node');
  });

  it('--json is one diagnosis in the usual envelope, and says where it is from', async () => {
    const { code, stdout } = await runAgent(['analyze', dirty, '--json']);
    expect(code).toBe(2);
    const answer = JSON.parse(stdout);
    expect(answer.nextSteps[0]).toMatchObject({ action: 'reboot-node' });
    expect(answer.findings).toHaveLength(2);
    expect(answer).toMatchObject({
      apiVersion: 'v1',
      node: 'offline',
      verdict: 'critical',
      notYourCode: true,
      cause: 'gpu-bus',
      findings: [{ ruleId: 'log.xid-79', action: 'reboot-node', evidence: [{ file: dirty, line: 3 }] }, {}],
      coverage: {
        kernelLog: { source: `file:${dirty}`, readable: true },
        files: [{ file: dirty, formats: ['kernel log'], recordCount: 2 }],
      },
    });
  });

  it('one GPU, or one process, can be asked about', async () => {
    const ofApplication = { verdict: 'warning', notYourCode: false, cause: 'application-fault' };
    for (const question of [
      ['--gpu', '0001:af:00.0'],
      ['--pid', '77'],
    ]) {
      const { code, stdout } = await runAgent(['analyze', dirty, '--json', ...question]);
      expect({ question, code }).toEqual({ question, code: 1 });
      const answer = JSON.parse(stdout);
      expect(answer).toMatchObject(ofApplication);
      expect(answer.nextSteps[0]).toMatchObject({ action: 'restart-app' });
    }
  });

  it.each([
    ['an empty file', Buffer.alloc(0)],
    // Every byte value, over and over: no text in any encoding.
    [
      'a file that is no text',
      Buffer.from(Array.from({ length: 65_536 }, (_, index) => (index * 167) % 256)),
    ],
  ])('%s is not a log without errors', async (_, bytes) => {
    const file = join(folder, 'nothing.log');
    await writeFile(file, bytes);
    const { code, stdout } = await runAgent(['analyze', '--json', file]);
    expect(code).toBe(3);
    expect(JSON.parse(stdout)).toMatchObject({
      verdict: 'unknown',
      coverage: { kernelLog: { readable: false } },
    });
  });

  it('says when there is nothing, and how much was read', async () => {
    const { code, stdout } = await runAgent(['analyze', '-'], { input: 'one\ntwo\nthree' });
    expect({ code, stdout }).toEqual({ code: 0, stdout: 'no GPU events found; 3 lines read\n' });
    const plain = join(folder, 'plain.txt');
    await writeFile(plain, 'one\ntwo\n');
    expect((await runAgent(['analyze', plain])).stdout).toBe('no GPU events found; 2 lines read\n');
  });

  it('readings and log together: file and line stand with every piece of evidence', async () => {
    const capture = join(
      import.meta.dirname,
      '../../../packages/replay/fixtures/nvidia-smi/qx/nvidia__qx-a100.xml',
    );
    const { stdout } = await runAgent(['analyze', '--json', dirty, capture]);
    const answer = JSON.parse(stdout);
    expect(answer.coverage.gpuBackend).toMatchObject({ backend: 'replay', readable: true });
    expect(answer.coverage.files).toMatchObject([{ gpuCount: 0 }, { formats: ['nvidia-smi -q -x'] }]);
    expect(answer.coverage.files[1].gpuCount).toBeGreaterThan(0);
  });

  it('thresholds of a file are in force, and a wrong one is one line', async () => {
    const good = join(folder, 'limits.json');
    await writeFile(good, '{}');
    expect((await runAgent(['analyze', dirty, '--health-thresholds', good])).code).toBe(2);
    const bad = join(folder, 'wrong.json');
    await writeFile(bad, '{"no.such-rule": {"x": 1}}');
    const { code, stdout, stderr } = await runAgent(['analyze', dirty, '--health-thresholds', bad]);
    expect({ code, stdout }).toEqual({ code: 64, stdout: '' });
    expect(stderr).toContain('no.such-rule');
    expect(stderr.trim().split('\n')).toHaveLength(1);
  });

  it.each([
    [['/does/not/exist.log'], 'does not exist'],
    [['/'], 'is a directory'],
    [['-', '-'], 'once'],
  ])('%j is one line and exit 64', async (files, told) => {
    const { code, stdout, stderr } = await runAgent(['analyze', ...files]);
    expect({ code, stdout }).toEqual({ code: 64, stdout: '' });
    expect(stderr.trim().split('\n')).toHaveLength(1);
    expect(stderr).toContain(told);
  });

  it('damage in the middle: what came before counts, and the rest is not called fine', async () => {
    const file = join(folder, 'cut.gz');
    const many = Array.from({ length: 20_000 }, (_, index) => `${prefix(1)}usb ${Math.sin(index)}\n`).join(
      '',
    );
    const whole = gzipSync(`${fault}\n${fault}\n${many}`);
    await writeFile(file, whole.subarray(0, whole.length / 2));
    const { code, stdout, stderr } = await runAgent(['analyze', file, '--events']);
    expect(eventsOf(stdout)).toHaveLength(2);
    expect(stderr).toContain('cut.gz');
    expect([1, 2, 3]).toContain(code);
  });
});
