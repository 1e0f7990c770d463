import type { KernelEvent } from '../domain/event.ts';
import type { GpuRef } from '../domain/gpu.ts';
import type { Incident } from '../domain/incident.ts';
import type { Verdict } from '../domain/verdict.ts';
import { attribution } from './attribution.ts';
import type { Group } from './group.ts';
import { Grouper, isContext } from './grouping.ts';
import { describeEvent, incidentIds, presentGroup } from './present-incident.ts';
import { StandingJudge } from './standing.ts';
import { verdictOfIncident } from './verdict-of-incident.ts';
import type { WorkflowFacts } from './workflow-facts.ts';

export { isContext, verdictOfIncident };

export interface GroupIncidentsOptions {
  /** The inventory to attribute to. */
  readonly gpus?: readonly GpuRef[];
  /** Like events no further apart than this are one incident; default 300. */
  readonly windowSeconds?: number;
  /** Whether all files are of one machine; the events are then expected in order of time. Default: each file is a machine of its own. */
  readonly isOneMachine?: boolean;
  /** What else is known; without it the log alone decides. */
  readonly facts?: WorkflowFacts;
}

/**
 * Events in log order to incidents, oldest first and newest last. Repeats of one kind and number on one device within the window are one
 * incident, unless machine or driver was started between them; text lines that tell a bus loss again belong to the Xid 79 of that GPU.
 * What another incident brought about, what was taken back and what a restart ended is told, with the reason, and asks for nothing. A
 * primary incident has the action of the vendor's workflow for its number, or the one that the driver itself names (Xid 154, NVML).
 * Events with `trusted: false` never mix with others and excuse none. Identity, driver-load and boot lines are context, not incidents.
 */
export function groupIncidents(
  events: readonly KernelEvent[],
  options: GroupIncidentsOptions = {},
): Incident[] {
  const { gpus = [], windowSeconds = 300, facts = {} } = options;
  const grouper = new Grouper(windowSeconds, options.isOneMachine ?? false);
  for (const event of events) grouper.push(event);
  const grouped = grouper.finish();
  const { groups, machines } = grouped;
  const attribute = attribution(gpus, groups);
  const judge = new StandingJudge(grouped, facts, (group) => {
    const gpu = attribute.gpuOf(group);
    return {
      gpu: gpu === undefined ? undefined : facts.gpus?.get(gpu.index),
      isMissing: attribute.isMissing(group),
    };
  });
  const ids = incidentIds(groups);
  return groups
    .filter(isOfGpu)
    .sort(byLastTime)
    .map((group) =>
      presentGroup(
        {
          group,
          standing: judge.judge(group),
          gpu: attribute.gpuOf(group),
          facts: judge.factsOf(group),
          advice: judge.adviceFor(group),
          deviceCount: machines.get(group.machine)?.deviceCount(group) ?? 1,
        },
        ids,
      ),
    );
}

/** A device that an NVIDIA driver tells of near in time is a GPU, whatever another line calls it. */
function isOfGpu({ count, isOtherDevice, companions }: Group): boolean {
  return count > 0 && !(isOtherDevice && companions.size === 0);
}

function byLastTime(one: Group, other: Group): number {
  return one.lastTime === other.lastTime ? one.order - other.order : one.lastTime - other.lastTime;
}

/** The verdict that an event supports by itself; see `verdictOfIncident`. */
export function verdictOfEvent(event: KernelEvent): Verdict {
  const { applicationCommon } = describeEvent(event);
  return verdictOfIncident(event.severity, applicationCommon, event.trusted, event.action);
}
