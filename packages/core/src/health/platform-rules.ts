import type { GpuReading } from '../domain/gpu.ts';
import { majorityOf, peersOf, usualOf } from './compare.ts';
import {
  evidence,
  finding,
  type HealthRule,
  missing,
  type RuleContext,
  type RuleOutcome,
  readingOf,
} from './rule.ts';

const inforomPaths = [
  'identity.inforomVersion',
  'identity.inforomOemVersion',
  'identity.inforomEccVersion',
  'identity.inforomPowerVersion',
] as const;

function evaluateInforom(reading: GpuReading): RuleOutcome {
  // NVML return code 14, by the name that every adapter leaves in the detail.
  const corrupt = reading.gaps.find(({ detail }) => detail.includes('CORRUPTED_INFOROM'));
  if (!corrupt)
    return inforomPaths.some((path) => readingOf(reading, path) !== undefined)
      ? 'pass'
      : missing(reading, 'identity.inforomVersion');
  return finding({
    verdict: 'critical',
    what: 'The driver says that the InfoROM of this GPU, where it keeps its settings and error history, is corrupt.',
    evidence: [evidence('identity.inforomVersion', readingOf(reading, 'identity.inforomVersion') ?? null)],
    action: 'contact-support',
    authoritative: true,
    confidence: 'high',
  });
}

function evaluateMissingInforom(reading: GpuReading, context: RuleContext): RuleOutcome {
  if (readingOf(reading, 'identity.inforomVersion') !== undefined) return 'pass';
  const versions = peersOf(reading, context).map((peer) => readingOf(peer, 'identity.inforomVersion'));
  if (versions.length === 0 || majorityOf(versions) === undefined)
    return missing(reading, 'identity.inforomVersion');
  return finding({
    verdict: 'warning',
    what: 'The InfoROM of this GPU cannot be read, although that of its siblings can.',
    evidence: [evidence('identity.inforomVersion', null)],
    action: 'contact-support',
    actionAlone: 'monitor',
    confirmedBy: ['inforom.corrupt', 'log.init-failure'],
    confidence: 'medium',
  });
}

function evaluateGspVersion(reading: GpuReading, context: RuleContext): RuleOutcome {
  const own = readingOf(reading, 'identity.gspFirmwareVersion');
  if (own === undefined) return missing(reading, 'identity.gspFirmwareVersion');
  const versions = peersOf(reading, context).flatMap(
    (peer) => readingOf(peer, 'identity.gspFirmwareVersion') ?? [],
  );
  const most = majorityOf(versions);
  if (most === undefined) return 'not-judged';
  if (own === most) return 'pass';
  return finding({
    verdict: 'warning',
    what: 'The GSP firmware of this GPU has another version than that of most siblings, although one driver loads them all.',
    evidence: [evidence('identity.gspFirmwareVersion', own, most)],
    action: 'update-software',
    confidence: 'high',
  });
}

function evaluateAddressing(reading: GpuReading): RuleOutcome {
  const mode = readingOf(reading, 'identity.addressingMode');
  if (mode === undefined) return missing(reading, 'identity.addressingMode');
  if (mode === 'ats') return 'pass';
  return finding({
    verdict: 'warning',
    what: `This GPU shares its address space with the CPU by hardware, but the mode is "${mode}": memory of the CPU is reached the slow way.`,
    evidence: [evidence('identity.addressingMode', mode, 'ats')],
    action: 'update-software',
    confidence: 'medium',
  });
}

function evaluateTotalMemory(reading: GpuReading, context: RuleContext): RuleOutcome {
  const total = readingOf(reading, 'memory.totalBytes');
  if (total === undefined) return missing(reading, 'memory.totalBytes');
  const usual = usualOf(peersOf(reading, context), 'memory.totalBytes');
  if (usual === undefined) return 'not-judged';
  const limit = (usual * context.threshold('memory.total-differs', 'sharePercent')) / 100;
  if (total >= limit) return 'pass';
  return finding({
    verdict: 'warning',
    what: `This GPU has ${Math.round((total / usual) * 100)} % of the memory that its siblings of the same product have.`,
    evidence: [evidence('memory.totalBytes', total, Math.round(limit))],
    action: 'contact-support',
    actionAlone: 'monitor',
    confirmedBy: ['remap.', 'ecc.uncorrectable', 'recovery.'],
    confidence: 'medium',
  });
}

/** A window that is not clearly larger than the memory fills up when all memory is mapped, as desktop drivers do. */
const roomyWindow = 1.25;

function evaluateBar1(reading: GpuReading, context: RuleContext): RuleOutcome {
  const total = readingOf(reading, 'memory.bar1TotalBytes');
  if (total === undefined) return missing(reading, 'memory.bar1TotalBytes');
  const used = readingOf(reading, 'memory.bar1UsedBytes');
  if (used === undefined) return missing(reading, 'memory.bar1UsedBytes');
  const memory = readingOf(reading, 'memory.totalBytes');
  if (memory === undefined) return missing(reading, 'memory.totalBytes');
  if (total < memory * roomyWindow) return 'not-applicable';
  const limit = context.threshold('memory.bar1-exhausted', 'usedPercent');
  const percent = (used / total) * 100;
  if (percent < limit) return 'pass';
  return finding({
    verdict: 'warning',
    what: `${Math.round(percent)} % of the BAR1 window is in use: more peer-to-peer and network mappings will fail.`,
    evidence: [evidence('memory.bar1UsedBytes', used, Math.round((total * limit) / 100))],
    action: 'check-app',
    confidence: 'medium',
  });
}

function evaluateMigPending(reading: GpuReading): RuleOutcome {
  const enabled = readingOf(reading, 'mig.enabled');
  if (enabled === undefined) return missing(reading, 'mig.enabled');
  const pending = readingOf(reading, 'mig.pendingEnabled');
  if (pending === undefined) return missing(reading, 'mig.pendingEnabled');
  if (enabled === pending) return 'pass';
  return finding({
    verdict: 'warning',
    what: `MIG is to be switched ${pending ? 'on' : 'off'} and waits for a reset of the GPU: until then schedulers see the wrong devices.`,
    evidence: [evidence('mig.pendingEnabled', pending, String(enabled))],
    action: 'monitor',
    confidence: 'high',
  });
}

function evaluateMigInstances(reading: GpuReading): RuleOutcome {
  const enabled = readingOf(reading, 'mig.enabled');
  if (enabled === undefined) return missing(reading, 'mig.enabled');
  if (!enabled) return 'not-applicable';
  const devices = readingOf(reading, 'mig.devices');
  if (devices === undefined) return missing(reading, 'mig.devices');
  if (devices.length > 0) return 'pass';
  return finding({
    verdict: 'warning',
    what: 'MIG is on and the GPU has no instance: no program can use it.',
    evidence: [evidence('mig.devices', 0, 1)],
    action: 'monitor',
    confidence: 'high',
  });
}

function evaluateComputeMode(reading: GpuReading): RuleOutcome {
  const mode = readingOf(reading, 'identity.computeMode');
  if (mode === undefined) return missing(reading, 'identity.computeMode');
  if (mode !== 'prohibited') return 'pass';
  return finding({
    verdict: 'warning',
    what: 'The compute mode forbids CUDA on this GPU: no program can use it.',
    evidence: [evidence('identity.computeMode', mode, 'default')],
    action: 'monitor',
    confidence: 'high',
  });
}

/** Settings and firmware: what makes a GPU that is sound less useful than it should be. */
export const platformRules: readonly HealthRule[] = [
  {
    id: 'inforom.corrupt',
    title: 'InfoROM corrupt',
    threshold: 'the driver answers "corrupted InfoROM" (NVML return code 14)',
    appliesTo: 'products with an InfoROM',
    verdict: 'critical',
    action: 'contact-support',
    confidence: 'high',
    source:
      'NVML NVML_ERROR_CORRUPTED_INFOROM; DCGM and NVSentinel health (any fails); Azure GHR InforomCorruption',
    note: 'An InfoROM that is not there, or that may not be read, does not raise it.',
    essential: false,
    sections: ['identity'],
    evaluate: evaluateInforom,
  },
  {
    id: 'inforom.missing',
    title: 'InfoROM missing',
    threshold: 'no InfoROM version, where most siblings of the same product have one',
    appliesTo: 'nodes with several GPUs of one product',
    verdict: 'warning',
    action: 'contact-support',
    confidence: 'medium',
    source: 'DCGM health (InfoROM); Meta GCM and Imbue host-health (mismatch within a fleet)',
    essential: false,
    sections: ['identity'],
    evaluate: evaluateMissingInforom,
  },
  {
    id: 'firmware.gsp-version',
    title: 'GSP firmware differs',
    threshold: 'another version than most siblings of the same product',
    appliesTo:
      'products with a GPU system processor (Turing and newer) on nodes with several GPUs of one product',
    verdict: 'warning',
    action: 'update-software',
    confidence: 'high',
    source: 'NVIDIA driver README (the GSP firmware belongs to the driver); Meta GCM (mismatch)',
    essential: false,
    sections: ['identity'],
    evaluate: evaluateGspVersion,
  },
  {
    id: 'firmware.gsp-disabled',
    title: 'GSP firmware switched off',
    threshold: 'the driver says that it does not use it',
    appliesTo: 'data-centre products from Turing to Hopper, where it is the default',
    verdict: 'ok',
    action: 'none',
    confidence: 'high',
    source: 'NVIDIA driver README (GSP firmware, NVreg_EnableGpuFirmware)',
    note: 'A known way round Xid 119 and 120: told, and no fault.',
    essential: false,
    sections: ['identity'],
    applies: ({ line }) => line === 'data-center',
    evaluate(reading) {
      const enabled = readingOf(reading, 'identity.gspFirmwareEnabled');
      if (enabled === undefined) return missing(reading, 'identity.gspFirmwareEnabled');
      if (enabled) return 'pass';
      return finding({
        verdict: 'ok',
        what: 'The GSP firmware is switched off, against the default of this product.',
        evidence: [evidence('identity.gspFirmwareEnabled', false, 'true')],
        action: 'none',
        confidence: 'high',
      });
    },
  },
  {
    id: 'platform.persistence-mode',
    title: 'Persistence mode off',
    threshold: 'persistence mode is off',
    appliesTo: 'data-centre products',
    verdict: 'ok',
    action: 'none',
    confidence: 'high',
    source: 'leptonai/gpud and Azure healthagent (restart nvidia-persistenced); Azure AzHPC switches it on',
    note: 'Many healthy machines run without: told, and no fault. Siblings that differ are told by drift.persistence-mode-enabled.',
    essential: false,
    sections: ['identity'],
    applies: ({ line }) => line === 'data-center',
    evaluate(reading) {
      const enabled = readingOf(reading, 'identity.persistenceModeEnabled');
      if (enabled === undefined) return missing(reading, 'identity.persistenceModeEnabled');
      if (enabled) return 'pass';
      return finding({
        verdict: 'ok',
        what: 'Persistence mode is off: the driver starts anew whenever the GPU was unused.',
        evidence: [evidence('identity.persistenceModeEnabled', false, 'true')],
        action: 'none',
        confidence: 'high',
      });
    },
  },
  {
    id: 'platform.compute-mode',
    title: 'Compute forbidden',
    threshold: 'compute mode "prohibited"',
    appliesTo: 'all products',
    verdict: 'warning',
    action: 'monitor',
    confidence: 'high',
    source: 'NVML compute mode (prohibited: no context can be made)',
    note: 'Exclusive modes are a choice and not judged.',
    essential: false,
    sections: ['identity'],
    evaluate: evaluateComputeMode,
  },
  {
    id: 'platform.addressing-mode',
    title: 'Hardware address translation not in use',
    threshold: 'addressing mode other than ATS',
    appliesTo: 'superchips (GH200, GB200, GB300), whose CPU and GPU share an address space',
    verdict: 'warning',
    action: 'update-software',
    confidence: 'medium',
    source: 'NVIDIA Grace Hopper tuning guide; NVML addressing mode',
    note: 'All other products have no such mode, or do it in software.',
    essential: false,
    sections: ['identity'],
    applies: ({ isCoherent, line }, { identity }) =>
      isCoherent && line === 'data-center' && identity?.virtualizationMode !== 'passthrough',
    evaluate: evaluateAddressing,
  },
  {
    id: 'memory.total-differs',
    title: 'Less memory than the siblings',
    threshold: 'below 98 % of the median of siblings of the same product',
    thresholds: {
      sharePercent: {
        value: 98,
        unit: '% of the median',
        what: 'warning below it',
        minimum: 1,
        maximum: 100,
      },
    },
    appliesTo: 'nodes with several GPUs of one product, without MIG',
    verdict: 'warning',
    action: 'contact-support',
    confidence: 'medium',
    source: 'Meta GCM and Imbue host-health (mismatch within a fleet); the number is ours',
    note: 'Switching ECC on takes memory on some older cards, and MIG divides it: GPUs that differ in that are not compared.',
    essential: false,
    sections: ['memory', 'mig', 'ecc'],
    applies: (_, { mig }) => mig?.enabled !== true,
    evaluate: (reading, context) =>
      evaluateTotalMemory(reading, {
        ...context,
        siblings: context.siblings.filter(
          ({ mig, ecc }) => mig?.enabled !== true && ecc?.enabled === reading.ecc?.enabled,
        ),
      }),
  },
  {
    id: 'memory.bar1-exhausted',
    title: 'BAR1 window full',
    threshold: '>= 95 % in use, where the window is larger than the memory',
    thresholds: {
      usedPercent: { value: 95, unit: '%', what: 'warning from it on', minimum: 1, maximum: 100 },
    },
    appliesTo: 'products whose window is at least a quarter larger than their memory (data-centre)',
    verdict: 'warning',
    action: 'check-app',
    confidence: 'medium',
    source: 'NVIDIA GPUDirect RDMA documentation (mappings need BAR1 space); the number is ours',
    note: 'Small windows, and those as large as the memory, fill up in normal use.',
    essential: false,
    sections: ['memory'],
    evaluate: evaluateBar1,
  },
  {
    id: 'mig.mode-pending',
    title: 'Change of the MIG mode waits',
    threshold: 'the mode after the next reset differs from the present one',
    appliesTo: 'products with MIG',
    verdict: 'warning',
    action: 'monitor',
    confidence: 'high',
    source: 'NVIDIA MIG user guide (the mode takes effect with a GPU reset)',
    essential: false,
    sections: ['mig'],
    evaluate: evaluateMigPending,
  },
  {
    id: 'mig.no-instances',
    title: 'MIG without instances',
    threshold: 'MIG is on and no instance exists',
    appliesTo: 'products with MIG, while it is on',
    verdict: 'warning',
    action: 'monitor',
    confidence: 'high',
    source: 'NVIDIA MIG user guide (a GPU with MIG on runs nothing without an instance)',
    note: 'Between switching MIG on and dividing the GPU this is how it is.',
    essential: false,
    sections: ['mig'],
    evaluate: evaluateMigInstances,
  },
];
