import type { GpuReading } from '../domain/gpu.ts';
import {
  evidence,
  finding,
  type HealthRule,
  missing,
  passUnlessMissing,
  type ReadingPath,
  type RuleOutcome,
  readingOf,
  whenSet,
} from './rule.ts';

/** What says of an NVLink or fabric fault, beside the link states themselves, that it is real. Xid 74, and 144 to 150 for NVLink 5. */
const linkFault = ['recovery.', 'log.sxid', 'log.nvlink-fault', 'log.xid-74'].concat(
  [144, 145, 146, 147, 148, 149, 150].map((code) => `log.xid-${code}`),
);

function evaluateInactiveLinks(reading: GpuReading): RuleOutcome {
  const links = readingOf(reading, 'nvlink.links');
  if (links === undefined) return missing(reading, 'nvlink.links');
  const active = links.filter((link) => link.active === true);
  const inactive = links.filter((link) => link.active === false);
  if (active.length > 0 && inactive.length > 0) {
    // On a switch every link is wired; a bridge between cards may leave some unused.
    const onSwitch = active.some((link) => link.remoteDeviceType === 'switch');
    return finding({
      verdict: onSwitch ? 'critical' : 'warning',
      what: `${inactive.length} of ${links.length} NVLinks are down (${inactive.map(({ link }) => link).join(', ')}) while the others are up.`,
      evidence: [evidence('nvlink.links', active.length, links.length)],
      action: 'reset-gpu',
      actionAlone: 'monitor',
      confirmedBy: ['fabric.', ...linkFault],
      confidence: onSwitch ? 'high' : 'low',
    });
  }
  const unread = links.some((link) => link.active === null);
  if (unread) {
    const gap = reading.gaps.find(({ field }) => field === 'nvlink.links.active');
    if (gap?.reason === 'unsupported') return 'not-applicable';
    const { reason, detail } = gap ?? ({ reason: 'error', detail: 'not read' } as const);
    return { unknown: { field: 'nvlink.links.active', reason, detail } };
  }
  return active.length === 0 ? 'not-applicable' : 'pass';
}

function evaluateFabricState(reading: GpuReading): RuleOutcome {
  const state = readingOf(reading, 'fabric.state');
  if (state === undefined) return missing(reading, 'fabric.state');
  if (state === 'not-supported') return 'not-applicable';
  if (state === 'completed') {
    const status = readingOf(reading, 'fabric.status');
    if (status === undefined) return missing(reading, 'fabric.status');
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

/** PCIe, NVLink and the NVLink fabric. */
export const linkRules: readonly HealthRule[] = [
  {
    id: 'pcie.width',
    title: 'PCIe link width',
    threshold: 'current width below the width that GPU and slot both offer',
    source: 'NVIDIA/NVSentinel#890; Oracle OCI health checks; Imbue host-health (kernel "limited by")',
    note: 'Width is judged always; generation drops when idle and is not judged here.',
    essential: false,
    sections: ['pcie'],
    evaluate(reading) {
      const current = readingOf(reading, 'pcie.currentLinkWidthLanes');
      const maximum = readingOf(reading, 'pcie.maxLinkWidthLanes');
      if (current === undefined) return missing(reading, 'pcie.currentLinkWidthLanes');
      if (maximum === undefined) return missing(reading, 'pcie.maxLinkWidthLanes');
      if (current >= maximum) return 'pass';
      return finding({
        verdict: 'warning',
        what: `The PCIe link runs x${current} where x${maximum} is possible: transfers to the host are slower.`,
        evidence: [evidence('pcie.currentLinkWidthLanes', current, maximum)],
        action: 'check-mechanicals',
        actionAlone: 'monitor',
        confirmedBy: ['log.pcie-error', 'log.xid-79', 'log.bus-loss'],
        confidence: 'high',
      });
    },
  },
  {
    id: 'pcie.fatal-errors',
    title: 'Fatal PCIe errors',
    threshold: '> 0 fatal errors since the driver was loaded',
    source:
      'PCI Express Advanced Error Reporting (a fatal error makes the link unreliable); NVML PCIe counters',
    note: 'When they happened is not known, so they are a warning; the kernel log tells the time. Replays and corrected errors are not judged by their lifetime counts: get_gpu_telemetry with a window shows whether they still come.',
    essential: false,
    sections: ['pcie'],
    evaluate: whenSet('pcie.fatalErrorCount', (count) => ({
      verdict: 'warning',
      what: `${count} fatal PCIe error${count === 1 ? '' : 's'} since the driver was loaded: the link to this GPU broke down at some time.`,
      evidence: [evidence('pcie.fatalErrorCount', count, 0)],
      action: 'check-mechanicals',
      actionAlone: 'monitor',
      confirmedBy: ['log.pcie-error', 'log.xid-79', 'log.bus-loss'],
      confidence: 'medium',
    })),
  },
  {
    id: 'nvlink.inactive-links',
    title: 'NVLinks down',
    threshold:
      '> 0 links down while other links of the same GPU are up; critical where they lead to a switch',
    source: 'NVIDIA Health Validation; Azure AzHPC node health checks; NVSentinel NVLINK_DOWN (PR#1481)',
    note: 'A card without a bridge has all links down and is not judged. Error counters of links are lifetime counts and are not judged either: get_gpu_telemetry with a window shows whether they grow.',
    essential: false,
    sections: ['nvlink'],
    evaluate: evaluateInactiveLinks,
  },
  {
    id: 'fabric.state',
    title: 'NVLink fabric registration',
    threshold: 'anything but completed with NVML_SUCCESS, where the product has a fabric',
    source:
      'NVSentinel system services (PR#1382); leptonai/gpud PR#1106, #1147, #1206; NVIDIA Health Validation',
    note: 'PCIe cards and machines without NVLink switches say not-supported and are not judged. A reading seconds after boot may catch a registration that is still under way; a host that lends its GPUs to virtual machines may wait for them.',
    essential: false,
    sections: ['fabric'],
    evaluate: evaluateFabricState,
  },
  {
    id: 'fabric.health',
    title: 'NVLink fabric health',
    threshold:
      'any part of the fabric health mask set, a configuration error, or a summary other than healthy',
    source:
      'NVML fabric health mask; aws/eks-node-monitoring-agent (any two-bit field = 1, configuration >= 2)',
    note: 'A part that the product does not report is not judged; limited capacity alone is a warning.',
    essential: false,
    sections: ['fabric'],
    evaluate: evaluateFabricHealth,
  },
];
