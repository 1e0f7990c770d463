import type { EventSeverity } from '../domain/event.ts';
import type { Action } from '../domain/verdict.ts';
import type { SxidBlock, SxidEntry, SxidGuideClass, XidEntry } from './entries.ts';
import { sxidBlocks } from './sxid-rows.ts';
import { bucketActions } from './vendor-buckets.ts';
import { xidRows } from './xid-rows.ts';

export const xidCatalogue: readonly XidEntry[] = xidRows;

const xidsByCode: ReadonlyMap<number, XidEntry> = new Map(xidCatalogue.map((entry) => [entry.code, entry]));

export function findXid(code: number): XidEntry | undefined {
  return xidsByCode.get(code);
}

/** The action for an Xid before its detail is decoded. A number that no catalogue has is only watched. */
export function actionOfXid(entry: XidEntry | undefined): Action {
  return entry?.action ?? (entry?.immediate ? bucketActions[entry.immediate] : 'monitor');
}

const guide = 'NVIDIA Fabric Manager user guide DU-09883, SXid appendix';
const switchDriver = 'open-gpu-kernel-modules, nvswitch driver';

const guideMeanings = {
  'always-fatal': [
    'reboot-node',
    'Fatal to the whole NVSwitch fabric: every partition stops until the host or all GPUs and switches are reset.',
  ],
  fatal: [
    'reset-gpu',
    'Ends the work of the partition that uses the link; the GPU reports it as Xid 74. Reset the GPUs of the partition or restart its virtual machine.',
  ],
  'follows-fatal': ['monitor', 'Normally comes with a fatal NVSwitch error: follow that one.'],
  'stalled-gpu': [
    'restart-app',
    'NVLink traffic of one GPU stalls, its jobs hang or end with Xid 45. Check the routing of the partition and restart the work or its virtual machine.',
  ],
  'broken-link': [
    'check-mechanicals',
    'A broken connection, unless somebody shut the other end down: check the mechanics of the link.',
  ],
  thermal: ['check-mechanicals', 'The switch is or was hot and may slow its links down: check the cooling.'],
  notable: ['monitor', 'Worth watching; not fatal by itself.'],
  corrected: ['none', 'Repaired by the hardware; throughput of the port may drop.'],
} as const satisfies Record<SxidGuideClass, readonly [Action, string]>;

const severityMeanings = {
  fatal: [
    'reset-gpu',
    'The switch driver treats it as fatal: links of the switch stop working until a reset.',
  ],
  critical: [
    'monitor',
    'Fatal or not depending on whether the switch could contain it; the line says which.',
  ],
  warning: ['monitor', 'Not fatal; the switch goes on.'],
  info: ['none', 'Corrected, or for information only.'],
  unknown: ['monitor', 'No driver release known here reports it.'],
} as const satisfies Record<EventSeverity | 'unknown', readonly [Action, string]>;

export const sxidCatalogue: readonly SxidEntry[] = sxidBlocks.flatMap(({ block, title, errors }: SxidBlock) =>
  errors.map(([code, name, what, severity, basis]): SxidEntry => {
    const guideClass = basis === undefined || basis === 'judged' ? null : basis;
    const [action, meaning] = guideClass ? guideMeanings[guideClass] : severityMeanings[severity];
    return {
      code,
      mnemonic: name ? `${block}_${name}` : block,
      block,
      title: `NVSwitch ${what}`,
      explanation: `${title}. ${meaning}`,
      severity: severity === 'unknown' ? 'warning' : severity,
      guideClass,
      action,
      source: guideClass ? guide : switchDriver,
    };
  }),
);

const sxidsByCode: ReadonlyMap<number, SxidEntry> = new Map(
  sxidCatalogue.map((entry) => [entry.code, entry]),
);

export function findSxid(code: number): SxidEntry | undefined {
  return sxidsByCode.get(code);
}
