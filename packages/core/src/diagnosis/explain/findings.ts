import type { KernelEvent } from '../../domain/event.ts';
import type { Incident } from '../../domain/incident.ts';
import { type Action, type Finding, isDisruptive, worstVerdict } from '../../domain/verdict.ts';
import type { GpuError, GpuErrorCode } from '../../errors.ts';
import { driverUnusable } from '../../health/node-rules.ts';
import { findXid } from '../../xid/catalogue.ts';
import { bucketActions } from '../../xid/vendor-buckets.ts';
import { isVendorsWord } from './incident-signs.ts';
import { evidenceOfIncident, isPrimary, nameOfIncident, ruleIdOfIncident } from './sign.ts';

/** Findings of one failed program tell its failure; of the GPU they say nothing. */
const tellsFailure = (applicationCommon: boolean, action: Action) =>
  applicationCommon && action !== 'none' && action !== 'monitor';

/** The vendor's text without a number by which it says itself that the GPU needs a reset. */
const isDriversWord = (incident: Incident) => isVendorsWord(incident) || incident.kind === 'gsp-fault';

/**
 * Where the vendor asks for nothing now, but has a workflow that ends with the application, that is what to do about the failure.
 * Source: NVIDIA Xid catalogue, XID_137_FLOW.
 */
function actionOf({ action, xid, workflow }: Incident): Action {
  if (action !== 'none' || xid === undefined) return action;
  if (workflow) return workflow.action;
  return findXid(xid)?.investigatory === 'XID_137_FLOW' ? bucketActions.XID_137_FLOW : action;
}

/** What one incident says, as a finding of the explanation. Health leaves out those that say nothing of the GPU. */
export function findingOfIncident(incident: Incident): Finding {
  const { title, count, occurrenceCount, applicationCommon, gpu, source, trusted, verdict } = incident;
  const action = actionOf(incident);
  const times = count === 1 ? 'once' : `${count} times`;
  const runs = occurrenceCount > 1 ? `, in ${occurrenceCount} separate runs` : '';
  return {
    ruleId: ruleIdOfIncident(incident),
    verdict: tellsFailure(applicationCommon, action) ? worstVerdict([verdict, 'warning']) : verdict,
    ...(gpu ? { gpu: gpu.index } : {}),
    what: `The kernel log has ${nameOfIncident(incident)} (${title}) ${times}${runs}.`,
    evidence: [evidenceOfIncident(incident)],
    action: isDisruptive(action) && !isDriversWord(incident) ? 'monitor' : action,
    source,
    confidence: trusted === true ? 'high' : 'medium',
  };
}

const keyOf = (ruleId: string, gpu: number | undefined) => `${ruleId} ${gpu ?? ''}`;

/**
 * The findings given and one for each primary incident in scope that is not among them. A finding on incidents that are out of scope or do
 * not count (any more) is left out.
 */
export function withIncidents(
  findings: readonly Finding[],
  inScope: readonly Incident[],
  all: readonly Incident[],
): readonly Finding[] {
  const primary = new Map<string, Incident[]>();
  for (const incident of inScope.filter(isPrimary)) {
    const key = keyOf(ruleIdOfIncident(incident), incident.gpu?.index);
    const same = primary.get(key);
    if (same) same.push(incident);
    else primary.set(key, [incident]);
  }
  const known = new Set(all.map((incident) => keyOf(ruleIdOfIncident(incident), incident.gpu?.index)));
  const kept = findings.filter(({ ruleId, gpu }) => {
    const key = keyOf(ruleId, gpu);
    return primary.has(key) || !known.has(key);
  });
  const told = new Set(kept.map(({ ruleId, gpu }) => keyOf(ruleId, gpu)));
  const untold = [...primary].filter(([key]) => !told.has(key));
  return [...kept, ...untold.flatMap(([, same]) => same.map(findingOfIncident))];
}

/** What keeps the driver as a whole from being asked, where that is a fault of its own. */
const driverFaults: Partial<
  Record<GpuErrorCode, Pick<Finding, 'ruleId' | 'verdict' | 'what' | 'action' | 'source' | 'confidence'>>
> = {
  DRIVER_MISMATCH: driverUnusable,
  DRIVER_NOT_LOADED: {
    ruleId: 'driver.not-loaded',
    verdict: 'critical',
    what: 'The kernel module of the GPU driver is not loaded or could not start, so no program can use the GPUs.',
    action: 'restart-service',
    source: 'NVML NVML_ERROR_DRIVER_NOT_LOADED; leptonai/gpud (NVML that cannot be initialised is unhealthy)',
    confidence: 'medium',
  },
  DRIVER_UNRESPONSIVE: {
    ruleId: 'driver.unresponsive',
    verdict: 'warning',
    what: 'The driver did not answer and is left alone for a while.',
    action: 'monitor',
    source: 'NVIDIA/NVSentinel#1574 (a driver that cannot be asked is a fault of its own)',
    confidence: 'medium',
  },
};

/** None when the findings tell it already. */
export function findingOfNodeError(error: GpuError | null, findings: readonly Finding[]): readonly Finding[] {
  const fault = error && driverFaults[error.code];
  if (!fault || findings.some(({ ruleId }) => ruleId === fault.ruleId)) return [];
  return [{ ...fault, evidence: [{ field: 'gpuBackend', value: error.code }] }];
}

/** What a program says when a request for GPU memory fails. Sources: CUDA runtime and driver error names; PyTorch; TensorFlow. */
const gpuOutOfMemory =
  /CUDA out of memory|CUDA error: out of memory|CUDA_ERROR_OUT_OF_MEMORY|cudaErrorMemoryAllocation|OutOfMemoryError: CUDA|RESOURCE_EXHAUSTED: Out of memory/;
/** NCCL's watchdog in PyTorch. */
const collectiveTimeout =
  /Watchdog caught collective operation timeout|NCCL (?:communicator )?(?:watchdog )?time(?:d )?out/i;

/** CUDA's name of what the driver logs as Xid 31 or 13. */
const illegalAccess =
  /CUDA error: an illegal (?:memory access|instruction)|CUDA_ERROR_ILLEGAL_(?:ADDRESS|INSTRUCTION)|cudaErrorIllegal(?:Address|Instruction)|CUDA error: device-side assert|CUDA error: misaligned address/;

interface ApplicationSign {
  readonly ruleId: string;
  readonly pattern: RegExp;
  readonly what: string;
  /** Default: `check-app`. */
  readonly action?: Action;
  readonly source: string;
}

const applicationSigns = [
  {
    ruleId: 'application.illegal-access',
    pattern: illegalAccess,
    what: "A program's own log says that its GPU code made an illegal access or raised an exception.",
    source: 'CUDA error names',
  },
  {
    ruleId: 'application.gpu-out-of-memory',
    pattern: gpuOutOfMemory,
    what: "A program's own log says that it was refused GPU memory.",
    source: 'CUDA error names; PyTorch message texts',
  },
  {
    ruleId: 'application.collective-timeout',
    pattern: collectiveTimeout,
    what: "A program's own log says that a collective operation did not end in time.",
    source: 'PyTorch, NCCL watchdog message texts',
  },
  {
    ruleId: 'service.not-ready',
    pattern: /system not yet initialized|cudaErrorSystemNotReady|CUDA_ERROR_SYSTEM_NOT_READY/,
    what: "A program's own log says that the GPU fabric was not ready (CUDA error 802): on an NVSwitch system Fabric Manager is not running or not done.",
    action: 'restart-service',
    source: 'CUDA error names (802, system not ready); NVIDIA Fabric Manager user guide DU-09883',
  },
  {
    ruleId: 'driver.fabric-manager-mismatch',
    pattern: /fabric manager NVIDIA GPU driver interface version/i,
    what: 'Fabric Manager and the driver are of different releases, and it does not start: install the one that belongs to the driver.',
    action: 'update-software',
    source: 'NVIDIA Fabric Manager user guide DU-09883 (versions must match)',
  },
] as const satisfies readonly ApplicationSign[];

/** Lines of a program's log are searched this far. */
const maximumTextLength = 2_048;
const maximumApplicationErrors = 2_000;

/** What programs say of themselves, as findings. Their words about the GPU are no finding: they could be anybody's. */
export function findingsOfApplication(errors: readonly KernelEvent[]): readonly Finding[] {
  const texts = errors.slice(0, maximumApplicationErrors).map((error) => ({
    error,
    text: `${error.detail.slice(0, maximumTextLength)}\n${error.raw.slice(0, maximumTextLength)}`,
  }));
  const signs: readonly ApplicationSign[] = applicationSigns;
  return signs.flatMap(({ ruleId, pattern, what, action = 'check-app', source }): Finding[] => {
    const said = texts.filter(({ text }) => pattern.test(text)).map(({ error }) => error);
    if (said.length === 0) return [];
    const cited = said.find(({ file }) => file !== undefined);
    return [
      {
        ruleId,
        verdict: 'warning',
        what,
        evidence: [
          {
            field: 'applicationLog',
            value: said.length,
            ...(cited?.file === undefined ? {} : { file: cited.file }),
            ...(cited?.line === undefined ? {} : { line: cited.line }),
          },
        ],
        action,
        source,
        confidence: 'medium',
      },
    ];
  });
}

/**
 * Two independent findings of one fault, of which each alone asks only to watch. A place: the GPU of the first, where the second has one.
 * Health confirms findings of one GPU by each other; these need the node beside the GPU.
 */
const confirmations = [
  {
    // The driver's watchdog saw the GPU stand still, and the driver does not come back for it: two looks at one hang.
    // Source: NVIDIA/NVSentinel#1574; NVIDIA Xid catalogue, Xid 8.
    ruleId: 'gpu.hung',
    beside: ['log.xid-8', 'log.gpu-hang'],
    action: 'reset-gpu',
  },
  {
    // No signal ends it and its GPU cannot be reset: only a restart does. Source: Azure healthagent; leptonai/gpud (D state: reboot).
    ruleId: 'processes.uninterruptible-holder',
    beside: ['log.hung-task'],
    action: 'reboot-node',
  },
  {
    // Source: leptonai/gpud, AKS GPUMissing (a GPU count that does not agree is fatal).
    ruleId: 'log.init-failure',
    beside: ['gpu.missing'],
    action: 'reboot-node',
  },
  {
    // Corrections that block every caller of the driver. Source: NVIDIA/DCGM#313, NVIDIA/NVSentinel#1748.
    ruleId: 'ecc.correctable-storm',
    beside: ['log.hung-task'],
    action: 'drain-node',
  },
] as const satisfies readonly { ruleId: string; beside: readonly string[]; action: Action }[];

/** `gpu.missing` stands for `gpu.missing-from-driver` too, but Xid 8 not for Xid 80. */
const isOneOf = (beginnings: readonly string[], ruleId: string) =>
  beginnings.some((beginning) => ruleId === beginning || ruleId.startsWith(`${beginning}-`));

export function confirmed(findings: readonly Finding[]): readonly Finding[] {
  return findings.map((finding) => {
    const { ruleId, gpu, action } = finding;
    const rule = confirmations.find((each) => ruleId === each.ruleId);
    if (!rule || (action !== 'none' && action !== 'monitor')) return finding;
    const isConfirmed = findings.some(
      (other) =>
        isOneOf(rule.beside, other.ruleId) &&
        (other.gpu === undefined || gpu === undefined || other.gpu === gpu),
    );
    return isConfirmed ? { ...finding, action: rule.action } : finding;
  });
}
