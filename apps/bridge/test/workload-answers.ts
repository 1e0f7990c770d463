import type { StructuredContent } from '@k8s-gpu-mcp/core';

// Answers of the gateway's explain_failure, captured from a real gateway over two real agents and an API server that knows their nodes and a
// job that failed on them (apps/gateway/test/cluster-tools.e2e.test.ts).

/** A pod of a job, on the node whose GPU fell off the bus. */
export const podAnswer: StructuredContent = {
  apiVersion: 'v1',
  node: null,
  observedAt: '2026-11-21T16:57:08.633Z',
  verdict: 'critical',
  summary:
    'Not your code (confidence high): Xid 79 on GPU 3 of node gpu-1, 119 s before the first end: the GPU does not answer on its bus. Next: drain and reboot the node.',
  subject: {
    kind: 'pod',
    namespace: 'ml',
    pod: 'train-0',
    owner: { kind: 'Job', name: 'train' },
    podCount: 1,
    nodeCount: 1,
    phase: 'Failed',
  },
  failedAt: '2026-11-21T16:17:04.000Z',
  notYourCode: true,
  cause: 'gpu-bus',
  confidence: 'high',
  action: 'reboot-node',
  hypotheses: [
    {
      cause: 'gpu-bus',
      notYourCode: true,
      confidence: 'high',
      what: 'Xid 79 on GPU 3 of node gpu-1, 119 s before the first end: the GPU does not answer on its bus.',
      action: 'reboot-node',
      node: 'gpu-1',
      gpu: 3,
      supports: [
        { field: 'kernelLog.Xid 79', at: '2026-11-21T16:15:04.549Z', value: 1 },
        { field: 'agent.explain_failure.gpu-bus', value: 'critical' },
      ],
    },
    {
      cause: 'unknown',
      notYourCode: 'undecided',
      confidence: 'low',
      what: 'It ended itself with an error. A CUDA error that a hardware fault raised ends the same way. Running out of GPU memory is an error that the program gets and reports itself: no exit code tells it.',
      action: 'check-app',
      node: 'gpu-1',
      supports: [
        { field: 'container.exitCode', at: '2026-11-21T16:17:04Z', value: 1 },
        { field: 'container.reason', value: 'Error' },
      ],
    },
  ],
  ways: [
    {
      kind: 'own-error',
      reason: 'Error',
      exitCode: 1,
      podCount: 1,
      nodeCount: 1,
      meaning:
        'It ended itself with an error. A CUDA error that a hardware fault raised ends the same way. Running out of GPU memory is an error that the program gets and reports itself: no exit code tells it.',
    },
  ],
  terminations: [
    {
      pod: 'train-0',
      node: 'gpu-1',
      container: 'main',
      kind: 'own-error',
      reason: 'Error',
      exitCode: 1,
      finishedAt: '2026-11-21T16:17:04Z',
    },
  ],
  endedPodCount: 1,
  events: [],
  eventCount: 0,
  nodes: [
    {
      node: 'gpu-1',
      podCount: 1,
      ready: 'True',
      gpusHeld: 'all',
      verdict: 'critical',
      notYourCode: true,
      cause: 'gpu-bus',
      gpu: 3,
      incidents: [
        {
          id: 'xid-154@0000:61:00#2026-11-21T16:15:04.549Z',
          xid: 154,
          gpu: 3,
          at: '2026-11-21T16:15:04.549Z',
          verdict: 'critical',
        },
        {
          id: 'xid-79@0000:61:00#2026-11-21T16:15:04.549Z',
          xid: 79,
          gpu: 3,
          at: '2026-11-21T16:15:04.549Z',
          verdict: 'critical',
        },
      ],
    },
  ],
  wouldChange: ['The same end again on other GPUs would point to the program.'],
  notSeen: ['No events: clusters keep them for an hour by default.'],
  findings: [
    {
      ruleId: 'workload.hardware',
      verdict: 'critical',
      action: 'reboot-node',
      source: 'NVIDIA Xid catalogue; PyTorch, torch.distributed (timeouts of collectives)',
      confidence: 'high',
      what: 'Xid 79 on GPU 3 of node gpu-1, 119 s before the first end: the GPU does not answer on its bus.',
      gpu: 3,
      evidence: [
        { field: 'kernelLog.Xid 79', at: '2026-11-21T16:15:04.549Z', value: 1 },
        { field: 'agent.explain_failure.gpu-bus', value: 'critical' },
      ],
    },
    {
      ruleId: 'workload.own-error',
      verdict: 'warning',
      action: 'check-app',
      source: 'Kubernetes, "Determine the Reason for Pod Failure" and "Debug Pods"',
      confidence: 'low',
      what: 'It ended itself with an error. A CUDA error that a hardware fault raised ends the same way. Running out of GPU memory is an error that the program gets and reports itself: no exit code tells it.',
      evidence: [
        { field: 'container.exitCode', at: '2026-11-21T16:17:04Z', value: 1 },
        { field: 'container.reason', value: 'Error' },
      ],
    },
  ],
  gaps: [],
  coverage: { node: true, pods: true, claims: null, events: true, agent: true, podResources: true },
  nextSteps: [
    {
      action: 'reboot-node',
      reason:
        'Xid 79 on GPU 3 of node gpu-1, 119 s before the first end: the GPU does not answer on its bus.',
    },
    {
      action: 'none',
      reason: 'The evidence of that node, for a ticket or a return.',
      tool: 'get_incident_report',
    },
  ],
};

/** The whole job: one of its nodes is broken, the other was heard and is well. */
export const jobAnswer: StructuredContent = {
  apiVersion: 'v1',
  node: null,
  observedAt: '2026-11-21T16:57:08.837Z',
  verdict: 'critical',
  summary:
    'Not your code (confidence high): Xid 79 on GPU 3 of node gpu-1, 119 s before the first end: the GPU does not answer on its bus. The ends of the pod on other nodes can be consequences of it. Next: drain and reboot the node.',
  subject: { kind: 'job', namespace: 'ml', job: { kind: 'Job', name: 'train' }, podCount: 2, nodeCount: 2 },
  failedAt: '2026-11-21T16:17:04.000Z',
  notYourCode: true,
  cause: 'gpu-bus',
  confidence: 'high',
  action: 'reboot-node',
  hypotheses: [
    {
      cause: 'gpu-bus',
      notYourCode: true,
      confidence: 'high',
      what: 'Xid 79 on GPU 3 of node gpu-1, 119 s before the first end: the GPU does not answer on its bus. The ends of the pod on other nodes can be consequences of it.',
      action: 'reboot-node',
      node: 'gpu-1',
      gpu: 3,
      supports: [
        { field: 'kernelLog.Xid 79', at: '2026-11-21T16:15:04.549Z', value: 1 },
        { field: 'agent.explain_failure.gpu-bus', value: 'critical' },
      ],
    },
    {
      cause: 'unknown',
      notYourCode: 'undecided',
      confidence: 'low',
      what: 'It ended itself with an error. A CUDA error that a hardware fault raised ends the same way. Running out of GPU memory is an error that the program gets and reports itself: no exit code tells it.',
      action: 'check-app',
      node: 'gpu-1',
      supports: [
        { field: 'container.exitCode', at: '2026-11-21T16:17:04Z', value: 1 },
        { field: 'container.reason', value: 'Error' },
      ],
    },
  ],
  ways: [
    {
      kind: 'own-error',
      reason: 'Error',
      exitCode: 1,
      podCount: 2,
      nodeCount: 2,
      meaning:
        'It ended itself with an error. A CUDA error that a hardware fault raised ends the same way. Running out of GPU memory is an error that the program gets and reports itself: no exit code tells it.',
    },
  ],
  terminations: [
    {
      pod: 'train-0',
      node: 'gpu-1',
      container: 'main',
      kind: 'own-error',
      reason: 'Error',
      exitCode: 1,
      finishedAt: '2026-11-21T16:17:04Z',
    },
    {
      pod: 'train-1',
      node: 'gpu-2',
      container: 'main',
      kind: 'own-error',
      reason: 'Error',
      exitCode: 1,
      finishedAt: '2026-11-21T16:17:07Z',
    },
  ],
  endedPodCount: 2,
  events: [],
  eventCount: 0,
  nodes: [
    {
      node: 'gpu-1',
      podCount: 1,
      ready: 'True',
      gpusHeld: 'all',
      verdict: 'critical',
      notYourCode: true,
      cause: 'gpu-bus',
      gpu: 3,
      incidents: [
        {
          id: 'xid-154@0000:61:00#2026-11-21T16:15:04.549Z',
          xid: 154,
          gpu: 3,
          at: '2026-11-21T16:15:04.549Z',
          verdict: 'critical',
        },
        {
          id: 'xid-79@0000:61:00#2026-11-21T16:15:04.549Z',
          xid: 79,
          gpu: 3,
          at: '2026-11-21T16:15:04.549Z',
          verdict: 'critical',
        },
      ],
    },
    {
      node: 'gpu-2',
      podCount: 1,
      ready: 'True',
      gpusHeld: 'all',
      verdict: 'unknown',
      notYourCode: 'undecided',
      cause: 'unknown',
      incidents: [],
    },
  ],
  wouldChange: ['The same end again on other GPUs would point to the program.'],
  notSeen: ['No events: clusters keep them for an hour by default.'],
  findings: [
    {
      ruleId: 'workload.hardware',
      verdict: 'critical',
      action: 'reboot-node',
      source: 'NVIDIA Xid catalogue; PyTorch, torch.distributed (timeouts of collectives)',
      confidence: 'high',
      what: 'Xid 79 on GPU 3 of node gpu-1, 119 s before the first end: the GPU does not answer on its bus. The ends of the pod on other nodes can be consequences of it.',
      gpu: 3,
      evidence: [
        { field: 'kernelLog.Xid 79', at: '2026-11-21T16:15:04.549Z', value: 1 },
        { field: 'agent.explain_failure.gpu-bus', value: 'critical' },
      ],
    },
    {
      ruleId: 'workload.own-error',
      verdict: 'warning',
      action: 'check-app',
      source: 'Kubernetes, "Determine the Reason for Pod Failure" and "Debug Pods"',
      confidence: 'low',
      what: 'It ended itself with an error. A CUDA error that a hardware fault raised ends the same way. Running out of GPU memory is an error that the program gets and reports itself: no exit code tells it.',
      evidence: [
        { field: 'container.exitCode', at: '2026-11-21T16:17:04Z', value: 1 },
        { field: 'container.reason', value: 'Error' },
      ],
    },
  ],
  gaps: [],
  coverage: { node: true, pods: true, claims: null, events: true, agent: true, podResources: true },
  nextSteps: [
    {
      action: 'reboot-node',
      reason:
        'Xid 79 on GPU 3 of node gpu-1, 119 s before the first end: the GPU does not answer on its bus. The ends of the pod on other nodes can be consequences of it.',
    },
    {
      action: 'none',
      reason: 'The evidence of that node, for a ticket or a return.',
      tool: 'get_incident_report',
    },
  ],
};

/** A pod that its own memory limit ended. */
export const memoryAnswer: StructuredContent = {
  apiVersion: 'v1',
  node: null,
  observedAt: '2026-11-21T16:57:08.927Z',
  verdict: 'warning',
  summary:
    "Not the GPU (confidence high): The kernel ended it because main memory ran out, at the container's limit or on the host; this is not GPU memory. Running out of GPU memory is an error that the program gets and reports itself: no exit code tells it. Next: debug the application.",
  subject: {
    kind: 'pod',
    namespace: 'ml',
    pod: 'greedy',
    owner: { kind: 'Job', name: 'other' },
    podCount: 1,
    nodeCount: 1,
    phase: 'Failed',
  },
  failedAt: '2026-11-21T16:56:34.000Z',
  notYourCode: false,
  cause: 'host-memory',
  confidence: 'high',
  action: 'check-app',
  hypotheses: [
    {
      cause: 'host-memory',
      notYourCode: false,
      confidence: 'high',
      what: "The kernel ended it because main memory ran out, at the container's limit or on the host; this is not GPU memory. Running out of GPU memory is an error that the program gets and reports itself: no exit code tells it.",
      action: 'check-app',
      node: 'gpu-2',
      supports: [
        { field: 'container.exitCode', at: '2026-11-21T16:56:34Z', value: 137 },
        { field: 'container.reason', value: 'OOMKilled' },
      ],
    },
  ],
  ways: [
    {
      kind: 'host-memory',
      reason: 'OOMKilled',
      exitCode: 137,
      podCount: 1,
      nodeCount: 1,
      meaning:
        "The kernel ended it because main memory ran out, at the container's limit or on the host; this is not GPU memory. Running out of GPU memory is an error that the program gets and reports itself: no exit code tells it.",
    },
  ],
  terminations: [
    {
      pod: 'greedy',
      node: 'gpu-2',
      container: 'main',
      kind: 'host-memory',
      reason: 'OOMKilled',
      exitCode: 137,
      signal: 9,
      finishedAt: '2026-11-21T16:56:34Z',
    },
  ],
  endedPodCount: 1,
  events: [],
  eventCount: 0,
  nodes: [
    {
      node: 'gpu-2',
      podCount: 1,
      ready: 'True',
      gpusHeld: 'all',
      verdict: 'ok',
      notYourCode: 'undecided',
      cause: 'none',
      incidents: [],
    },
  ],
  wouldChange: ['The last lines of its own log, of the first pod that ended, tell what the program saw.'],
  notSeen: ['No events: clusters keep them for an hour by default.'],
  findings: [
    {
      ruleId: 'workload.host-memory',
      verdict: 'warning',
      action: 'check-app',
      source: 'Kubernetes, "Assign Memory Resources to Containers and Pods" (OOMKilled)',
      confidence: 'high',
      what: "The kernel ended it because main memory ran out, at the container's limit or on the host; this is not GPU memory. Running out of GPU memory is an error that the program gets and reports itself: no exit code tells it.",
      evidence: [
        { field: 'container.exitCode', at: '2026-11-21T16:56:34Z', value: 137 },
        { field: 'container.reason', value: 'OOMKilled' },
      ],
    },
  ],
  gaps: [],
  coverage: { node: true, pods: true, claims: null, events: true, agent: true, podResources: true },
  nextSteps: [
    {
      action: 'check-app',
      reason:
        "The kernel ended it because main memory ran out, at the container's limit or on the host; this is not GPU memory. Running out of GPU memory is an error that the program gets and reports itself: no exit code tells it.",
    },
    {
      action: 'none',
      reason: 'See what the program itself said: the last lines of the first pod that ended.',
      command: 'kubectl logs POD --namespace NAMESPACE --all-containers --previous',
    },
  ],
};
