import { describe, expect, test } from 'vitest';
import { redactAnswer } from './redact.ts';

const answer = {
  apiVersion: 'v1',
  node: 'gpu-node-7',
  summary: 'GPU 3: The kernel log has Xid 79 once.',
  report: {
    gpus: [{ index: 3, uuid: 'GPU-1', serial: '1652922003456', name: 'NVIDIA H100 80GB HBM3' }],
    incidents: [
      {
        xid: 79,
        pciAddress: '0000:3b:00',
        raw: [
          'Nov 20 10:00:01 gpu-node-7 kernel: NVRM: Xid (PCI:0000:3b:00): 79, pid=1234, name=secret_train, GPU has fallen off the bus.',
          '2026-11-20T10:00:01.123456+00:00 node1 kernel: NVRM: something of /home/alice/project/train.py from 10.1.2.3 by alice@example.org',
          'the program secret_train again',
        ],
        processes: [{ pid: 1234, name: 'secret_train' }],
      },
    ],
    processes: [
      {
        pid: 1234,
        user: 'alice',
        name: 'secret_train',
        command: 'python /home/alice/train.py',
        podUid: 'b1e7',
        gpus: [{ index: 3 }],
      },
      { pid: 9, user: null, name: null, command: null, gpus: [] },
    ],
  },
};

describe('redactAnswer', () => {
  const redacted = redactAnswer(answer, ['gpu-node-7', 'secret_train', 'alice']);
  const text = JSON.stringify(redacted);

  test.each(['secret_train', 'alice', 'gpu-node-7', 'node1', '10.1.2.3', 'example.org', 'b1e7', '/home/'])(
    'takes out %s wherever it stands',
    (word) => {
      expect(JSON.stringify(answer)).toContain(word);
      expect(text).not.toContain(word);
    },
  );

  test.each([
    '1652922003456',
    'GPU-1',
    'NVIDIA H100 80GB HBM3',
    '0000:3b:00',
    '1234',
    'Xid (PCI:0000:3b:00): 79',
    'Nov 20 10:00:01',
  ])('keeps %s, which a vendor needs', (word) => expect(text).toContain(word));

  test('what was not there is not said to have been', () => {
    expect(redacted).toMatchObject({
      report: { processes: [{}, { user: null, name: null, command: null }] },
    });
  });

  test('a user name that is a common word of three letters or less is left alone in free text', () => {
    const { raw } = redactAnswer({ node: 'n', raw: ['an Xid on a GPU'] }, ['a', 'on']) as unknown as {
      raw: string[];
    };
    expect(raw).toEqual(['an Xid on a GPU']);
  });

  test('is linear on hostile text', () => {
    const hostile = '1.'.repeat(50_000) + '@'.repeat(50_000) + 'a.'.repeat(50_000);
    expect(JSON.stringify(redactAnswer({ node: 'n', raw: [hostile] }, [])).length).toBeGreaterThan(1);
  });
});
