import { type Group, type Label, severityRank } from './group.ts';

/** Who brings whom about. */
export interface SympathyRule {
  readonly effects: readonly Label[] | 'application-xids';
  /** `any-xid`: any but 43, 45 and 154. */
  readonly causes: readonly Label[] | 'any-xid';
  /** Where the two must be: on one GPU, anywhere on the machine, or in one process. */
  readonly where: 'gpu' | 'machine' | 'process';
  /** What else must hold of the cause, once all of it is known. */
  readonly when?: (cause: Group, effect: Group) => boolean;
  /** The cause must have begun first. */
  readonly isCauseFirst?: boolean;
  /** Why the effect counts for nothing by itself; our own words. */
  readonly because: string;
}

const isFatal = (cause: Group) => severityRank[cause.worst.severity] >= severityRank.critical;
const isRequested = (cause: Group, effect: Group) =>
  effect.worst.decoded?.['causedByPreviousXid'] === cause.label;

/** A line that names no device may be about any. */
function isForSameDevice({ subject: cause }: Group, { subject: effect }: Group): boolean {
  return cause.pciAddress === null || effect.pciAddress === null || cause.pciAddress === effect.pciAddress;
}

const nvlinkXids: readonly Label[] = [74, 136, 144, 145, 146, 147, 148, 149, 150, 155];

/**
 * The better explanation first. No number can be, through other rows, its own cause.
 * Sources: NVIDIA Xid catalogue (workflows and investigatory buckets), NVIDIA Fabric Manager user guide DU-09883, driver message texts.
 */
export const sympathyRules: readonly SympathyRule[] = [
  {
    effects: [74],
    causes: ['sxid'],
    where: 'machine',
    when: (cause) => cause.worst.severity === 'fatal',
    because: 'A fatal NVSwitch error reaches the GPUs as Xid 74; it is reported there.',
  },
  {
    effects: ['sxid'],
    causes: [79, 'bus-loss'],
    where: 'machine',
    isCauseFirst: true,
    // Only what names a link: the switch has troubles of its own as well.
    when: (_, effect) => effect.subject.link !== undefined,
    because: 'A GPU that falls off its bus takes its NVLinks to the switches down with it.',
  },
  {
    effects: [63, 64, 171, 172],
    causes: [48],
    where: 'gpu',
    because: 'It records what became of the uncorrectable memory error (Xid 48) on the same GPU.',
  },
  {
    effects: [94, 95],
    causes: [48, 140, 171, 172, 64],
    where: 'gpu',
    because:
      'It tells how far an uncorrectable memory error of the same GPU reached; that error comes first.',
  },
  {
    effects: [94, 95],
    causes: [120],
    where: 'gpu',
    when: (cause) => cause.worst.decoded?.['failure'] === 'poison',
    because: 'Poisoned data stopped the system processor of the same GPU.',
  },
  {
    effects: [94, 95],
    causes: [144, 145, 146, 147],
    where: 'gpu',
    because: 'An NVLink error of the same GPU poisoned the data.',
  },
  {
    effects: [63, 64],
    causes: [171],
    where: 'gpu',
    because: 'It records what became of the uncorrectable memory error on the same GPU.',
  },
  {
    effects: [63],
    causes: [94, 95],
    where: 'gpu',
    because: 'It records what became of the uncorrectable memory error on the same GPU.',
  },
  {
    effects: [119, 120],
    causes: [79],
    where: 'gpu',
    isCauseFirst: true,
    because: 'A GPU that does not answer on its bus does not answer the driver either.',
  },
  {
    effects: ['bus-loss', 'pcie-error', 'init-failure'],
    causes: [79],
    where: 'gpu',
    because: 'It is the same loss of the bus that Xid 79 tells of.',
  },
  {
    effects: ['pcie-error', 'init-failure'],
    causes: ['bus-loss'],
    where: 'gpu',
    because: 'It is the same loss of the bus that the driver tells of in words.',
  },
  {
    effects: ['init-failure'],
    causes: ['version-mismatch'],
    where: 'machine',
    when: isForSameDevice,
    because: 'The driver does not fit the GPU, so it could not bring it up.',
  },
  {
    effects: ['init-failure'],
    causes: ['gsp-fault'],
    where: 'machine',
    when: (cause, effect) => cause.worst.severity === 'fatal' && isForSameDevice(cause, effect),
    because: 'The system processor of the GPU did not start, so the driver could not bring the GPU up.',
  },
  {
    effects: ['gsp-fault'],
    causes: [119, 120],
    where: 'gpu',
    because: 'It tells of the same failure of the system processor as Xid 119 or 120.',
  },
  {
    effects: ['gsp-fault'],
    causes: [119, 120],
    where: 'machine',
    when: (_, effect) => effect.subject.pciAddress === null,
    because: 'It tells of the same failure of the system processor as Xid 119 or 120; the line names no GPU.',
  },
  {
    effects: ['bus-loss'],
    causes: [79],
    where: 'machine',
    when: (_, effect) => effect.subject.pciAddress === null,
    because: 'It is the same loss of the bus that Xid 79 tells of; the line names no GPU.',
  },
  {
    effects: ['gpu-hang'],
    causes: [8],
    where: 'machine',
    because: 'The watchdog saw the same standstill that Xid 8 tells of.',
  },
  {
    effects: ['memory-fault'],
    causes: [48, 95, 140, 171, 172, 175],
    where: 'machine',
    because: 'It tells of the same memory error as the Xid next to it.',
  },
  {
    effects: ['nvlink-fault'],
    causes: nvlinkXids,
    where: 'machine',
    because: 'It tells of the same link trouble as the Xid next to it.',
  },
  {
    effects: 'application-xids',
    causes: ['oom-kill'],
    where: 'process',
    isCauseFirst: true,
    when: (_, effect) =>
      effect.pids.length === 1 && severityRank[effect.worst.severity] <= severityRank.warning,
    because: 'The kernel had just ended this process for lack of main memory.',
  },
  {
    effects: [45, 43],
    causes: 'any-xid',
    where: 'gpu',
    when: isRequested,
    because: 'The line itself names the Xid that it follows.',
  },
  {
    effects: [45, 43],
    causes: 'any-xid',
    where: 'gpu',
    because: 'Another Xid of the same GPU ended the work of this channel.',
  },
  {
    effects: [45],
    causes: [43],
    where: 'gpu',
    because: 'The driver had stopped the channel (Xid 43) and then cleared it away.',
  },
  {
    effects: [45, 43],
    causes: 'any-xid',
    where: 'process',
    because: 'An Xid of another GPU ended this process.',
  },
  {
    effects: [45],
    causes: ['sxid'],
    where: 'machine',
    when: (cause) => isFatal(cause) || cause.worst.action === 'restart-app',
    because: 'An NVSwitch error ended the work of the partition.',
  },
  {
    effects: [45],
    causes: nvlinkXids,
    where: 'machine',
    when: isFatal,
    because: 'An NVLink error of another GPU ended the work of the partition.',
  },
  {
    effects: [45],
    causes: [154],
    where: 'gpu',
    because: 'The driver changed its recovery action for the same GPU.',
  },
];

export const linkTroubleLabels: ReadonlySet<Label> = new Set<Label>([...nvlinkXids, 'sxid']);

const named = (where: SympathyRule['where']): ReadonlySet<Label> =>
  new Set(
    sympathyRules
      .filter((rule) => rule.where === where)
      .flatMap(({ effects, causes }) => [
        ...(typeof effects === 'string' ? [] : effects),
        ...(typeof causes === 'string' ? [] : causes),
      ]),
  );

/** What is remembered of each GPU (besides the latest other Xid) and of the machine, for what comes after it. */
export const labelsOfGpu: ReadonlySet<Label> = new Set<Label>([
  ...named('gpu'),
  ...nvlinkXids,
  8,
  13,
  31,
  137,
  162,
  163,
]);
export const labelsOfMachine: ReadonlySet<Label> = new Set<Label>([...named('machine'), ...nvlinkXids, 137]);

/** Consequences by nature, and the driver's advice: never the cause of another number. */
const neverCauses: ReadonlySet<Label> = new Set<Label>([43, 45, 154]);

interface IndexedRule extends SympathyRule {
  readonly index: number;
}
const indexed: readonly IndexedRule[] = sympathyRules.map((rule, index) => ({ ...rule, index }));

const mentioned: ReadonlySet<Label> = new Set<Label>([
  ...named('gpu'),
  ...named('machine'),
  ...named('process'),
  ...neverCauses,
]);

/** Numbers that no row mentions are all the same to the table. */
const classOf = (label: Label): string =>
  String(mentioned.has(label) || typeof label === 'string' ? label : 'other');

const effects: ReadonlySet<Label> = new Set(
  sympathyRules.flatMap((rule) => (typeof rule.effects === 'string' ? [] : rule.effects)),
);
const none: readonly IndexedRule[] = [];
const found = new Map<string, readonly IndexedRule[]>();

/** The rows by which one label can be the cause of another there. */
export function rowsFor(
  cause: Label,
  effect: Label,
  where: SympathyRule['where'],
  isApplicationXid: boolean,
): readonly IndexedRule[] {
  if (!isApplicationXid && !effects.has(effect)) return none;
  const key = `${where} ${classOf(cause)} ${classOf(effect)} ${isApplicationXid}`;
  let rows = found.get(key);
  if (!rows) {
    rows = indexed.filter(
      (rule) =>
        rule.where === where &&
        (rule.effects === 'application-xids' ? isApplicationXid : rule.effects.includes(effect)) &&
        (rule.causes === 'any-xid'
          ? typeof cause === 'number' && !neverCauses.has(cause)
          : rule.causes.includes(cause)),
    );
    found.set(key, rows);
  }
  return rows;
}
