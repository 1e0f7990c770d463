import type { Incident } from '../src/domain/incident.ts';

/** An incident to change: Xid 79 of the H100 at index 0, written by the kernel. */
export function incident(changes: Partial<Incident> = {}): Incident {
  return {
    id: 'xid-79@0000:18:00#2026-01-01T00:00:00.000Z',
    kind: 'xid',
    xid: 79,
    title: 'GPU has fallen off the bus',
    explanation: 'The driver cannot reach the GPU over PCIe.',
    severity: 'fatal',
    verdict: 'critical',
    action: 'power-cycle',
    applicationCommon: false,
    pciAddress: '0000:18:00',
    gpu: { index: 0, uuid: 'GPU-5f3a0e52-6c1d-4b7e-9a44-0d9f7c3b1e10' },
    count: 1,
    firstAt: '2026-01-01T00:00:00.000Z',
    lastAt: '2026-01-01T00:00:00.000Z',
    firstUptimeSeconds: null,
    lastUptimeSeconds: null,
    trusted: true,
    processes: [],
    links: [],
    raw: ['NVRM: Xid (PCI:0000:18:00): 79, GPU has fallen off the bus.'],
    source: 'NVIDIA Xid catalogue',
    standing: 'primary',
    occurrenceCount: 1,
    citations: [],
    ...changes,
  };
}
