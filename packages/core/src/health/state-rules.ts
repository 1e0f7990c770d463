import { medianOf } from '../diagnosis/statistics.ts';
import type { GpuReading } from '../domain/gpu.ts';
import type { RecoveryAction } from '../domain/readings/recovery.ts';
import type { Action, Verdict } from '../domain/verdict.ts';
import {
  type Candidate,
  evidence,
  finding,
  type HealthRule,
  missing,
  type RuleContext,
  type RuleFinding,
  type RuleOutcome,
  readingOf,
} from './rule.ts';

/** The driver's advice in our vocabulary. Source: NVML recovery action (field 230); DCGM treats 1, 2 and 4 as errors, 3 as a warning. */
const recovery = {
  none: undefined,
  reset: { verdict: 'critical', action: 'reset-gpu' },
  reboot: { verdict: 'critical', action: 'reboot-node' },
  'drain-p2p': { verdict: 'warning', action: 'drain-node' },
  'drain-and-reset': { verdict: 'critical', action: 'reset-gpu' },
  'recover-imex-domain': { verdict: 'warning', action: 'restart-service' },
} as const satisfies Record<RecoveryAction, { verdict: Verdict; action: Action } | undefined>;

const milliseconds = (what: string, value: number) => ({
  value,
  unit: 'ms',
  what,
  minimum: 1,
  maximum: 3_600_000,
});

function evaluateProbe(reading: GpuReading, context: RuleContext): RuleOutcome {
  const probe = reading.probeMilliseconds;
  if (probe === undefined) return 'not-applicable';
  const limitOf = (name: string) => context.threshold('driver.slow', name);
  const usual = medianOf(context.siblings.flatMap(({ probeMilliseconds }) => probeMilliseconds ?? []));
  const besideSiblings =
    usual !== undefined && probe > limitOf('besideSiblings') && probe >= limitOf('timesSiblings') * usual;
  if (!besideSiblings && probe <= limitOf('alone')) return 'pass';
  const seconds = (probe / 1_000).toFixed(1);
  const others =
    besideSiblings && usual !== undefined ? `, its siblings typically ${(usual / 1_000).toFixed(1)} s` : '';
  const threshold = limitOf(besideSiblings ? 'besideSiblings' : 'alone');
  return finding({
    verdict: 'warning',
    what: `The driver took ${seconds} s to answer for this GPU${others}: it may be about to hang.`,
    evidence: [{ field: 'probeMilliseconds', value: Math.round(probe), threshold }],
    action: 'monitor',
    confidence: besideSiblings ? 'medium' : 'low',
  });
}

const libraryCrash = {
  id: 'driver.library-crashed',
  title: "The driver's library crashed",
  threshold: 'the process that asks the driver was ended by a signal such as SIGSEGV or SIGABRT',
  appliesTo: 'all products',
  verdict: 'warning',
  action: 'update-software',
  confidence: 'medium',
  source: 'NVIDIA/NVSentinel#1574 (a driver that cannot be asked is a fault of its own)',
  note: 'The process is apart from the server, so nothing else is lost. One crash asks only to be watched.',
} as const;

function crashFinding(detail: string | undefined): RuleFinding {
  return {
    verdict: 'warning',
    what: "The driver's library crashed while it was asked; the next question starts it anew.",
    evidence: [{ field: 'state', value: detail ?? 'ADAPTER_CRASHED' }],
    action: 'update-software',
    actionAlone: 'monitor',
    confirmedBy: ['log.version-mismatch', 'driver.slow'],
    confidence: 'medium',
  };
}

/** The same crash, when it was the node and no single GPU that was asked about. */
export function driverLibraryCrash(detail: string): Candidate {
  return { ruleId: libraryCrash.id, source: libraryCrash.source, ...crashFinding(detail) };
}

/** What the driver says, or does not say, of the GPU as a whole. */
export const stateRules: readonly HealthRule[] = [
  {
    id: 'gpu.lost',
    title: 'GPU lost',
    threshold: 'the driver answers "GPU is lost" (NVML return code 15)',
    appliesTo: 'all products',
    verdict: 'critical',
    action: 'reboot-node',
    confidence: 'high',
    source: 'NVML NVML_ERROR_GPU_IS_LOST; NVIDIA Xid catalogue, Xid 79 (immediate action RESTART_BM)',
    essential: true,
    sections: [],
    evaluate: ({ state, stateDetail }) =>
      state === 'lost'
        ? finding({
            verdict: 'critical',
            what: 'The driver has lost this GPU: it no longer answers on its bus.',
            evidence: [{ field: 'state', value: stateDetail ?? 'lost' }],
            action: 'reboot-node',
            authoritative: true,
            confidence: 'high',
          })
        : 'pass',
  },
  {
    id: 'gpu.hung',
    title: 'GPU hung',
    threshold: 'the driver does not come back for this GPU within the deadline of the call',
    appliesTo: 'all products',
    verdict: 'critical',
    action: 'reset-gpu',
    confidence: 'medium',
    source: 'NVIDIA/NVSentinel#1574 (unresponsive driver is a fault of its own)',
    note: 'Alone it asks only for a look at the kernel log; a reset needs a second finding, such as Xid 119.',
    essential: true,
    sections: [],
    evaluate: ({ state, stateDetail }) =>
      state === 'hung'
        ? finding({
            verdict: 'critical',
            what: 'The driver did not answer for this GPU in time; its siblings were asked apart from it.',
            evidence: [{ field: 'state', value: stateDetail ?? 'hung' }],
            action: 'reset-gpu',
            actionAlone: 'monitor',
            confirmedBy: ['log.', 'recovery.'],
            confidence: 'medium',
          })
        : 'pass',
  },
  {
    id: 'gpu.reset-required',
    title: 'GPU waits for a reset',
    threshold: 'the driver answers "reset required" (NVML return code 16)',
    appliesTo: 'all products',
    verdict: 'critical',
    action: 'reset-gpu',
    confidence: 'high',
    source: 'NVML NVML_ERROR_RESET_REQUIRED',
    essential: true,
    sections: [],
    evaluate: ({ state, stateDetail }) =>
      state === 'reset-required'
        ? finding({
            verdict: 'critical',
            what: 'The driver refuses to use this GPU until it is reset.',
            evidence: [{ field: 'state', value: stateDetail ?? 'reset-required' }],
            action: 'reset-gpu',
            authoritative: true,
            confidence: 'high',
          })
        : 'pass',
  },
  {
    id: 'gpu.unreadable',
    title: 'GPU unreadable',
    threshold: 'the GPU is counted by the driver but could not be read',
    appliesTo: 'all products',
    verdict: 'unknown',
    action: 'none',
    confidence: 'high',
    source: 'NVIDIA/NVSentinel#155, aws/eks-node-monitoring-agent#241 (unreadable taken for healthy)',
    essential: true,
    sections: [],
    evaluate: ({ state, stateDetail, errorCode }) =>
      state === 'unreadable' && errorCode !== 'GPU_NOT_FOUND'
        ? finding({
            verdict: 'unknown',
            what: 'This GPU could not be read, so nothing can be said of its health.',
            evidence: [{ field: 'state', value: stateDetail ?? 'unreadable' }],
            action: 'none',
            confidence: 'high',
          })
        : 'pass',
  },
  {
    id: 'gpu.missing-handle',
    title: 'GPU that cannot be opened',
    threshold: 'the driver lists the GPU, or did before, and answers that it fails to open it',
    appliesTo: 'all products',
    verdict: 'critical',
    action: 'reboot-node',
    confidence: 'medium',
    source: 'leptonai/gpud; Amazon EKS node monitoring agent; AKS GPUMissing (GPU count mismatch is fatal)',
    note: 'A refusal for want of permission is not meant. Alone it asks for a look at the kernel log.',
    essential: true,
    sections: [],
    evaluate: ({ state, stateDetail, errorCode }) =>
      state === 'unreadable' && errorCode === 'GPU_NOT_FOUND'
        ? finding({
            verdict: 'critical',
            what: 'The driver can no longer open this GPU, which it lists or has listed before.',
            evidence: [{ field: 'state', value: stateDetail ?? 'unreadable' }],
            action: 'reboot-node',
            actionAlone: 'monitor',
            confirmedBy: ['gpu.config-space-dead', 'gpu.not-on-bus', 'gpu.missing-from-driver', 'log.'],
            confidence: 'medium',
          })
        : 'pass',
  },
  {
    ...libraryCrash,
    essential: true,
    sections: [],
    evaluate: ({ errorCode, stateDetail }) =>
      errorCode === 'ADAPTER_CRASHED' ? finding(crashFinding(stateDetail)) : 'pass',
  },
  {
    id: 'driver.slow',
    title: 'Slow driver',
    threshold:
      'reading one GPU takes over 2 s and at least 10 times the median of its siblings, or over 10 s with none to compare with',
    thresholds: {
      besideSiblings: milliseconds('warning above it beside faster siblings', 2_000),
      timesSiblings: {
        value: 10,
        unit: 'times the median of the siblings',
        what: 'needed beside it',
        minimum: 1,
        maximum: 10_000,
      },
      alone: milliseconds('warning above it in any case', 10_000),
    },
    appliesTo: 'all products',
    verdict: 'warning',
    action: 'monitor',
    confidence: 'medium',
    source: 'NVIDIA/NVSentinel#1574 (probe latency as an early sign); the numbers are ours',
    note: 'Where the backend cannot tell, the time spent waiting for other GPUs counts too, so only a GPU that stands out is named.',
    essential: false,
    sections: [],
    evaluate: evaluateProbe,
  },
  {
    id: 'recovery.action',
    title: 'The driver asks for a recovery action',
    threshold: 'anything but none',
    appliesTo: 'products whose driver tells it (NVML 12.8 and newer)',
    verdict: 'critical',
    action: 'reboot-node',
    confidence: 'high',
    source:
      'NVML recovery action (field 230); NVIDIA/DCGM#263 (health said healthy while it asked for a reset)',
    note: 'Outranks our own mapping. Advice that is not understood is not the same as none.',
    essential: false,
    mustBeUnderstood: true,
    sections: ['recovery'],
    evaluate(reading) {
      const asked = readingOf(reading, 'recovery.action');
      if (asked === undefined) return missing(reading, 'recovery.action');
      const advice = recovery[asked];
      if (!advice) return 'pass';
      return finding({
        ...advice,
        what: `The driver asks for recovery action "${asked}".`,
        evidence: [evidence('recovery.action', asked, 'none')],
        authoritative: true,
        confidence: 'high',
      });
    },
  },
];
