import type { Finding, Verdict } from '../domain/verdict.ts';
import type { Candidate, PublishedRule } from '../health/rule.ts';

// What differs between things that should be equal: GPUs of one product on a node, or nodes of a fleet.

export type DriftValue = string | number | boolean;

/** One thing to compare: who it is, which others it should equal, and its settings. Null is not known, which is no difference. */
export interface DriftSubject<Id> {
  readonly id: Id;
  /** Only members of one cohort are compared: the product. */
  readonly cohort: string;
  readonly settings: Readonly<Record<string, DriftValue | null>>;
}

export interface Drift<Id> {
  readonly cohort: string;
  readonly field: string;
  /** The value that more than half of those known have; null when none has. */
  readonly majority: DriftValue | null;
  /** Most common first. */
  readonly values: readonly { readonly value: DriftValue; readonly ids: readonly Id[] }[];
}

/** Fields with more than one value within a cohort, in the order in which cohorts and fields first appear. */
export function findDrift<Id>(subjects: readonly DriftSubject<Id>[]): readonly Drift<Id>[] {
  const cohorts = new Map<string, DriftSubject<Id>[]>();
  for (const subject of subjects) {
    const members = cohorts.get(subject.cohort);
    if (members) members.push(subject);
    else cohorts.set(subject.cohort, [subject]);
  }
  return [...cohorts].flatMap(([cohort, members]) => {
    const fields = new Set(members.flatMap(({ settings }) => Object.keys(settings)));
    return [...fields].flatMap((field) => driftOf(cohort, field, members) ?? []);
  });
}

function driftOf<Id>(
  cohort: string,
  field: string,
  members: readonly DriftSubject<Id>[],
): Drift<Id> | undefined {
  const holders = new Map<DriftValue, Id[]>();
  for (const { id, settings } of members) {
    const value = settings[field] ?? null;
    if (value === null) continue;
    const ids = holders.get(value);
    if (ids) ids.push(id);
    else holders.set(value, [id]);
  }
  if (holders.size < 2) return undefined;
  const values = [...holders]
    .map(([value, ids]) => ({ value, ids }))
    .sort((a, b) => b.ids.length - a.ids.length);
  const known = values.reduce((sum, { ids }) => sum + ids.length, 0);
  const [most] = values;
  const majority = most && most.ids.length * 2 > known ? most.value : null;
  return { cohort, field, majority, values };
}

interface DriftRule extends Omit<PublishedRule, 'id' | 'threshold'> {
  /** `ok`: worth telling, and no fault: administrators set it on purpose. */
  readonly verdict: Exclude<Verdict, 'unknown'>;
  readonly action: Finding['action'];
}

const fleetPractice = 'Meta GCM; Imbue host-health (any mismatch warns)';

/** What a difference means, by the field. A field without a row is shown and not judged. */
const rules = {
  vbiosVersion: {
    title: 'VBIOS version',
    verdict: 'warning',
    action: 'update-software',
    source: fleetPractice,
  },
  inforomVersion: {
    title: 'InfoROM version',
    verdict: 'warning',
    action: 'update-software',
    source: fleetPractice,
  },
  eccEnabled: { title: 'ECC mode', verdict: 'warning', action: 'monitor', source: fleetPractice },
  eccPendingEnabled: {
    title: 'ECC mode after the next reboot',
    verdict: 'warning',
    action: 'monitor',
    source: fleetPractice,
  },
  requestedPowerLimitWatts: {
    title: 'Power limit set by an administrator',
    verdict: 'warning',
    action: 'monitor',
    source: 'Meta GCM (settings against expectation); a lower limit makes a straggler',
  },
  enforcedPowerLimitWatts: {
    title: 'Power limit in force',
    verdict: 'warning',
    action: 'monitor',
    source: 'Meta GCM (settings against expectation); a lower limit makes a straggler',
  },
  persistenceModeEnabled: {
    title: 'Persistence mode',
    verdict: 'warning',
    action: 'restart-service',
    source: 'leptonai/gpud; Azure healthagent (nvidia-persistenced)',
  },
  maxPcieGeneration: {
    title: 'Highest PCIe generation of GPU and slot',
    verdict: 'warning',
    action: 'monitor',
    source: 'NVIDIA/NVSentinel#890; Oracle OCI health checks',
  },
  maxPcieLinkWidthLanes: {
    title: 'Widest PCIe link of GPU and slot',
    verdict: 'warning',
    action: 'monitor',
    source: 'NVIDIA/NVSentinel#890; Oracle OCI health checks',
  },
  migEnabled: { title: 'MIG mode', verdict: 'ok', action: 'none', source: 'set per GPU on purpose' },
  migPendingEnabled: {
    title: 'MIG mode after the next reset',
    verdict: 'ok',
    action: 'none',
    source: 'set per GPU on purpose',
  },
  computeMode: { title: 'Compute mode', verdict: 'ok', action: 'none', source: 'set per GPU on purpose' },
  boardPartNumber: {
    title: 'Part number',
    verdict: 'ok',
    action: 'none',
    source: 'board revisions may be mixed',
  },
} as const satisfies Record<string, DriftRule>;

export type DriftField = keyof typeof rules;

const ruleIdOf = (field: string) =>
  `drift.${field.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;

/** The table as published. */
export const driftRules: readonly PublishedRule[] = Object.entries(rules).map(
  ([field, { title, source }]) => ({
    id: ruleIdOf(field),
    title: `${title} differs`,
    threshold: 'more than one value among GPUs of the same product on one node',
    source,
  }),
);

/** What drift between the GPUs of a node means. A finding names the GPU when only one is apart from a majority. */
export function driftFindings(drifts: readonly Drift<number>[]): readonly Candidate[] {
  return drifts.flatMap(({ field, majority, values }) => {
    const rule: DriftRule | undefined = rules[field as DriftField];
    if (!rule) return [];
    const apart =
      majority === null ? [] : values.filter(({ value }) => value !== majority).flatMap(({ ids }) => ids);
    const whose =
      apart.length === 0
        ? 'there is no majority'
        : `GPU ${apart.join(', ')} ${apart.length === 1 ? 'is' : 'are'} apart from the others`;
    const [gpu] = apart;
    return [
      {
        ruleId: ruleIdOf(field),
        verdict: rule.verdict,
        ...(apart.length === 1 && gpu !== undefined ? { gpu } : {}),
        what: `${rule.title} differs between GPUs of the same product: ${whose}.`,
        evidence: values.map(({ value, ids }) => ({
          field: `${field} of GPU ${ids.join(', ')}`,
          value,
          ...(majority === null ? {} : { threshold: String(majority) }),
        })),
        action: rule.action,
        source: rule.source,
        confidence: 'high',
      },
    ];
  });
}
