import { describe, expect, test } from 'vitest';
import { hostOfLine, textRedactor } from './redact-text.ts';

const scrub = textRedactor(['secret_train', 'alice', 'red', 'job one', 'al', '1234'], ['gpu-node-7']);

describe('takes out', () => {
  test.each([
    ['a known name', 'the program secret_train again', 'the program [redacted] again'],
    ['whatever its case, and inside a word', 'xSecret_Train2', 'x[redacted]2'],
    ['a name with a space', 'in job one now', 'in [redacted] now'],
    ['a name that is part of the placeholder, once', 'a red alice', 'a [redacted] [redacted]'],
    ['the node with its domain', 'on GPU-NODE-7.example.org: x', 'on [redacted]: x'],
    ['what a line calls a name', 'pid=1, name=who?ever, GPU', 'pid=1, name=[redacted], GPU'],
    ['syslog host', 'Nov  2 10:00:01 node1 kernel: x', 'Nov  2 10:00:01 [redacted] kernel: x'],
    [
      'syslog host with priority',
      '<4>Nov 20 10:00:01 n kernel: x',
      '<4>Nov 20 10:00:01 [redacted] kernel: x',
    ],
    [
      'ISO host',
      '2026-11-20T10:00:01.123456+00:00 n k: x',
      '2026-11-20T10:00:01.123456+00:00 [redacted] k: x',
    ],
    ['journalctl host', '2026-11-20T10:00:01+0000 n k: x', '2026-11-20T10:00:01+0000 [redacted] k: x'],
    ['RFC 5424 host', '<4>1 2026-11-20T10:00:01Z n k - x', '<4>1 2026-11-20T10:00:01Z [redacted] k - x'],
    ['journal fields', '{"_HOSTNAME":"n","MESSAGE":"x"}', '{[redacted]","MESSAGE":"x"}'],
    ['IPv4', 'from 10.1.2.3.', 'from [redacted].'],
    ['IPv4 with a port', '10.1.2.3:22 x', '[redacted]:22 x'],
    ['IPv6', 'from 2001:db8::1, x', 'from [redacted], x'],
    ['IPv6 without a gap', '2001:db8:0:1:2:3:4:5 x', '[redacted] x'],
    ['IPv6 with an IPv4 tail', '::ffff:10.1.2.3', '[redacted]'],
    ['IPv6 of letters', 'at fe:ed::', 'at [redacted]'],
    ['a network card', '0a:1b:2c:3d:4e:5f x', '[redacted] x'],
    ['e-mail', 'by bob@example.org now', 'by [redacted] now'],
    ['home', 'of /home/bob/a.py x', 'of [redacted] x'],
    ['any other directory', 'cwd=/srv/team/bob x', 'cwd=[redacted] x'],
    ['an address of the web', 'see https://intern.example/x y', 'see https:[redacted] y'],
    ['tilde', 'in ~bob/a x', 'in [redacted] x'],
    ['a drive', 'C:\\Users\\bob x', '[redacted] x'],
    ['pod', 'pod b1e7c0de-0000-4000-8000-00000000abcd x', 'pod [redacted] x'],
    ['pod of a slice', 'podb1e7c0de_0000_4000_8000_00000000abcd.slice', 'pod[redacted].slice'],
    ['container', `c ${'0123456789abcdef'.repeat(4)} x`, 'c [redacted] x'],
    ['kubectl prefix', '[pod/train-0/main] x', '[redacted] x'],
    ['a word that was cut', 'run by secret_tr…', 'run by [redacted]…'],
    ['a name with a space that was cut', 'run by job on…', 'run by [redacted]…'],
  ])('%s', (_, text, expected) => expect(scrub(text)).toBe(expected));
});

describe('leaves', () => {
  test.each([
    'NVRM: Xid (PCI:0000:3b:00): 79, pid=1234, GPU has fallen off the bus.',
    'Nov 20 10:00:01 kernel: [12345.678901] NVRM: GPU 0000:3b:00.0: x',
    'GPU-5f3a0e52-6c1d-4b7e-9a44-0d9f7c3b1e10',
    'MIG-5f3a0e52-6c1d-4b7e-9a44-0d9f7c3b1e10',
    '/dev/nvidia0 and /proc/driver/nvidia/gpus',
    'VBIOS 96.00.74.00.01, library 13.580.159.04, driver 580.159.04',
    'at 10:00:01.123456, N/A, 1/2, intr 00000000, 0x7f_0000 @ 0x7f',
    'std::deque<int>',
    'serial 1652922003456',
    'an Xid on a calm day: al',
  ])('%s', (text) => expect(scrub(text)).toBe(text));
});

test('a host is learnt from a line where the word looks like one', () => {
  expect(hostOfLine('Nov 20 10:00:01 node1 kernel: x')).toBe('node1');
  expect(hostOfLine('Nov 20 10:00:01 zebra kernel: x')).toBe('zebra');
  expect(hostOfLine('2026-11-20 10:00:01 ERROR x')).toBeUndefined();
  expect(hostOfLine('NVRM: x')).toBeUndefined();
});

test.each([
  ['dots and ats', `${'1.'.repeat(50_000)}${'@'.repeat(50_000)}${'a.'.repeat(50_000)}`],
  ['colons', 'a:'.repeat(100_000)],
  ['slashes', '/'.repeat(100_000)],
  ['tildes', '~a'.repeat(50_000)],
  ['names', 'name='.repeat(20_000)],
  ['hosts', 'gpu-node-7.'.repeat(10_000)],
])('is fast on hostile %s', (_, hostile) => {
  const start = performance.now();
  scrub(hostile);
  expect(performance.now() - start).toBeLessThan(1_000);
});

test('planted fault: with nothing known and no pattern, the words are still there', () => {
  const ignorant = textRedactor([], []);
  expect(ignorant('the program secret_train on gpu-node-7')).toBe('the program secret_train on gpu-node-7');
});
