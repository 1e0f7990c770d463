import type { Cause } from '../../domain/diagnosis.ts';
import { pciDeviceKey } from '../../domain/pci-address.ts';
import type { Finding } from '../../domain/verdict.ts';
import { nodeSubject, type Sign, type Subject } from './sign.ts';

/** A row of the published table: what findings of a kind say. */
export interface FindingIndicator {
  /** Beginning of the rule ids; the longest that fits counts. */
  readonly ruleIds: string;
  /** Decibans for each cause, of a critical finding. Empty: no sign of any cause. */
  readonly says: readonly (readonly [cause: Cause, decibans: number])[];
  /** The vendor's own word, enough for a disruptive action and for high confidence. */
  readonly authoritative?: true;
  /** Names what to do and not why: it speaks for whatever else is known of the GPU. */
  readonly advice?: true;
}

/** Every kind of finding. The numbers are judged; that of the vendor's word is fixed (50), see docs/diagnosis.md. */
export const findingIndicators: readonly FindingIndicator[] = [
  { ruleIds: '', says: [['gpu-hardware', 12]] },
  { ruleIds: 'log.', says: [] },
  { ruleIds: 'recovery.', says: [['gpu-hardware', 50]], authoritative: true, advice: true },
  { ruleIds: 'gpu.reset-required', says: [['gpu-hardware', 50]], authoritative: true, advice: true },
  { ruleIds: 'gpu.lost', says: [['gpu-bus', 50]], authoritative: true },
  {
    ruleIds: 'gpu.hung',
    says: [
      ['gpu-firmware', 20],
      ['gpu-hardware', 15],
      ['driver', 15],
    ],
  },
  { ruleIds: 'gpu.config-space-dead', says: [['gpu-bus', 30]] },
  { ruleIds: 'gpu.not-on-bus', says: [['gpu-bus', 30]] },
  {
    ruleIds: 'gpu.missing',
    says: [
      ['gpu-missing', 30],
      ['gpu-bus', 10],
    ],
  },
  { ruleIds: 'gpu.without-driver', says: [['driver', 30]] },
  { ruleIds: 'gpu.bound-to-other-driver', says: [['configuration', 30]] },
  { ruleIds: 'gpu.without-device-node', says: [['gpu-service', 30]] },
  { ruleIds: 'gpu.unreadable', says: [] },
  { ruleIds: 'gpu.nothing-to-judge-by', says: [] },
  { ruleIds: 'ecc.', says: [['gpu-memory', 30]] },
  { ruleIds: 'ecc.sram-threshold', says: [['gpu-memory', 50]], authoritative: true },
  { ruleIds: 'ecc.mode', says: [['configuration', 26]] },
  { ruleIds: 'ecc.disabled', says: [['configuration', 26]] },
  { ruleIds: 'remap.', says: [['gpu-memory', 28]] },
  { ruleIds: 'remap.failed', says: [['gpu-memory', 50]], authoritative: true },
  { ruleIds: 'remap.unrepairable', says: [['gpu-memory', 50]], authoritative: true },
  { ruleIds: 'memory.', says: [['gpu-memory', 26]] },
  { ruleIds: 'memory.bar1', says: [['configuration', 24]] },
  { ruleIds: 'inforom.', says: [['gpu-hardware', 28]] },
  { ruleIds: 'inforom.corrupt', says: [['gpu-hardware', 50]], authoritative: true },
  { ruleIds: 'firmware.', says: [['gpu-firmware', 28]] },
  { ruleIds: 'firmware.gsp-version', says: [['driver', 28]] },
  { ruleIds: 'firmware.gsp-disabled', says: [['configuration', 26]] },
  { ruleIds: 'nvlink.', says: [['nvlink', 28]] },
  { ruleIds: 'topology.nvlink', says: [['nvlink', 28]] },
  { ruleIds: 'topology.fabric', says: [['gpu-service', 30]] },
  {
    ruleIds: 'topology.fabric-degraded',
    says: [
      ['nvswitch', 24],
      ['nvlink', 20],
    ],
  },
  {
    ruleIds: 'topology.peer-access',
    says: [
      ['nvlink', 24],
      ['configuration', 22],
    ],
  },
  { ruleIds: 'topology.no-cpu-affinity', says: [['configuration', 26]] },
  { ruleIds: 'fabric.', says: [['gpu-service', 30]] },
  { ruleIds: 'fabric.clique', says: [['configuration', 28]] },
  {
    ruleIds: 'fabric.health',
    says: [
      ['nvswitch', 24],
      ['nvlink', 20],
    ],
  },
  { ruleIds: 'pcie.', says: [['pcie-link', 28]] },
  { ruleIds: 'pcie.slot-generation', says: [['configuration', 26]] },
  { ruleIds: 'thermal.', says: [['thermal', 30]] },
  { ruleIds: 'clocks.', says: [['configuration', 22]] },
  { ruleIds: 'clocks.thermal', says: [['thermal', 30]] },
  { ruleIds: 'clocks.software-thermal', says: [['thermal', 30]] },
  { ruleIds: 'clocks.board-limit', says: [['power', 26]] },
  { ruleIds: 'clocks.reliability', says: [['power', 24]] },
  {
    ruleIds: 'clocks.low-under-load',
    says: [
      ['configuration', 22],
      ['power', 21],
      ['thermal', 21],
    ],
  },
  {
    ruleIds: 'clocks.hardware-slowdown',
    says: [
      ['power', 22],
      ['thermal', 20],
    ],
  },
  { ruleIds: 'power.', says: [['power', 30]] },
  { ruleIds: 'power.limit', says: [['configuration', 28]] },
  { ruleIds: 'driver.', says: [['driver', 28]] },
  { ruleIds: 'driver.version-mismatch', says: [['driver', 50]], authoritative: true },
  {
    ruleIds: 'driver.unresponsive',
    says: [
      ['driver', 26],
      ['gpu-firmware', 26],
    ],
  },
  {
    ruleIds: 'driver.slow',
    says: [
      ['gpu-firmware', 22],
      ['driver', 20],
    ],
  },
  { ruleIds: 'platform.', says: [['configuration', 26]] },
  { ruleIds: 'platform.persistence-mode', says: [['gpu-service', 26]] },
  { ruleIds: 'mig.', says: [['configuration', 28]] },
  { ruleIds: 'drift.', says: [['configuration', 26]] },
  { ruleIds: 'processes.', says: [['leftover-process', 30]] },
  { ruleIds: 'compare.stalled-collective', says: [['stalled-collective', 34]] },
  { ruleIds: 'service.', says: [['gpu-service', 30]] },
  { ruleIds: 'diagnostic.', says: [['gpu-hardware', 30]] },
  { ruleIds: 'diagnostic.set-up-test', says: [['configuration', 26]] },
  { ruleIds: 'application.illegal-access', says: [['application-fault', 30]] },
  { ruleIds: 'application.gpu-out-of-memory', says: [['application-gpu-memory', 34]] },
  { ruleIds: 'application.collective-timeout', says: [['stalled-collective', 30]] },
];

const byLength = findingIndicators.toSorted((a, b) => b.ruleIds.length - a.ruleIds.length);

export function indicatorOf(ruleId: string): FindingIndicator {
  // The row without a beginning fits all.
  return byLength.find(({ ruleIds }) => ruleId.startsWith(ruleIds)) ?? { ruleIds: '', says: [] };
}

/** How much of it counts: a warning says less than a critical finding, and one of low confidence least. */
function shareOf({ verdict, confidence }: Finding): number {
  if (verdict !== 'critical' && verdict !== 'warning') return 0;
  if (confidence === 'low') return 0.6;
  return verdict === 'warning' ? 0.75 : 1;
}

/** The GPU, the device whose address stands in its evidence, or the node. */
export function subjectOfFinding({ gpu, evidence }: Finding): Subject {
  if (gpu !== undefined) return { gpu };
  const address = evidence.find(({ field }) => field === 'pciBus.pciAddress')?.value;
  const pciDevice = typeof address === 'string' ? pciDeviceKey(address) : undefined;
  return pciDevice === undefined ? nodeSubject : { pciDevice };
}

/** What the driver asks for, where that tells more than that the GPU needs it. Source: NVML recovery actions. */
const causeOfAdvice: Readonly<Record<string, Cause>> = {
  'drain-p2p': 'nvlink',
  'recover-imex-domain': 'gpu-service',
};

/** What one finding says; nothing when it is no fault or could not be judged. */
export function signsOfFinding(finding: Finding): readonly Sign[] {
  const share = shareOf(finding);
  const { says, authoritative, advice, ruleIds } = indicatorOf(finding.ruleId);
  if (share === 0) return [];
  const asked = advice ? String(finding.evidence[0]?.value ?? '') : '';
  return says.map(([cause, decibans]) => ({
    indicator: ruleIds === '' ? finding.ruleId : ruleIds,
    cause: causeOfAdvice[asked] ?? cause,
    subject: subjectOfFinding(finding),
    decibans: authoritative ? decibans : Math.round(decibans * share),
    ...(authoritative ? { authoritative } : {}),
    ...(finding.ruleId.startsWith('application.') ? { hearsay: true } : {}),
    evidence: finding.evidence.slice(0, 4),
  }));
}
