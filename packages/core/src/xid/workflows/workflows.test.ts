import { describe, expect, test } from 'vitest';
import { driverLoadAt, incidentsOf, kernelLine, xidAt } from '../../../test/kernel-log-lines.ts';
import type { GpuRef } from '../../domain/gpu.ts';
import { actions } from '../../domain/verdict.ts';
import type { GpuFacts } from '../workflow-facts.ts';
import { type Workflow, walkWorkflow } from './machine.ts';
import { questions, type WorkflowContext } from './questions.ts';
import { workflows } from './tables.ts';

const gpu: GpuRef = { index: 0, uuid: null, pciAddress: '0000:3b:00.0', name: null };
const withFacts = (facts: GpuFacts) => ({ gpus: [gpu], facts: { gpus: new Map([[0, facts]]) } });
/** The last incident of a number, as these lines give it. */
const last = (xid: number, lines: readonly string[], facts?: GpuFacts) =>
  incidentsOf(lines, facts ? withFacts(facts) : {}).findLast((incident) => incident.xid === xid);

const exception = (seconds: number, gpc: number, tpc: number, device?: string) =>
  xidAt(
    seconds,
    13,
    `pid=70, name=python3, Graphics SM Warp Exception on (GPC ${gpc}, TPC ${tpc}, SM 0): Out Of Range Address`,
    device,
  );
const fault = (seconds: number, pid: number, device?: string) =>
  xidAt(
    seconds,
    31,
    `pid=${pid}, name=python3, Ch 0000003a, intr 10000000. MMU Fault: ENGINE GRAPHICS`,
    device,
  );
const removal = (seconds: number) => xidAt(seconds, 45, 'pid=70, name=python3, Ch 00000010');
const dbe =
  'An uncorrectable double bit error (DBE) has been detected on GPU in the framebuffer at partition 3, subpartition 0.';
const linkError = (seconds: number, word1: string, link = 3) =>
  xidAt(seconds, 74, `NVLink: fatal error detected on link ${link}(${word1}, 0x0, 0x0, 0x0, 0x0, 0x0, 0x0)`);
const hour = 3_600;

describe('13', () => {
  test('the same GPC and TPC in separate bursts calls for diagnostics', () => {
    expect(last(13, [exception(0, 1, 2), exception(hour, 1, 2)])).toMatchObject({
      action: 'run-field-diagnostic',
      verdict: 'warning',
      occurrenceCount: 2,
      workflow: { id: 'WORKFLOW_XID_13', steps: [{ answer: 'no' }, { answer: 'yes' }] },
    });
  });

  test.each([
    ['one burst, however many lines', [exception(0, 1, 2), exception(5, 1, 2), exception(14, 1, 2)]],
    ['different units', [exception(0, 1, 2), exception(hour, 0, 4)]],
    [
      'bursts over several units',
      [exception(0, 1, 2), exception(1, 3, 3), exception(hour, 1, 2), exception(hour + 1, 0, 0)],
    ],
    ['more than a day apart', [exception(0, 1, 2), exception(25 * hour, 1, 2)]],
    ['another GPU too', [exception(0, 1, 2), exception(hour, 1, 2), exception(hour + 60, 1, 2, '5e')]],
    [
      'no unit named',
      [
        xidAt(0, 13, 'Graphics Exception: ESR 0x4041b0=0x0'),
        xidAt(hour, 13, 'Graphics Exception: ESR 0x4041b0=0x0'),
      ],
    ],
  ])('%s: the program', (_, lines) => {
    expect(last(13, lines)).toMatchObject({ action: 'restart-app', verdict: 'ok' });
  });
});

describe('31', () => {
  test('in several runs on one GPU calls for diagnostics; the runs may be told by pid alone', () => {
    expect(last(31, [fault(0, 70), fault(hour, 71)])).toMatchObject({
      action: 'run-field-diagnostic',
      occurrenceCount: 2,
    });
    expect(last(31, [fault(0, 70), fault(100, 71)])).toMatchObject({
      action: 'run-field-diagnostic',
      occurrenceCount: 2,
      count: 2,
    });
  });

  test.each([
    ['once', [fault(0, 70)]],
    ['many lines of one run', [fault(0, 70), fault(60, 70), fault(200, 70)]],
    ['processes of one job', [fault(0, 70), fault(1, 71), fault(2, 72)]],
    ['one process that faults again', [fault(0, 70), fault(600, 70), fault(hour, 70)]],
    ['on several GPUs', [fault(0, 70), fault(hour, 71), fault(hour + 1, 72, '5e')]],
    ['more than a day apart', [fault(0, 70), fault(25 * hour, 71)]],
  ])('%s: the program', (_, lines) => {
    expect(last(31, lines)).toMatchObject({ action: 'restart-app', verdict: 'ok' });
  });
});

describe('45 alone', () => {
  test.each([
    ['nothing known', undefined, 'monitor'],
    ['no NVSwitch', { isOnSwitch: false }, 'monitor'],
    ['NVSwitch', { isOnSwitch: true }, 'restart-service'],
    ['NVSwitch, fabric not well', { isOnSwitch: true, isFabricHealthy: false }, 'restart-service'],
    ['NVSwitch, fabric well', { isOnSwitch: true, isFabricHealthy: true }, 'monitor'],
  ] as const)('%s: %o gives %s', (_, facts, action) => {
    expect(last(45, [removal(0)], facts)?.action).toBe(action);
  });

  test('a flood of thousands is noise, on NVSwitch too', () => {
    const flood = Array.from({ length: 11_760 }, (_, index) => removal(index / 100));
    expect(last(45, flood, { isOnSwitch: true })).toMatchObject({
      count: 11_760,
      action: 'none',
      verdict: 'ok',
    });
  });
});

describe('48, 63 and 64', () => {
  const remap = xidAt(
    1,
    63,
    'Row Remapper: New row (0x0000000e9b9107e0) marked for remapping, reset gpu to activate.',
  );

  test.each([
    ['alone', [xidAt(0, 48, dbe)], undefined, 'reset-gpu', /^An uncorrectable/],
    ['with 63', [xidAt(0, 48, dbe), remap], undefined, 'reset-gpu', /drain/],
    [
      'SRAM threshold',
      [xidAt(0, 48, dbe)],
      { isSramThresholdExceeded: true },
      'run-field-diagnostic',
      /SRAM/,
    ],
    ['remap failed', [xidAt(0, 48, dbe)], { hasRemapFailed: true }, 'contact-support', /vendor/],
  ] as const)('48 %s', (_, lines, facts, action, outcome) => {
    expect(last(48, lines, facts)).toMatchObject({
      action,
      verdict: 'critical',
      workflow: { outcome: expect.stringMatching(outcome) },
    });
  });

  test('63 is no outage; a failed remap is one for the vendor', () => {
    expect(last(63, [remap], { isRemapPending: true })).toMatchObject({ action: 'none', verdict: 'ok' });
    expect(last(63, [remap], { hasRemapFailed: true })).toMatchObject({
      action: 'contact-support',
      verdict: 'warning',
    });
    const failure = xidAt(0, 64, 'Row Remapper Error: (0x0) - Row Remapping table is full');
    expect(last(64, [failure])?.action).toBe('reset-gpu');
    expect(last(64, [failure], { hasRemapFailed: true })?.action).toBe('contact-support');
  });
});

describe('74', () => {
  test('the register bits decide', () => {
    // Bit 8 of the first word: check the seating; bit 0: ignore.
    expect(last(74, [linkError(0, '0x100')])?.action).toBe('check-mechanicals');
    expect(last(74, [linkError(0, '0x1')])).toMatchObject({ action: 'none', verdict: 'ok' });
    expect(last(74, [xidAt(0, 74, 'NVLink')])?.action).toBe('reset-gpu');
  });

  test('bits that count when repeated: more than twice on one link', () => {
    // Bit 4 of the first word: ECC or parity.
    const lines = [linkError(0, '0x10'), linkError(hour, '0x10'), linkError(2 * hour, '0x10')];
    expect(last(74, lines.slice(0, 2))?.action).toBe('monitor');
    expect(last(74, lines)?.action).toBe('contact-support');
    const spread = [linkError(0, '0x10', 1), linkError(hour, '0x10', 2), linkError(2 * hour, '0x10', 3)];
    expect(last(74, spread)?.action).toBe('monitor');
    const oneMoment = [linkError(0, '0x10'), linkError(1, '0x10'), linkError(2, '0x10')];
    expect(last(74, oneMoment)?.action).toBe('monitor');
  });
});

describe('79, 109, 119 and 120', () => {
  const lost = (seconds: number) => xidAt(seconds, 79, 'GPU has fallen off the bus.');
  const gsp = (seconds: number) => xidAt(seconds, 119, 'Timeout waiting for RPC from GSP!');

  test('79: restart the machine; after a restart it is for the vendor', () => {
    expect(last(79, [lost(0)])?.action).toBe('reboot-node');
    expect(last(79, [lost(0), driverLoadAt(hour), lost(2 * hour)])).toMatchObject({
      action: 'contact-support',
      occurrenceCount: 2,
    });
    expect(last(79, [lost(0), lost(2 * hour)])?.action).toBe('reboot-node');
  });

  test('79: bus errors and power stand among the steps', () => {
    const aer = kernelLine(
      0,
      'nvidia 0000:3b:00.0: PCIe Bus Error: severity=Uncorrected (Fatal), type=Physical Layer, (Receiver ID)',
    );
    const steps = last(79, [aer, lost(1)], { state: 'lost' })?.workflow?.steps;
    expect(steps?.map(({ answer }) => answer)).toEqual(['yes', 'unknown', 'no']);
  });

  test('a storm of 119 without a restart stays a reset; two restarts without cure do not', () => {
    const storm = Array.from({ length: 8 }, (_, index) => gsp(index * 400));
    expect(last(119, storm)).toMatchObject({ action: 'reset-gpu', occurrenceCount: 8 });
    const after = [gsp(0), driverLoadAt(hour), gsp(2 * hour), driverLoadAt(3 * hour), gsp(4 * hour)];
    expect(last(119, after.slice(0, 3))?.action).toBe('reset-gpu');
    expect(last(119, after)?.action).toBe('contact-support');
  });
});

describe('NVLink 5', () => {
  const down = (seconds: number, intrInfo: string, device: string) =>
    xidAt(
      seconds,
      149,
      `NETIR_LINK_EVT  Fatal   XC0 i0 Link 08 (${intrInfo} 0x00000000 0x00000000 0x00000000 0x00000000 0x00000000)`,
      device,
    );

  test('a reason at the other end, on several GPUs at once: the switch they share', () => {
    // Reason 33 of the decode table: look at the peer.
    const both = [down(0, '0x021425c6', '3b'), down(1, '0x021405c6', '5e')];
    expect(last(149, both)).toMatchObject({ action: 'check-mechanicals' });
    expect(last(149, both)?.workflow?.outcome).toMatch(/cooling/);
    expect(last(149, both.slice(0, 1))?.action).toBe('reset-gpu');
  });

  test('a reason of its own end stays a reset', () => {
    // Reason 4: signal integrity of the link.
    expect(last(149, [down(0, '0x004505c6', '3b'), down(1, '0x004525c6', '5e')])?.action).toBe('reset-gpu');
  });

  test('one to report when it comes more than once a day', () => {
    const reported = (seconds: number) => down(seconds, '0x001005c6', '3b');
    expect(last(149, [reported(0)])?.action).toBe('reset-gpu');
    expect(last(149, [reported(0), reported(hour)])?.action).toBe('contact-support');
  });

  test('a row that leaves it to a following 154, else to a restart of the program', () => {
    const line = xidAt(
      0,
      145,
      'RLW_REMAP  Nonfatal XC1 i0 Link 08 (0x00000004 0x00000001 0x00000000 0x00000000 0x00000000 0x00000000)',
      '3b',
    );
    expect(last(145, [line])?.action).toBe('restart-app');
    const advised = [
      line,
      xidAt(1, 154, 'GPU recovery action changed from 0x0 (None) to 0x1 (GPU Reset Required)'),
    ];
    expect(last(145, advised)?.action).toBe('reset-gpu');
  });
});

describe('137', () => {
  const privilege = 'RLW_RXPIPE interrupt hit on link 4 on GPU3: PRIV Error';

  test('of a named process: the program, and the answer cites the bucket', () => {
    expect(last(137, [xidAt(0, 137, `pid=70, name=python3, ${privilege}`)])).toMatchObject({
      action: 'check-app',
      verdict: 'ok',
      workflow: { outcome: expect.stringContaining('XID_137_FLOW') },
    });
    expect(last(137, [xidAt(0, 137, privilege)])?.action).toBe('none');
  });

  test('next to a link that went wrong: follow that', () => {
    const lines = [linkError(0, '0x100'), xidAt(20, 137, `pid=70, name=python3, ${privilege}`)];
    expect(last(137, lines)).toMatchObject({
      action: 'none',
      workflow: { outcome: expect.stringMatching(/link/) },
    });
    const late = [linkError(0, '0x100'), xidAt(40, 137, `pid=70, name=python3, ${privilege}`)];
    expect(last(137, late)?.action).toBe('check-app');
  });
});

test('154: the value printed', () => {
  expect(
    last(154, [xidAt(0, 154, 'GPU recovery action changed from 0x0 (None) to 0x5 (Recover IMEX Domain)')])
      ?.action,
  ).toBe('restart-service');
  expect(
    last(154, [xidAt(0, 154, 'GPU recovery action changed from 0x0 (None) to 0x99 (Something New)')])?.action,
  ).toBe('monitor');
});

describe('every table', () => {
  const nothing: WorkflowContext = {
    ownAction: 'monitor',
    count: 1,
    decoded: undefined,
    hasProcess: false,
    companions: new Set(),
    peers: new Set(),
    hasLinkTroubleNear: false,
    occurrenceCount: 1,
    dailyCount: 1,
    epochCount: 1,
    linkCount: 0,
    isOnOneUnit: undefined,
    deviceCount: 1,
    gpu: undefined,
  };

  /** All paths, whatever the answers; fails on a missing state or a circle. */
  function outcomesOf(workflow: Workflow): readonly string[] {
    const ends: string[] = [];
    const follow = (next: Workflow['start'], path: readonly string[]): void => {
      if (typeof next !== 'string') {
        ends.push(next.action);
        return;
      }
      const state = workflow.states[next];
      if (!state || path.includes(next)) throw new Error(`${workflow.id}: ${[...path, next].join(' > ')}`);
      for (const way of [state.yes, state.no, state.unknown]) if (way) follow(way, [...path, next]);
    };
    follow(workflow.start, []);
    return ends;
  }

  test.each(workflows.map((workflow) => [workflow.id, workflow] as const))(
    '%s ends on every path',
    (_, workflow) => {
      for (const action of outcomesOf(workflow)) expect([...actions, 'own']).toContain(action);
      expect(walkWorkflow(workflow, nothing).source).toMatch(/NVIDIA/);
    },
  );

  test('a plain line ends at the catalogue’s own action everywhere', () => {
    for (const workflow of workflows) expect(walkWorkflow(workflow, nothing).action).toBe('monitor');
  });

  test('every question is asked somewhere', () => {
    const asked = new Set(workflows.flatMap(({ states }) => Object.values(states).map(({ ask }) => ask)));
    expect([...asked].sort()).toEqual(Object.keys(questions).sort());
  });

  test('a circle or a missing state would be seen', () => {
    const round: Workflow = {
      id: 'ROUND',
      xids: [],
      source: 'none',
      start: 'one',
      states: { one: { ask: 'flood', yes: 'one', no: 'two' } },
    };
    expect(() => outcomesOf(round)).toThrow(/ROUND/);
    expect(() => walkWorkflow(round, nothing)).toThrow(/ROUND/);
  });
});
