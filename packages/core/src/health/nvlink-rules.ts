import { medianOf } from '../diagnosis/statistics.ts';
import type { GpuReading } from '../domain/gpu.ts';
import { productOf } from './applicability.ts';
import { counted, inWords, type LinkGrowth, missingOfLinks, peersOf, whenLinksGrown } from './compare.ts';
import { linkFault } from './confirmation.ts';
import {
  evidence,
  finding,
  type HealthRule,
  missing,
  type RuleContext,
  type RuleFinding,
  type RuleOutcome,
  readingOf,
} from './rule.ts';

function evaluateInactiveLinks(reading: GpuReading): RuleOutcome {
  const links = readingOf(reading, 'nvlink.links');
  if (links === undefined) return missing(reading, 'nvlink.links');
  const active = links.filter((link) => link.active === true);
  const inactive = links.filter((link) => link.active === false);
  if (active.length > 0 && inactive.length > 0) {
    // On a baseboard every link is wired; a bridge between cards may leave some unused.
    const onSwitch = isOnSwitch(reading);
    const isWired = onSwitch || isOnBaseboard(reading);
    return finding({
      verdict: isWired ? 'critical' : 'warning',
      what: `${inactive.length} of ${links.length} NVLinks are down (${inactive.map(({ link }) => link).join(', ')}) while the others are up.`,
      evidence: [evidence('nvlink.links', active.length, links.length)],
      action: 'reset-gpu',
      actionAlone: 'monitor',
      confirmedBy: ['fabric.', ...linkFault],
      confidence: onSwitch ? 'high' : isWired ? 'medium' : 'low',
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

/** What the active links lead to; a registered GPU has a fabric, also where its links do not say it. */
const isOnSwitch = (reading: GpuReading) => {
  const remotes = activeOf(reading).flatMap(({ remoteDeviceType }) => remoteDeviceType ?? []);
  if (remotes.length > 0) return remotes.includes('switch');
  return reading.fabric?.state === 'completed' && reading.fabric.status === 'NVML_SUCCESS';
};
/** Modules whose links are all wired, where the links do not say to what. NVIDIA DGX and HGX system documentation, A100 and newer. */
const isOnBaseboard = (reading: GpuReading) => {
  const { formFactor, memoryRepair } = productOf(reading);
  const isTold = activeOf(reading).some(({ remoteDeviceType }) => remoteDeviceType !== null);
  return !isTold && formFactor === 'sxm' && memoryRepair === 'row-remap';
};

/** Links of a GPU that is divided by MIG are not in use. */
const isWhole = ({ mig }: GpuReading) => mig?.enabled !== true;
const activeOf = (reading: GpuReading) =>
  readingOf(reading, 'nvlink.links')?.filter(({ active }) => active === true) ?? [];

function evaluateSiblingLinks(reading: GpuReading, context: RuleContext): RuleOutcome {
  const links = readingOf(reading, 'nvlink.links');
  if (links === undefined) return missing(reading, 'nvlink.links');
  if (links.length > 0 && links.every(({ active }) => active === null))
    return missingOfLinks(reading, links, ['active']);
  const peers = peersOf(reading, context).filter(isWhole);
  if (peers.length === 0) return 'not-judged';
  const active = activeOf(reading).length;
  const most = Math.max(...peers.map((peer) => activeOf(peer).length));
  const unread = links.filter((link) => link.active === null).length;
  const isToldAlone = active > 0 && links.some((link) => link.active === false);
  if (isToldAlone || active + unread >= most) return 'pass';
  // With bridges between pairs of cards, one without a bridge has no link and nothing is wrong with it.
  const isSwitched = peers.some(
    (peer) => activeOf(peer).length > 0 && (isOnSwitch(peer) || isOnBaseboard(peer)),
  );
  if (active === 0 && !isSwitched) return 'pass';
  return finding({
    verdict: isSwitched ? 'critical' : 'warning',
    what: `${counted(active, 'NVLink')} active, where a sibling has ${most}.`,
    evidence: [evidence('nvlink.links', active, most)],
    action: 'reset-gpu',
    actionAlone: 'monitor',
    confirmedBy: ['fabric.', ...linkFault],
    confidence: isSwitched ? 'high' : 'medium',
  });
}

function evaluateSpeed(reading: GpuReading, context: RuleContext): RuleOutcome {
  const links = readingOf(reading, 'nvlink.links');
  if (links === undefined) return missing(reading, 'nvlink.links');
  const timed = activeOf(reading).flatMap(({ link, speedMegabytesPerSecond: speed }) =>
    speed === null ? [] : [{ link, speed }],
  );
  if (timed.length === 0)
    return activeOf(reading).length === 0
      ? 'not-applicable'
      : missingOfLinks(reading, links, ['speedMegabytesPerSecond']);
  const speeds: number[] = [];
  for (const each of [reading, ...peersOf(reading, context)])
    for (const { active, speedMegabytesPerSecond: speed } of readingOf(each, 'nvlink.links') ?? [])
      if (active === true && typeof speed === 'number') speeds.push(speed);
  const usual = medianOf(speeds) ?? 0;
  const slow = timed.filter(({ speed }) => speed < usual);
  if (slow.length === 0) return 'pass';
  const slowest = Math.min(...slow.map(({ speed }) => speed));
  return finding({
    verdict: 'warning',
    what: `${counted(slow.length, 'NVLink')} (${slow.map(({ link }) => link).join(', ')}) at down to ${slowest} MB/s, where links of this product run at ${usual} MB/s.`,
    evidence: [evidence('nvlink.links', slowest, usual)],
    action: 'reset-gpu',
    actionAlone: 'monitor',
    confirmedBy: ['fabric.', ...linkFault],
    confidence: 'high',
  });
}

function evaluateBitErrors(reading: GpuReading, context: RuleContext): RuleOutcome {
  const links = readingOf(reading, 'nvlink.links');
  if (links === undefined) return missing(reading, 'nvlink.links');
  const limit = context.threshold('nvlink.bit-error-rate', 'errorsPerBit');
  const rates = links.map((link) => ({ link: link.link, rate: link.effectiveBitErrorRate }));
  if (rates.every(({ rate }) => rate === null))
    return missingOfLinks(reading, links, ['effectiveBitErrorRate']);
  const bad = rates.filter(({ rate }) => (rate ?? 0) > limit);
  if (bad.length === 0) return 'pass';
  return finding({
    verdict: 'warning',
    what: `${counted(bad.length, 'NVLink')} (${bad.map(({ link }) => link).join(', ')}) with more bit errors left after correction than a sound link has.`,
    evidence: [evidence('nvlink.links', Math.max(...bad.map(({ rate }) => rate ?? 0)), limit)],
    action: 'check-mechanicals',
    actionAlone: 'monitor',
    confirmedBy: ['nvlink.link-errors', 'nvlink.recovery', 'nvlink.inactive', 'fabric.', ...linkFault],
    confidence: 'high',
  });
}

const onLinks = ({ links }: LinkGrowth) => `on NVLink ${links.join(', ')}`;

/** A finding on what grew; counters of the same link do not confirm each other, for one bad link moves them all. */
const grown = (
  growth: LinkGrowth,
  noun: string,
  limit: number,
  more: Pick<RuleFinding, 'verdict' | 'confidence'>,
): RuleFinding => ({
  ...more,
  what: `${counted(growth.increase, noun)} ${onLinks(growth)} within ${inWords(growth.seconds)}.`,
  evidence: [evidence('nvlink.links', growth.increase, limit)],
  action: 'reset-gpu',
  actionAlone: 'monitor',
  confirmedBy: ['fabric.', 'nvlink.inactive-links', 'nvlink.sibling-links', ...linkFault],
});

const increase = (value: number) => ({
  increase: { value, unit: 'errors', what: 'warning from it on', minimum: 1, maximum: 1e12 },
});
const whenGrownBy = (ruleId: string, noun: string, counters: Parameters<typeof whenLinksGrown>[0]) =>
  whenLinksGrown(counters, (growth, context) => {
    const limit = context.threshold(ruleId, 'increase');
    if (growth.increase < limit) return undefined;
    return grown(growth, noun, limit, { verdict: 'warning', confidence: 'medium' });
  });

const lifetime =
  'Counts since the driver was loaded never raise it (DCGM 4.6.1 took them for new errors): only what was added since an earlier reading does.';

/** NVLinks: how many, how fast, and what goes wrong on them. */
export const nvlinkRules: readonly HealthRule[] = [
  {
    id: 'nvlink.inactive-links',
    title: 'NVLinks down',
    threshold:
      '> 0 links down while other links of the same GPU are up; critical where they lead to a switch',
    appliesTo: 'GPUs with NVLinks of which some are up',
    verdict: 'critical',
    action: 'reset-gpu',
    confidence: 'high',
    source: 'NVIDIA Health Validation; Azure AzHPC node health checks; NVSentinel NVLINK_DOWN (PR#1481)',
    note: 'A card without a bridge has all links down and is not judged. Error counters of links are lifetime counts and are not judged either: get_gpu_telemetry with a window shows whether they grow.',
    essential: false,
    sections: ['nvlink'],
    evaluate: evaluateInactiveLinks,
  },
  {
    id: 'nvlink.sibling-links',
    title: 'Fewer NVLinks than a sibling',
    threshold: 'fewer active links than a sibling of the same product; critical where links lead to a switch',
    appliesTo: 'nodes with several GPUs of one product that have NVLinks, without MIG',
    verdict: 'critical',
    action: 'reset-gpu',
    confidence: 'high',
    source: 'NVIDIA Health Validation (number of links); Azure AzHPC node health checks',
    note: 'Cards without a bridge have none and are not judged. Links that are listed as down beside others that are up are told by nvlink.inactive-links.',
    essential: false,
    sections: ['nvlink', 'mig'],
    applies: (_, reading) => isWhole(reading),
    evaluate: evaluateSiblingLinks,
  },
  {
    id: 'nvlink.speed',
    title: 'Slow NVLink',
    threshold: 'an active link slower than the median of all links of this product on the node',
    appliesTo: 'GPUs with active NVLinks that tell their speed',
    verdict: 'warning',
    action: 'reset-gpu',
    confidence: 'high',
    source: 'NVIDIA Health Validation (for example 26,562 MB/s on H100, 53,125 MB/s on GB200)',
    note: 'Compared with each other and with no fixed number, so that no product is taken for another.',
    essential: false,
    sections: ['nvlink'],
    evaluate: evaluateSpeed,
  },
  {
    id: 'nvlink.replay-errors',
    title: 'NVLink replays',
    threshold: '>= 1 replay since an earlier reading',
    thresholds: increase(1),
    appliesTo: 'NVLink 1 to 4; needs an earlier reading',
    verdict: 'warning',
    action: 'reset-gpu',
    confidence: 'medium',
    source: 'DCGM 4.6 health (any new one fails); Meta GCM (none tolerated)',
    note: lifetime,
    essential: false,
    sections: ['nvlink'],
    evaluate: whenGrownBy('nvlink.replay-errors', 'replay', ['replayErrorCount']),
  },
  {
    id: 'nvlink.recovery-errors',
    title: 'NVLink recoveries',
    threshold: '>= 1 recovery since an earlier reading',
    thresholds: increase(1),
    appliesTo: 'GPUs with NVLinks; needs an earlier reading',
    verdict: 'warning',
    action: 'reset-gpu',
    confidence: 'medium',
    source: 'DCGM 4.6 health (any new one fails); Meta GCM (none tolerated)',
    note: lifetime,
    essential: false,
    sections: ['nvlink'],
    evaluate: whenLinksGrown(['recoveryErrorCount', 'linkRecoverySuccessCount'], (growth, context) => {
      const limit = context.threshold('nvlink.recovery-errors', 'increase');
      if (growth.increase < limit) return undefined;
      const recoveries = growth.increase === 1 ? '1 recovery' : `${growth.increase} recoveries`;
      return {
        ...grown(growth, 'recovery', limit, { verdict: 'warning', confidence: 'medium' }),
        what: `${recoveries} ${onLinks(growth)} within ${inWords(growth.seconds)}.`,
      };
    }),
  },
  {
    id: 'nvlink.recovery-failed',
    title: 'NVLink recovery failed',
    threshold: '>= 1 failed recovery since an earlier reading',
    thresholds: increase(1),
    appliesTo: 'NVLink 5 and newer; needs an earlier reading',
    verdict: 'critical',
    action: 'reset-gpu',
    confidence: 'high',
    source: 'DCGM 4.6 health (NVLink 5 error counters: any fails)',
    note: lifetime,
    essential: false,
    sections: ['nvlink'],
    evaluate: whenLinksGrown(['linkRecoveryFailureCount'], (growth, context) => {
      const limit = context.threshold('nvlink.recovery-failed', 'increase');
      if (growth.increase < limit) return undefined;
      return grown(growth, 'failed recovery attempt', limit, { verdict: 'critical', confidence: 'high' });
    }),
  },
  {
    id: 'nvlink.crc-errors',
    title: 'NVLink checksum errors',
    threshold: '>= 1 error since an earlier reading; critical from 100 a second',
    thresholds: {
      ...increase(1),
      perSecond: {
        value: 100,
        unit: 'errors per second',
        what: 'critical from it on',
        minimum: 0.001,
        maximum: 1e9,
      },
    },
    appliesTo: 'NVLink 1 to 4; needs an earlier reading',
    verdict: 'critical',
    action: 'reset-gpu',
    confidence: 'high',
    source: 'DCGM 4.6 health (any warns, 100 a second fail)',
    note: lifetime,
    essential: false,
    sections: ['nvlink'],
    evaluate: whenLinksGrown(['crcFlitErrorCount', 'crcDataErrorCount'], (growth, context) => {
      const limit = context.threshold('nvlink.crc-errors', 'increase');
      if (growth.increase < limit) return undefined;
      const isStorm = growth.increase / growth.seconds >= context.threshold('nvlink.crc-errors', 'perSecond');
      return grown(growth, 'checksum error', limit, {
        verdict: isStorm ? 'critical' : 'warning',
        confidence: isStorm ? 'high' : 'medium',
      });
    }),
  },
  {
    id: 'nvlink.ecc-errors',
    title: 'NVLink data errors',
    threshold: '>= 1 ECC error of link data since an earlier reading',
    thresholds: increase(1),
    appliesTo: 'products that count them (Ampere); needs an earlier reading',
    verdict: 'warning',
    action: 'reset-gpu',
    confidence: 'medium',
    source: 'NVML NVLink ECC data error counter; Meta GCM (none tolerated)',
    note: lifetime,
    essential: false,
    sections: ['nvlink'],
    evaluate: whenGrownBy('nvlink.ecc-errors', 'data error', ['eccDataErrorCount']),
  },
  {
    id: 'nvlink.link-errors',
    title: 'NVLink 5 errors',
    threshold: '>= 1 receive, packet, buffer, integrity, effective or symbol error since an earlier reading',
    thresholds: increase(1),
    appliesTo: 'NVLink 5 and newer; needs an earlier reading',
    verdict: 'warning',
    action: 'reset-gpu',
    confidence: 'medium',
    source: 'DCGM 4.6 health (NVLink 5 error counters: any fails)',
    note: lifetime,
    essential: false,
    sections: ['nvlink'],
    evaluate: whenGrownBy('nvlink.link-errors', 'link error', [
      'receiveErrorCount',
      'malformedPacketErrorCount',
      'bufferOverrunErrorCount',
      'linkIntegrityErrorCount',
      'effectiveErrorCount',
      'symbolErrorCount',
    ]),
  },
  {
    id: 'nvlink.bit-error-rate',
    title: 'NVLink bit error rate',
    threshold: '> 1e-6 errors per bit left after correction',
    thresholds: {
      errorsPerBit: { value: 1e-6, unit: 'errors per bit', what: 'warning above it', minimum: 0, maximum: 1 },
    },
    appliesTo: 'NVLink 5 and newer',
    verdict: 'warning',
    action: 'check-mechanicals',
    confidence: 'high',
    source: 'Azure healthagent (effective bit error rate above 1e-6)',
    note: 'Bit errors before correction are normal and not judged.',
    essential: false,
    sections: ['nvlink'],
    evaluate: evaluateBitErrors,
  },
];
