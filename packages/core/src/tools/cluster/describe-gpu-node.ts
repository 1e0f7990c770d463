import { z } from 'zod';
import { type AllocatableExplanation, explainAllocatable } from '../../cluster/allocatable.ts';
import { allocationOf, type PodAllocation } from '../../cluster/allocation.ts';
import type { ClusterNode } from '../../domain/cluster.ts';
import type { Finding, Verdict } from '../../domain/verdict.ts';
import { verdicts, worstVerdict } from '../../domain/verdict.ts';
import { GpuError } from '../../errors.ts';
import type { NextStep } from '../answer.ts';
import { findingsSchema } from '../answer.ts';
import { detailArgument } from '../arguments.ts';
import { defineTool } from '../tool.ts';
import { type HeardInventory, hearInventory } from './agent-answers.ts';
import { clusterAnswerSchema, makeClusterAnswer, objectNameArgument } from './cluster-answer.ts';
import { ask, type ClusterToolkit, readList, readObject, tracedBy } from './cluster-toolkit.ts';
import {
  presentAgentGpu,
  presentEvent,
  presentNode,
  presentOperand,
  presentPodLine,
} from './present-cluster.ts';

const maximum = {
  summary: { pods: 8, events: 3, findings: 8, gpus: 16 },
  full: { pods: 50, events: 20, findings: 32, gpus: 64 },
};

/** The agent is given less time than the tool has, so that a node that hangs leaves the rest of the answer. */
export function describeGpuNode(shared: ClusterToolkit) {
  return defineTool({
    name: 'describe_gpu_node',
    title: 'Describe a GPU node',
    description:
      'One GPU node: conditions, taints, labels, versions, GPUs, pods, and why allocatable differs from the hardware: PCI bus, driver, NVML, device files, device plugin, capacity, allocatable and requests side by side.',
    inputSchema: z.strictObject({
      node: objectNameArgument.describe('Name of the Kubernetes node.'),
      detail: detailArgument,
    }),
    outputSchema: clusterAnswerSchema({
      layers: z.array(z.looseObject({ layer: z.string(), count: z.number().nullable() })),
      resources: z.array(z.looseObject({ resource: z.string() })),
      gpus: z.array(z.looseObject({ state: z.string() })),
      pods: z.array(z.looseObject({ pod: z.string() })),
      podCount: z.number().nullable(),
      findings: findingsSchema,
    }),
    async handle({ node: name, detail }, signal, _progress, context) {
      const toolkit = tracedBy(shared, context);
      const { cluster, clock } = toolkit;
      const about = { kind: 'Node', namespace: null, name, uid: null };
      const [read, pods, events, inventory, xidErrors] = await Promise.all([
        readObject(toolkit, 'node', signal, () => cluster.node(name, signal)),
        readList(toolkit, 'pods', signal, () => cluster.podsOnNode(name, signal)),
        readList(toolkit, 'events', signal, () => cluster.events(about, signal)),
        ask(toolkit, name, 'get_gpu_inventory', {}, signal),
        ask(
          toolkit,
          name,
          'analyze_xid_errors',
          { since: '1d', minimumSeverity: 'warning', limit: 50 },
          signal,
        ),
      ]);
      const { object: node } = read;
      if (node === null && read.gaps.length === 0)
        throw new GpuError('INVALID_INPUT', `node = ${JSON.stringify(name)}: the cluster has no such node.`, {
          hint: 'Call get_gpu_inventory for the GPU nodes of the cluster.',
        });
      const heard = hearInventory(inventory, xidErrors);
      const explained = explainAllocatable({
        node: node ?? unknownNode(name),
        pods: pods.items,
        agentInventory: heard.inventory,
      });
      const findings = node === null ? explained.findings.filter(isOfHardware) : explained.findings;
      const allocation = pods.items && allocationOf(pods.items, null);
      const holders = allocation?.pods ?? [];
      const most = maximum[detail];
      const shownPods = holders.slice(0, most.pods);
      const verdict = verdictOf(node, heard, findings);
      return makeClusterAnswer(clock, detail, {
        node: name,
        verdict,
        summary: summarise(name, node, explained, findings, faultsOf(heard).length),
        payload: {
          kubernetes: node && presentNode(node, detail),
          driverVersion: heard.driverVersion,
          layers: explained.layers,
          resources: explained.resources.slice(0, 24),
          plugin: explained.plugin && {
            ...explained.plugin,
            operands: explained.plugin.operands.slice(0, 12).map((each) => presentOperand(each, detail)),
          },
          gpus: heard.gpus.slice(0, most.gpus).map(presentAgentGpu),
          pods: shownPods.map(presentPodLine),
          podCount: allocation && holders.length,
          events: (events.items ?? [])
            .filter(({ type }) => detail === 'full' || type === 'Warning')
            .slice(0, most.events)
            .map(presentEvent),
        },
        findings: findings.slice(0, most.findings),
        gaps: [...read.gaps, ...pods.gaps, ...events.gaps, ...heard.gaps, ...explained.gaps],
        coverage: {
          node: node !== null,
          pods: pods.items !== null,
          claims: null,
          events: events.items !== null,
          agent: inventory.content !== null,
          podResources: null,
        },
        nextSteps: nextSteps(name, {
          findings,
          holders,
          shown: shownPods.length,
          agentFaults: faultsOf(heard),
          isAgentHeard: inventory.content !== null,
        }),
      });
    },
  });
}

/** Stands in while the node could not be read: every count is unknown. */
const unknownNode = (name: string): ClusterNode => ({
  name,
  uid: null,
  labels: {},
  annotations: {},
  taints: [],
  conditions: [],
  isUnschedulable: false,
  kernelVersion: null,
  kubeletVersion: null,
  containerRuntimeVersion: null,
  operatingSystem: null,
  bootId: null,
  capacity: null,
  allocatable: null,
});

/** Without the node's labels it cannot be said what the plugin should offer, or who holds it back. */
const isOfHardware = ({ ruleId }: Finding) =>
  /^cluster\.(?:gpu-|device-files|device-plugin-not-ready|operand-not-ready)/.test(ruleId);

/** Only a node that was read, with an agent that was heard, can be well. */
function verdictOf(
  node: ClusterNode | null,
  { inventory }: HeardInventory,
  findings: readonly Finding[],
): Verdict {
  const isHeard = node?.allocatable && typeof inventory?.usableGpuCount === 'number';
  const faults = inventory?.faults ?? [];
  return worstVerdict([
    isHeard ? 'ok' : 'unknown',
    ...[...findings, ...faults].map(({ verdict }) => verdict),
  ]);
}

const faultsOf = ({ inventory }: HeardInventory) =>
  inventory?.faults.filter(({ verdict }) => verdict !== 'ok') ?? [];

function summarise(
  name: string,
  node: ClusterNode | null,
  { layers }: AllocatableExplanation,
  findings: readonly Finding[],
  agentFaultCount: number,
): string {
  const countOf = (wanted: string) => layers.find(({ layer }) => layer === wanted)?.count ?? 'unknown';
  const chain = `Node ${name}: ${countOf('pci-bus')} GPUs on the PCI bus, ${countOf('nvml')} in the driver, capacity ${countOf('capacity')}, allocatable ${countOf('allocatable')}, requested ${countOf('requested')}.`;
  const unread = node === null ? ' The node itself could not be read from the cluster.' : '';
  const own =
    agentFaultCount > 0
      ? ` The agent of the node has ${agentFaultCount} finding${agentFaultCount === 1 ? '' : 's'} of its own.`
      : '';
  const faults = findings.filter(({ verdict }) => verdict !== 'ok');
  const [first] = faults.length > 0 ? faults : findings;
  if (!first) return `${chain}${unread}${own}`;
  const more =
    faults.length > 1 ? ` And ${faults.length - 1} more finding${faults.length === 2 ? '' : 's'}.` : '';
  return `${chain}${unread} ${first.what}${more}${own}`;
}

interface Known {
  readonly findings: readonly Finding[];
  readonly holders: readonly PodAllocation[];
  readonly shown: number;
  readonly agentFaults: ReturnType<typeof faultsOf>;
  readonly isAgentHeard: boolean;
}

/** RFC 1123 subdomain: nothing in it means anything to a shell. */
const isSubdomain = (name: string) =>
  name.length <= 253 &&
  name.split('.').every((label) => /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/.test(label));

function nextSteps(node: string, { findings, holders, shown, agentFaults, isAgentHeard }: Known): NextStep[] {
  const [worst] = findings.filter(({ verdict }) => verdict !== 'ok');
  const steps: NextStep[] = [];
  // What the node itself is worse off with comes first: a driver that cannot be used takes the device plugin with it.
  const ofAgent = agentFaults.toSorted(
    (a, b) => verdicts.indexOf(a.verdict) - verdicts.indexOf(b.verdict),
  )[0];
  const isAgentsWorse =
    ofAgent && (!worst || verdicts.indexOf(ofAgent.verdict) < verdicts.indexOf(worst.verdict));
  if (isAgentsWorse && ofAgent.action !== 'none' && ofAgent.action !== 'monitor')
    steps.push({
      action: ofAgent.action,
      reason: `The agent of ${node} asks for it; its own findings tell why.`,
    });
  else if (worst) steps.push({ action: worst.action, reason: worst.what });
  if (
    agentFaults.length > 0 ||
    findings.some(({ ruleId }) => /unhealthy|not-answering|missing-from/.test(ruleId))
  )
    steps.push({ action: 'none', reason: `See how the GPUs of ${node} are.`, tool: 'get_gpu_health' });
  if (!isAgentHeard)
    steps.push({
      action: 'none',
      reason: "Look at the agent's pod.",
      command: `kubectl get pods --all-namespaces --output wide --field-selector spec.nodeName=${isSubdomain(node) ? node : 'NODE'}`,
    });
  if (holders.length > shown)
    steps.push({
      action: 'none',
      reason: `${holders.length - shown} more pods hold devices of ${node}.`,
      tool: 'get_pod_gpu_allocation',
    });
  return steps;
}
