import type { GpuReading } from '../domain/gpu.ts';
import { majorityOf, peersOf } from './compare.ts';
import { linkFault } from './confirmation.ts';
import {
  evidence,
  finding,
  type HealthRule,
  missing,
  passUnlessMissing,
  type ReadingPath,
  type RuleContext,
  type RuleOutcome,
  readingOf,
} from './rule.ts';

const isOnSwitch = ({ nvlink }: GpuReading) =>
  nvlink?.links?.some(({ remoteDeviceType }) => remoteDeviceType === 'switch') === true;

/** Without a word on how it ended, a registration that has ended may have failed. */
function withoutStatus(reading: GpuReading): RuleOutcome {
  const outcome = missing(reading, 'fabric.status');
  if (outcome !== 'not-applicable') return outcome;
  return { unknown: { field: 'fabric.status', reason: 'error', detail: 'completed without a status' } };
}

function evaluateFabricState(reading: GpuReading): RuleOutcome {
  const state = readingOf(reading, 'fabric.state');
  if (state === undefined) return missing(reading, 'fabric.state');
  if (state === 'not-supported') return 'not-applicable';
  if (state === 'completed') {
    const status = readingOf(reading, 'fabric.status');
    if (status === undefined) return withoutStatus(reading);
    if (status === 'NVML_SUCCESS') return 'pass';
    return finding({
      verdict: 'critical',
      what: 'Registration with the NVLink fabric ended with an error: work across GPUs fails.',
      evidence: [evidence('fabric.status', status, 'NVML_SUCCESS')],
      action: 'reboot-node',
      actionAlone: 'restart-service',
      confirmedBy: ['nvlink.', ...linkFault],
      confidence: 'high',
    });
  }
  const begun = state === 'in-progress';
  return finding({
    verdict: 'critical',
    what: `Registration with the NVLink fabric has ${begun ? 'begun but not ended' : 'not begun'}: CUDA does not start until Fabric Manager ends it.`,
    evidence: [evidence('fabric.state', state, 'completed')],
    action: 'restart-service',
    confidence: begun ? 'medium' : 'high',
  });
}

const fabricHealthPaths = [
  'fabric.degradedBandwidth',
  'fabric.routeRecovery',
  'fabric.routeUnhealthy',
  'fabric.accessTimeoutRecovery',
  'fabric.misconfiguration',
  'fabric.healthSummary',
] as const satisfies readonly ReadingPath[];

const fabricTroubles: Readonly<Record<string, string>> = {
  'fabric.degradedBandwidth': 'its bandwidth is degraded',
  'fabric.routeRecovery': 'a route is being recovered',
  'fabric.routeUnhealthy': 'a route is unhealthy',
  'fabric.accessTimeoutRecovery': 'it recovers from an access timeout',
  'fabric.misconfiguration': 'it is configured wrongly',
};

function evaluateFabricHealth(reading: GpuReading): RuleOutcome {
  const troubles = fabricHealthPaths.flatMap((path) => {
    const value = readingOf(reading, path);
    const well = [undefined, false, 'none', 'healthy', 'not-supported'].includes(value);
    return well || value === undefined ? [] : [{ path, value }];
  });
  if (troubles.length === 0) return passUnlessMissing(reading, fabricHealthPaths);
  const named = troubles.flatMap(({ path }) => fabricTroubles[path] ?? []);
  const onlyLimited = troubles.every(({ value }) => value === 'limited-capacity');
  return finding({
    verdict: onlyLimited ? 'warning' : 'critical',
    what: onlyLimited
      ? 'The NVLink fabric of this GPU runs at limited capacity.'
      : `The NVLink fabric of this GPU is not healthy${named.length > 0 ? `: ${named.join(', ')}` : ''}.`,
    evidence: troubles.map(({ path, value }) => evidence(path, value)),
    action: 'contact-support',
    actionAlone: 'monitor',
    confirmedBy: ['nvlink.', ...linkFault],
    confidence: 'high',
  });
}

const cliqueOf = ({ fabric }: GpuReading) =>
  fabric?.clusterUuid == null || fabric.cliqueId === null
    ? undefined
    : `${fabric.clusterUuid} ${fabric.cliqueId}`;

function evaluateClique(reading: GpuReading, context: RuleContext): RuleOutcome {
  const own = cliqueOf(reading);
  if (own === undefined) return passUnlessMissing(reading, ['fabric.clusterUuid', 'fabric.cliqueId']);
  const most = majorityOf(peersOf(reading, context).flatMap((peer) => cliqueOf(peer) ?? []));
  if (most === undefined) return 'not-judged';
  if (own === most) return 'pass';
  return finding({
    verdict: 'warning',
    what: 'This GPU belongs to another NVLink cluster or clique than most of its siblings and cannot reach them.',
    evidence: [
      evidence('fabric.clusterUuid', readingOf(reading, 'fabric.clusterUuid') ?? null),
      evidence('fabric.cliqueId', readingOf(reading, 'fabric.cliqueId') ?? null),
    ],
    action: 'restart-service',
    confidence: 'medium',
  });
}

/** Registration with the fabric of NVLink switches, and its health. */
export const fabricRules: readonly HealthRule[] = [
  {
    id: 'fabric.state',
    title: 'NVLink fabric registration',
    threshold: 'anything but completed with NVML_SUCCESS, where the product has a fabric',
    appliesTo: 'products with NVLink switches; not PCIe cards, nor a GH200 by itself',
    verdict: 'critical',
    action: 'reboot-node',
    confidence: 'high',
    source:
      'NVSentinel system services (PR#1382); leptonai/gpud PR#1106, #1147, #1206; NVIDIA Health Validation',
    note: 'PCIe cards and machines without NVLink switches say not-supported and are not judged. A reading seconds after boot may catch a registration that is still under way; a host that lends its GPUs to virtual machines may wait for them.',
    essential: false,
    mustBeUnderstood: true,
    sections: ['fabric', 'nvlink'],
    applies: ({ nvswitch }, reading) => nvswitch !== 'never' || isOnSwitch(reading),
    evaluate: evaluateFabricState,
  },
  {
    id: 'fabric.health',
    title: 'NVLink fabric health',
    threshold:
      'any part of the fabric health mask set, a configuration error, or a summary other than healthy',
    appliesTo: 'products that report the health of their fabric',
    verdict: 'critical',
    action: 'contact-support',
    confidence: 'high',
    source:
      'NVML fabric health mask; aws/eks-node-monitoring-agent (any two-bit field = 1, configuration >= 2)',
    note: 'A part that the product does not report is not judged; limited capacity alone is a warning.',
    essential: false,
    sections: ['fabric'],
    evaluate: evaluateFabricHealth,
  },
  {
    id: 'fabric.clique',
    title: 'Another fabric than its siblings',
    threshold: 'cluster or clique differs from most siblings of the node',
    appliesTo: 'products registered with a fabric',
    verdict: 'warning',
    action: 'restart-service',
    confidence: 'medium',
    source:
      'NVIDIA IMEX guide and NVML fabric info (GPUs reach each other only within one cluster and clique)',
    note: 'A node that is partitioned on purpose has no majority or says so by its siblings.',
    essential: false,
    sections: ['fabric'],
    evaluate: evaluateClique,
  },
];
