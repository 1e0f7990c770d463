import { describe, expect, test } from 'vitest';
import { driverLoadAt, incidentsOf, kernelLine, secondsIn, xidAt } from '../../test/kernel-log-lines.ts';
import type { KernelEvent } from '../domain/event.ts';
import type { GpuRef } from '../domain/gpu.ts';
import type { Incident } from '../domain/incident.ts';
import { groupIncidents } from './incidents.ts';
import type { GpuFacts, WorkflowFacts } from './workflow-facts.ts';

const dbe =
  'An uncorrectable double bit error (DBE) has been detected on GPU in the framebuffer at partition 3, subpartition 0.';
const remap = 'Row Remapper: New row (0x0000000e9b9107e0) marked for remapping, reset gpu to activate.';
const contained = 'pid=70, name=python3, Contained: SM (0x6,0x0). RST: No, D-RST: No';
const uncontained = 'pid=70, name=python3, Uncontained: FBHUB. RST: Yes, D-RST: No';
const removal = 'pid=70, name=python3, channel 0x00000010';
const lost = 'GPU has fallen off the bus.';
const linkError = 'NVLink: fatal error detected on link 3(0x10000, 0x0, 0x0, 0x0, 0x0, 0x0, 0x0)';
const advice = (from: string, to: string) => `GPU recovery action changed from ${from} to ${to}`;
const sxid = (seconds: number, code: number, text: string) =>
  kernelLine(seconds, `nvidia-nvswitch3: SXid (PCI:0000:86:00.0): ${code}, ${text}`);

const find = (incidents: readonly Incident[], xid: number, pciAddress = '0000:3b:00') =>
  incidents.find((incident) => incident.xid === xid && incident.pciAddress === pciAddress);
const standings = (incidents: readonly Incident[]) =>
  Object.fromEntries(
    incidents.map((incident) => [incident.xid ?? incident.sxid ?? incident.kind, incident.standing]),
  );

const inventory: readonly GpuRef[] = ['3b', '5e'].map((bus, index) => ({
  index,
  uuid: null,
  pciAddress: `0000:${bus}:00.0`,
  name: null,
}));
const withFacts = (facts: GpuFacts, node: Omit<WorkflowFacts, 'gpus'> = {}) => ({
  gpus: inventory,
  facts: { ...node, gpus: new Map([[0, facts]]) },
});

describe('what another error brought about', () => {
  test('48 with 63, 94 and 45: only the 48 counts, and the others name it', () => {
    const incidents = incidentsOf([
      xidAt(0, 48, dbe),
      xidAt(0, 63, remap),
      xidAt(1, 94, contained),
      xidAt(2, 45, removal),
    ]);
    const cause = find(incidents, 48);
    expect(cause).toMatchObject({ standing: 'primary', verdict: 'critical', action: 'reset-gpu' });
    for (const xid of [63, 94, 45]) {
      expect(find(incidents, xid)).toMatchObject({
        standing: 'sympathetic',
        causedBy: cause?.id,
        verdict: 'ok',
        action: 'none',
        severity: 'info',
        because: expect.stringMatching(/\w+\.$/),
      });
    }
  });

  test('a 95 with 48 is that 48', () => {
    expect(standings(incidentsOf([xidAt(0, 48, dbe), xidAt(1, 95, uncontained)]))).toEqual({
      48: 'primary',
      95: 'sympathetic',
    });
  });

  test('a noted repair (63, nothing to do) never excuses what needs something done', () => {
    const after95 = incidentsOf([xidAt(0, 63, remap), xidAt(1, 95, uncontained)]);
    expect(find(after95, 95)).toMatchObject({
      standing: 'primary',
      action: 'reset-gpu',
      verdict: 'critical',
    });
    expect(find(after95, 63)).toMatchObject({ standing: 'sympathetic', causedBy: find(after95, 95)?.id });
    const after94 = incidentsOf([xidAt(0, 63, remap), xidAt(1, 94, contained)]);
    expect(find(after94, 94)).toMatchObject({
      standing: 'primary',
      action: 'restart-app',
      verdict: 'warning',
    });
  });

  test('43 after another Xid of its GPU; alone it stands', () => {
    expect(standings(incidentsOf([xidAt(0, 31, 'MMU Fault'), xidAt(1, 43, removal)]))).toMatchObject({
      43: 'sympathetic',
    });
    expect(standings(incidentsOf([xidAt(0, 43, removal)]))).toEqual({ 43: 'primary' });
  });

  test('a 45 that says which Xid it follows names that one', () => {
    const incidents = incidentsOf([
      xidAt(0, 13, 'Graphics Exception: ESR 0x4041b0=0x0'),
      xidAt(1, 109, 'Ch 00000010, errorString CTX SWITCH TIMEOUT, Info 0x0'),
      xidAt(2, 45, 'pid=70, name=python3, channel 0x00000010 caused by previous Xid 13'),
    ]);
    expect(find(incidents, 45)?.causedBy).toBe(find(incidents, 13)?.id);
  });

  test('a 45 on another GPU: by the process, by the fabric, else not', () => {
    const ofProcess = incidentsOf([xidAt(0, 95, uncontained), xidAt(1, 45, removal, '5e')]);
    expect(find(ofProcess, 45, '0000:5e:00')?.standing).toBe('sympathetic');
    const ofFabric = incidentsOf([
      sxid(0, 20034, 'Fatal, Link 61 LTSSM Fault Up'),
      xidAt(1, 45, 'pid=71, name=other, channel 0x1', '5e'),
    ]);
    expect(find(ofFabric, 45, '0000:5e:00')?.standing).toBe('sympathetic');
    const unrelated = incidentsOf([
      xidAt(0, 95, uncontained),
      xidAt(1, 45, 'pid=71, name=other, channel 0x1', '5e'),
    ]);
    expect(find(unrelated, 45, '0000:5e:00')?.standing).toBe('primary');
  });

  test.each([
    ['before', 0, 1],
    ['after', 1, 0],
  ])('a fatal SXid %s an Xid 74 is reported once, as the SXid', (_, switchAt, gpuAt) => {
    const lines: readonly [number, string][] = [
      [switchAt, sxid(switchAt, 20034, 'Fatal, Link 61 LTSSM Fault Up')],
      [gpuAt, xidAt(gpuAt, 74, linkError)],
    ];
    const incidents = incidentsOf(lines.toSorted(([one], [other]) => one - other).map(([, line]) => line));
    expect(standings(incidents)).toEqual({ 20034: 'primary', 74: 'sympathetic' });
  });

  test('an SXid that the switch contained excuses no Xid 74', () => {
    const incidents = incidentsOf([
      sxid(0, 12028, 'Non-fatal, Link 61 egress non-posted PRIV error (First)'),
      xidAt(1, 74, linkError),
    ]);
    expect(find(incidents, 74)?.standing).toBe('primary');
  });

  test('AER lines, words of the loss and GSP text belong to 79 and 119', () => {
    expect(
      standings(
        incidentsOf([
          kernelLine(
            0,
            'nvidia 0000:3b:00.0: PCIe Bus Error: severity=Uncorrected (Fatal), type=Transaction Layer, (Requester ID)',
          ),
          xidAt(1, 79, lost),
        ]),
      ),
    ).toEqual({ 'pcie-error': 'sympathetic', 79: 'primary' });
    expect(
      standings(
        incidentsOf([
          xidAt(
            0,
            119,
            'Timeout after 6s of waiting for RPC response from GPU1 GSP! Expected function 76 (GSP_RM_CONTROL) (0x20802a02 0x8).',
          ),
          kernelLine(1, 'NVRM: _kgspIsHeartbeatTimedOut: Heartbeat timed out'),
        ]),
      ),
    ).toEqual({ 119: 'primary', 'gsp-fault': 'sympathetic' });
  });

  test('what a program did after the kernel ended it for lack of memory', () => {
    const oom = kernelLine(
      0,
      'Out of memory: Killed process 70 (python3) total-vm:1kB, anon-rss:1kB, file-rss:0kB',
    );
    const after = incidentsOf([oom, xidAt(1, 31, 'pid=70, name=python3, MMU Fault'), xidAt(2, 45, removal)]);
    const kill = after.find(({ kind }) => kind === 'oom-kill');
    expect(find(after, 31)).toMatchObject({ standing: 'sympathetic', causedBy: kill?.id });
    const another = incidentsOf([oom, xidAt(1, 31, 'pid=71, name=python3, MMU Fault')]);
    expect(find(another, 31)?.standing).toBe('primary');
    const fatal = incidentsOf([
      oom,
      xidAt(1, 109, 'pid=70, name=python3, Ch 1, errorString CTX SWITCH TIMEOUT, Info 0x0'),
    ]);
    expect(find(fatal, 109)?.standing).toBe('primary');
  });

  test('nothing excuses what is far off in time, or on the other side of a restart', () => {
    expect(find(incidentsOf([xidAt(0, 48, dbe), xidAt(400, 94, contained)]), 94)?.standing).toBe('primary');
    const across = incidentsOf([xidAt(0, 48, dbe), driverLoadAt(30), xidAt(60, 94, contained)]);
    expect(find(across, 94)?.standing).toBe('primary');
  });
});

describe('the driver’s own advice', () => {
  test('an Xid with a following 154 takes its action and says so; the 154 names the Xid', () => {
    const incidents = incidentsOf([
      xidAt(0, 119, 'Timeout waiting for RPC from GSP!'),
      xidAt(1, 154, advice('0x0 (None)', '0x2 (Node Reboot Required)')),
    ]);
    expect(find(incidents, 119)).toMatchObject({
      standing: 'primary',
      action: 'reboot-node',
      workflow: { action: 'reboot-node', outcome: expect.stringContaining('reboot-node') },
    });
    expect(find(incidents, 154)).toMatchObject({
      standing: 'primary',
      action: 'reboot-node',
      causedBy: find(incidents, 119)?.id,
    });
  });

  test('what the catalogue ignores is not ignored when the driver asks for a reset', () => {
    const incidents = incidentsOf([
      xidAt(0, 63, remap),
      xidAt(1, 154, advice('0x0 (None)', '0x1 (GPU Reset Required)')),
    ]);
    expect(find(incidents, 63)).toMatchObject({ action: 'reset-gpu', verdict: 'critical' });
  });

  test('the newest one rules, and one of another GPU does not', () => {
    const incidents = incidentsOf([
      xidAt(0, 119, 'Timeout waiting for RPC from GSP!'),
      xidAt(1, 154, advice('0x0 (None)', '0x2 (Node Reboot Required)')),
      xidAt(500, 154, advice('0x2 (Node Reboot Required)', '0x1 (GPU Reset Required)')),
    ]);
    expect(find(incidents, 119)?.action).toBe('reset-gpu');
    const elsewhere = incidentsOf([
      xidAt(0, 119, 'Timeout waiting for RPC from GSP!'),
      xidAt(1, 154, advice('0x0 (None)', '0x2 (Node Reboot Required)'), '5e'),
    ]);
    expect(find(elsewhere, 119)?.action).toBe('reset-gpu');
  });

  test('does not turn an error of the program into one of the GPU', () => {
    const incidents = incidentsOf([
      xidAt(0, 13, 'Graphics Exception: ESR 0x4041b0=0x0'),
      xidAt(1, 154, advice('0x0 (None)', '0x1 (GPU Reset Required)')),
    ]);
    expect(find(incidents, 13)?.action).toBe('restart-app');
  });

  test('NVML’s recovery action does the same, unless it was read before', () => {
    const lines = [xidAt(100, 119, 'Timeout waiting for RPC from GSP!')];
    const asked = incidentsOf(lines, withFacts({ state: 'ok', recoveryAction: 'reboot' }));
    expect(find(asked, 119)).toMatchObject({ action: 'reboot-node', standing: 'primary' });
    const before = incidentsOf(lines, withFacts({ recoveryAction: 'reboot' }, { observedAt: secondsIn(50) }));
    expect(find(before, 119)?.action).toBe('reset-gpu');
  });

  test('an old 154 is history when NVML asks for nothing any more', () => {
    const lines = [xidAt(0, 154, advice('0x0 (None)', '0x1 (GPU Reset Required)'))];
    expect(find(incidentsOf(lines, withFacts({ state: 'ok', recoveryAction: 'none' })), 154)).toMatchObject({
      standing: 'superseded',
      verdict: 'ok',
    });
    expect(find(incidentsOf(lines, withFacts({ state: 'ok', recoveryAction: null })), 154)?.standing).toBe(
      'primary',
    );
  });
});

describe('cancelled', () => {
  const off = (seconds: number, device?: string) => xidAt(seconds, 163, 'PSHC disengaged', device);
  const on = (seconds: number, device?: string) => xidAt(seconds, 162, 'PSHC engaged again', device);

  test('power smoothing disengaged (163) and engaged again (162)', () => {
    const incidents = incidentsOf([off(0), on(900)]);
    expect(find(incidents, 163)).toMatchObject({
      standing: 'cancelled',
      action: 'none',
      causedBy: find(incidents, 162)?.id,
    });
  });

  test('not in the other order, not by another GPU, and not once it came again', () => {
    expect(find(incidentsOf([on(0), off(1)]), 163)?.standing).toBe('primary');
    expect(find(incidentsOf([off(0), on(1, '5e')]), 163)?.standing).toBe('primary');
    expect(find(incidentsOf([off(0), on(10), off(20)]), 163)?.standing).toBe('primary');
  });
});

describe('recovered', () => {
  const gsp = xidAt(1_000, 119, 'Timeout waiting for RPC from GSP!');

  test('by a load of the driver after it, not by the one at the start of its boot', () => {
    expect(standings(incidentsOf([gsp, driverLoadAt(2_000)]))).toEqual({ 119: 'recovered' });
    expect(standings(incidentsOf([driverLoadAt(10), gsp]))).toEqual({ 119: 'primary' });
  });

  test('by a boot: the boot line, uptime that runs backwards, or a known time of boot', () => {
    expect(
      standings(incidentsOf([gsp, kernelLine(2_000, 'Linux version 6.8.0-45-generic (x@y) #45')])),
    ).toEqual({
      119: 'recovered',
    });
    const dmesg = (uptime: string, text: string) => `[${uptime.padStart(12)}] ${text}`;
    expect(
      standings(
        incidentsOf([
          dmesg('5000.000000', 'NVRM: Xid (PCI:0000:3b:00): 119, Timeout waiting for RPC from GSP!'),
          dmesg('12.000000', 'NVRM: Xid (PCI:0000:5e:00): 31, MMU Fault'),
        ]),
      ),
    ).toEqual({ 119: 'recovered', 31: 'primary' });
    expect(standings(incidentsOf([gsp], { facts: { bootedAt: secondsIn(5_000) } }))).toEqual({
      119: 'recovered',
    });
    expect(standings(incidentsOf([gsp], { facts: { bootedAt: secondsIn(500) } }))).toEqual({
      119: 'primary',
    });
  });

  test('a log that is read over again is no reboot', () => {
    const [first, second] = [
      `${secondsIn(5_000)} node kernel: [ 5000.000000] NVRM: Xid (PCI:0000:3b:00): 119, Timeout waiting for RPC from GSP!`,
      `${secondsIn(12)} node kernel: [   12.000000] NVRM: Xid (PCI:0000:5e:00): 31, MMU Fault`,
    ];
    expect(standings(incidentsOf([first, second]))).toEqual({ 119: 'primary', 31: 'primary' });
  });

  test('by the journal’s boot id', () => {
    const entry = (seconds: number, boot: string, message: string) =>
      JSON.stringify({
        __REALTIME_TIMESTAMP: String(Date.parse(secondsIn(seconds)) * 1000),
        _BOOT_ID: boot.repeat(32),
        _TRANSPORT: 'kernel',
        SYSLOG_FACILITY: '0',
        MESSAGE: message,
      });
    const lines = (boot: string) => [
      entry(0, 'a', 'NVRM: Xid (PCI:0000:3b:00): 119, Timeout waiting for RPC from GSP!'),
      entry(30, boot, 'NVRM: Xid (PCI:0000:5e:00): 31, MMU Fault'),
    ];
    expect(standings(incidentsOf(lines('b')))).toMatchObject({ 119: 'recovered' });
    expect(standings(incidentsOf(lines('a')))).toMatchObject({ 119: 'primary' });
  });

  test('by the driver taking its advice back', () => {
    const incidents = incidentsOf([
      gsp,
      xidAt(1_001, 154, advice('0x0 (None)', '0x1 (GPU Reset Required)')),
      xidAt(1_500, 154, advice('0x1 (GPU Reset Required)', '0x0 (None)')),
    ]);
    expect(find(incidents, 119)?.standing).toBe('recovered');
  });

  test('not when it came again after it', () => {
    const again = incidentsOf([
      gsp,
      driverLoadAt(2_000),
      xidAt(3_000, 119, 'Timeout waiting for RPC from GSP!'),
    ]);
    expect(again.map(({ standing, occurrenceCount }) => [standing, occurrenceCount])).toEqual([
      ['primary', 2],
      ['primary', 2],
    ]);
  });

  test('not when the GPU itself says that it is not well', () => {
    for (const facts of [
      { state: 'lost' },
      { state: 'reset-required' },
      { state: 'ok', recoveryAction: 'reset' },
    ] as const satisfies readonly GpuFacts[]) {
      expect(standings(incidentsOf([gsp, driverLoadAt(2_000)], withFacts(facts)))).toEqual({
        119: 'primary',
      });
    }
    const failed = incidentsOf(
      [
        xidAt(0, 64, 'Row Remapper Error: (0x0) - All reserved rows for bank are remapped'),
        driverLoadAt(2_000),
      ],
      withFacts({ state: 'ok', hasRemapFailed: true }),
    );
    expect(find(failed, 64)).toMatchObject({ standing: 'primary', action: 'contact-support' });
  });

  test('that a GPU answers now is no proof of a reset that nobody saw', () => {
    const lines = [xidAt(0, 79, lost)];
    const well = withFacts({ state: 'ok', recoveryAction: 'none' });
    expect(find(incidentsOf(lines, well), 79)).toMatchObject({ standing: 'primary', verdict: 'critical' });
    expect(find(incidentsOf([...lines, driverLoadAt(2_000)], well), 79)).toMatchObject({
      standing: 'recovered',
      action: 'none',
      verdict: 'ok',
    });
    expect(standings(incidentsOf([gsp], well))).toEqual({ 119: 'primary' });
  });

  test('the banner of the very load in which a GPU could not be brought up mends nothing', () => {
    const unable = kernelLine(100, 'NVRM: GPU 0000:3b:00.0: RmInitAdapter failed! (0x26:0x1a:1227)');
    const standingOf = (seconds: number) =>
      incidentsOf([unable, driverLoadAt(seconds)]).find(({ kind }) => kind === 'init-failure')?.standing;
    expect(standingOf(101)).toBe('primary');
    expect(standingOf(1_000)).toBe('recovered');
  });

  test('a lost GPU that did not come back after the restart is still lost', () => {
    const unable = kernelLine(2_100, 'NVRM: GPU 0000:3b:00.0: RmInitAdapter failed! (0x26:0x1a:1227)');
    expect(find(incidentsOf([xidAt(0, 79, lost), driverLoadAt(2_000), unable]), 79)?.standing).toBe(
      'primary',
    );
    const missing = incidentsOf([xidAt(0, 79, lost, 'af'), driverLoadAt(2_000)], { gpus: inventory });
    expect(find(missing, 79, '0000:af:00')?.standing).toBe('primary');
  });

  test('a line that a program wrote ends nothing', () => {
    const forged = driverLoadAt(2_000).replace('node kernel:', 'node logger[12]:');
    expect(standings(incidentsOf([gsp, forged]))).toEqual({ 119: 'primary' });
  });
});

test('two files are two machines, unless they are said to be of one', () => {
  const event = (file: string, xid: number): KernelEvent => ({
    kind: 'xid',
    xid,
    pciAddress: '0000:3b:00',
    detail: '',
    severity: xid === 48 ? 'critical' : 'warning',
    action: xid === 48 ? 'reset-gpu' : 'restart-app',
    at: secondsIn(0),
    uptimeSeconds: null,
    trusted: true,
    raw: `${file} ${xid}`,
    file,
    line: 1,
  });
  const events = [event('kern.log.1', 48), event('kern.log', 94)];
  expect(standings(groupIncidents(events))).toEqual({ 48: 'primary', 94: 'primary' });
  expect(standings(groupIncidents(events, { isOneMachine: true }))).toEqual({
    48: 'primary',
    94: 'sympathetic',
  });
});

test('a load of the driver ends nothing of the host', () => {
  const oom = kernelLine(0, 'Out of memory: Killed process 70 (python3) total-vm:1kB');
  expect(standings(incidentsOf([oom, driverLoadAt(100)]))).toEqual({ 'oom-kill': 'primary' });
  const boot = kernelLine(100, 'Linux version 6.8.0-45-generic (x@y) #45');
  expect(standings(incidentsOf([oom, boot]))).toEqual({ 'oom-kill': 'recovered' });
});

test('a judge that excused everything would be seen', () => {
  const alone = incidentsOf([xidAt(0, 95, uncontained)]);
  const excused = incidentsOf([xidAt(0, 48, dbe), xidAt(0, 95, uncontained)]);
  expect(find(alone, 95)?.verdict).toBe('critical');
  expect(find(excused, 95)?.verdict).not.toBe('critical');
});
