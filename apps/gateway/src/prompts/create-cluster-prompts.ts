import { type GpuPrompt, type GpuTool, promptCall, promptScript } from '@k8s-gpu-mcp/core';
import { z } from 'zod';

// Described last: the v1 SDK reads the description off the outermost schema.
const words = (maximumLength: number, description: string) =>
  z.string().max(maximumLength).optional().describe(description);
const symptom = words(500, 'What was noticed, for example "training job died at 14:05".');
const node = words(253, 'Name of the node, if known.');
const gpu = words(128, 'GPU: index, UUID or PCI address, if known. Needs the node.');
const since = words(40, 'How far back: ISO 8601 time, or duration back from now (30m, 2h, 1d).');
const pod = words(400, 'A pod: namespace/name.');
const job = words(400, 'A job: namespace/Kind/name (Job, PyTorchJob, RayCluster ...).');

type Arguments = Readonly<Record<string, string | number | readonly string[] | undefined>>;

/** What of the tools can be asked for; a directory without Kubernetes has no tools about pods. */
interface Toolbox {
  has(tool: string, ...names: readonly string[]): boolean;
  /** A step that calls a tool. Arguments that it does not take, or that the user left out, are left out. */
  call(tool: string, args?: Arguments): string;
}

function toolboxOf(tools: readonly Pick<GpuTool, 'name' | 'inputSchema'>[]): Toolbox {
  const taken = new Map(
    tools.map(({ name, inputSchema }) => [name, new Set(Object.keys(inputSchema.shape))]),
  );
  const has = (tool: string, ...names: readonly string[]) =>
    names.every((name) => taken.get(tool)?.has(name) === true) && taken.has(tool);
  return {
    has,
    call: (tool, args = {}) =>
      promptCall(tool, Object.fromEntries(Object.entries(args).filter(([name]) => has(tool, name)))),
  };
}

/** The most telling of what is known: a tool that takes a workload is asked about the workload, else about the node. */
function subjectOf({ has }: Toolbox, tool: string, given: Given): Arguments {
  if (given.pod && has(tool, 'pod')) return { pod: given.pod };
  if (given.job && has(tool, 'job')) return { job: given.job };
  return { node: given.node, gpu: given.node ? given.gpu : undefined };
}
interface Given {
  readonly pod?: string | undefined;
  readonly job?: string | undefined;
  readonly node?: string | undefined;
  readonly gpu?: string | undefined;
}

/** A GPU is one of a node: without the node it names none. */
const gpuOf = (given: Given) => (given.node ? given.gpu : undefined);
/** Of a namespace and a name. */
const isWhole = (workload: string) => workload.includes('/');

/** The prompts of the gateway, for an assistant that can ask every node. They name only tools that there are. */
export function createClusterPrompts(
  tools: readonly Pick<GpuTool, 'name' | 'inputSchema'>[],
): readonly GpuPrompt[] {
  const box = toolboxOf(tools);
  const { has, call } = box;
  /** A call of a tool that is asked of one node: without a name it would be refused where there are several. */
  const callOn = (tool: string, args: Arguments, which = 'the node found worst') => {
    const text = call(tool, args);
    if (args['node']) return text;
    const others = text.replace(/ with \{\}\.$/, ' with').replace(/\.$/, ' and');
    return `${others} the name of ${which} as node.`;
  };
  /** Asks about the workload, else about the node. */
  const explain = (given: Given) => {
    const subject = subjectOf(box, 'explain_failure', given);
    const [kind, name] = Object.entries(subject)[0] ?? [];
    if (kind !== 'pod' && kind !== 'job') return callOn('explain_failure', subject);
    return typeof name === 'string' && !isWhole(name)
      ? `Call explain_failure with the ${kind} ${JSON.stringify(name)} as namespace/name; ask if it is not given.`
      : call('explain_failure', subject);
  };
  const canAskWorkloads = has('explain_failure', 'pod') || has('explain_failure', 'job');
  /** For whom no node was named. */
  const findNode = (given: Given) => [
    ...(given.node || ((given.pod || given.job) && canAskWorkloads)
      ? []
      : [`${call('get_gpu_health')} The worst nodes come first: choose the one that the user means.`]),
  ];
  const workloadArguments = canAskWorkloads ? { pod, job } : {};
  return [
    {
      name: 'gpu-triage',
      title: 'GPU triage',
      description:
        'Find out whether a problem is the code or the hardware, on which node, and the one thing to do now.',
      argsSchema: z.object({ symptom, ...workloadArguments, node, gpu }),
      build: (given) =>
        promptScript(
          'Find out whether this is a fault of the code or of the GPU hardware, where, and name one action.',
          given['symptom'],
          [
            ...findNode(given),
            `${explain(given)} It weighs readings, kernel log, bus and processes: verdict, notYourCode (true, false or undecided), hypotheses with likelihoods, and nextSteps[0], the one thing to do.`,
            `${call('get_gpu_health', { node: given['node'], gpu: gpuOf(given) })} Look whether other GPUs or nodes are in trouble too. A node whose status is not ok did not answer: it is unknown, never fine.`,
            `If a kernel-log incident is among the evidence: ${call('analyze_xid_errors', { node: given['node'], gpu: gpuOf(given) })} An incident with trusted false supports no conclusion; one whose standing is not primary was brought about, taken back or mended by something else.`,
            ...(has('describe_gpu_node')
              ? [
                  'If a pod is pending or a GPU is missing: call describe_gpu_node with the name of the node as node. It says why allocatable is less than the hardware.',
                ]
              : []),
            `If it was slow rather than dead: ${call('compare_gpus', { node: given['node'] })}`,
            'Answer in this order: code, hardware, or undecided; the node; the evidence (rule ids, Xid codes, times, GPU index and UUID); the one action from nextSteps[0]; what would change the conclusion (wouldChange).',
          ],
        ),
    },
    {
      name: 'diagnose-xid-errors',
      title: 'Diagnose Xid errors',
      description:
        'What the GPU errors in the kernel logs mean, on which nodes, which of them matter, and what to do.',
      argsSchema: z.object({ node, gpu, since }),
      build: (given) =>
        promptScript(
          'Explain the GPU errors in the kernel logs: what they mean, which one is the cause, where, and what to do.',
          undefined,
          [
            `${call('analyze_xid_errors', { node: given['node'], gpu: gpuOf(given), since: given['since'], ...(given['node'] ? { detail: 'full' } : {}) })} Each incident has standing (primary, sympathetic, cancelled, superseded, recovered), because, and the vendor's action. Without node it is the answer of the cluster: the worst nodes first.`,
            ...(given['node']
              ? []
              : [
                  'Ask analyze_xid_errors again for each of the worst nodes, with its name as node and detail "full".',
                ]),
            `${call('get_gpu_health', { node: given['node'], gpu: gpuOf(given), since: given['since'] })} See whether the GPUs themselves still say so: an old error on a GPU that is well is history.`,
            `${callOn('explain_failure', { node: given['node'], gpu: gpuOf(given), since: given['since'] })} Take the conclusion and the one action from here.`,
            'Answer: the primary incidents, newest first, each with its meaning, its node, its GPU and its action; then what is only a consequence and why; then the one thing to do. Name the nodes that did not answer.',
          ],
        ),
    },
    {
      name: 'gpu-health-check',
      title: 'GPU health check',
      description: 'Are the nodes fit for work? A check before a job starts or after maintenance.',
      argsSchema: z.object({ node }),
      build: (given) =>
        promptScript('Say whether the GPUs are fit for work, and if not, which and why.', undefined, [
          `${call('get_gpu_inventory', { node: given['node'] })} Are all nodes and GPUs there, and do they agree in driver, firmware, ECC and MIG settings?`,
          `${call('get_gpu_health', { node: given['node'] })} The verdicts with findings, the worst first.`,
          `${call('get_gpu_processes', { node: given['node'] })} Does anything hold memory that should be free?`,
          `${given['node'] ? '' : 'Of each node that is not ok: '}${callOn('get_gpu_topology', { node: given['node'] }, 'that node')} Are all NVLinks up, and is the fabric complete?`,
          'Answer with a table of nodes and GPUs that are not ok: node, index, verdict, leading finding, action. Then one line: fit, fit with reservations, or not fit; the nodes that did not answer; and the first thing to do.',
        ]),
    },
    {
      name: 'explain-training-failure',
      title: 'Explain a training failure',
      description: 'A job died or hangs: was it the program, the GPU, the links or the host?',
      argsSchema: z.object({
        symptom,
        ...workloadArguments,
        node,
        gpu,
        at: words(40, 'When it failed: ISO 8601 time, or duration back from now (30m, 2h).'),
      }),
      build: (given) => {
        const isWorkload = canAskWorkloads && Boolean(given['pod'] || given['job']);
        // A time and a GPU are two ways to say what failed; the time is the more telling.
        const about = given['at']
          ? { node: given['node'], at: given['at'] }
          : subjectOf(box, 'explain_failure', given);
        const whichNode = isWorkload && !given['node'] ? 'Of each node that the answer names: ' : '';
        return promptScript('Explain why this job failed or hangs, and what to do.', given['symptom'], [
          ...findNode(given),
          `${isWorkload ? explain(given) : callOn('explain_failure', about)} The likeliest cause, whose it is, and what else it could be.`,
          ...(has('get_pod_gpu_allocation') && isWorkload
            ? [
                `${call('get_pod_gpu_allocation', allocationSubject(given))} Which devices its pods have, and which wait for one.`,
              ]
            : []),
          `${whichNode}${callOn('get_gpu_timeline', { node: given['node'], gpu: gpuOf(given), around: given['at'] }, isWorkload ? 'that node' : undefined)} What changed before the failure: temperature, power, clocks, memory, errors. Nothing is known of times before recording began.`,
          `${call('get_gpu_processes', { node: given['node'], gpu: gpuOf(given) })} Does the job still hold GPUs, or does something else hold their memory?`,
          `For a job that hangs or is slow: ${call('compare_gpus', { node: given['node'], window: 5 })} A GPU at 100 % utilization that draws little power waits for a rank that does not come.`,
          'Answer: what happened first, where and when; code, hardware, or undecided, and how sure; the one action; what to keep as evidence (get_incident_report) before anything is reset.',
        ]);
      },
    },
    {
      name: 'find-straggler',
      title: 'Find the straggler',
      description: 'Which GPU of which node slows the job down, and why?',
      argsSchema: z.object({
        symptom,
        ...(has('get_pod_gpu_allocation') ? { job } : {}),
        node: words(4_096, 'The nodes of the job: names with commas, or a label selector.'),
      }),
      build: (given) =>
        promptScript('Find the GPU that holds the others up, on which node, and why.', given['symptom'], [
          ...(has('get_pod_gpu_allocation') && given['job'] && !given['node']
            ? [
                `${call('get_pod_gpu_allocation', allocationSubject(given))} Find the nodes of the pods of ${JSON.stringify(given['job'])}, and give them with commas as node below.`,
              ]
            : []),
          `${call('compare_gpus', { node: given['node'], window: 5 })} Outliers against the GPUs of the same product on all these nodes, and the signature of a collective that waits.`,
          'Then, of the node that stands out, with its name as node: get_gpu_timeline (since "10m": since when is it different?), get_gpu_topology (is a link down, slow or full of errors?) and get_gpu_health (is it held back by heat, power or its PCIe link?).',
          'Answer: the node and the GPU (index, UUID), what is different and by how much, the likely reason, the one action. If none stands out, say so, and name the nodes that did not answer.',
        ]),
    },
    {
      name: 'rma-evidence',
      title: 'Evidence for a replacement',
      description: 'Collect what a vendor asks for before a GPU is replaced, and say whether it is due.',
      argsSchema: z.object({ node, gpu, symptom }),
      build: (given) => {
        const one = { node: given['node'], gpu: gpuOf(given) };
        return promptScript(
          'Collect the evidence for a ticket with the vendor about this GPU.',
          given['symptom'],
          [
            ...findNode(given),
            `${callOn('explain_failure', one)} Is a field diagnostic or support the action, or does something gentler come first?`,
            `${callOn('get_incident_report', { ...one, format: 'markdown' })} Serials, firmware, raw lines, counters, coverage: the text to attach.`,
            `${callOn('get_gpu_telemetry', { ...one, sections: ['ecc', 'rowRemap', 'pcie', 'nvlink'], detail: 'full' })} The counters as they are now.`,
            'Answer: whether a replacement is due by the evidence (name the finding), what is missing for it (field diagnostic, nvidia-bug-report.log), and the report as it is, unchanged.',
          ],
        );
      },
    },
  ];
}

const objectName = /^[a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?$/;

/** What the tool about allocations takes: a namespace, and a pod in it. */
function allocationSubject({ pod: podName, job: jobName }: Given): Arguments {
  const parts = (podName ?? jobName ?? '').split('/');
  const namespace = parts.length > 1 ? parts[0] : undefined;
  if (namespace === undefined || !objectName.test(namespace)) return {};
  const name = podName === undefined ? undefined : parts.at(-1);
  return name !== undefined && objectName.test(name) ? { namespace, pod: name } : { namespace };
}
