import { isAbsolute } from 'node:path';
import { parseArgs } from 'node:util';

export const usage = `usage: node test/cluster/real-cluster.mjs --image IMAGE [options]

  --image IMAGE           contains the agent and the gateway (see --agent, --gateway)
  --kubeconfig FILE       default as kubectl
  --context NAME          default the current one
  --namespace NAME        made anew and removed; must not exist (default gpu-mcp-trial)
  --keep                  leave everything in the cluster
  --scenario NAME         what the simulated GPUs show (default mixed-faults)
  --real-gpus             real GPUs instead of simulated ones, on the nodes of --node-selector
  --runtime-class NAME    of the agent pods, for example nvidia
  --node-selector K=V     nodes to run agents on (default all)
  --pretend-gpus N        nodes say that they have N nvidia.com/gpu: for a cluster of one's own, without GPUs
  --agent COMMAND         in the image (default "node /app/apps/agent/bin/k8s-gpu-mcp-server.js")
  --gateway COMMAND       in the image (default "node /app/apps/gateway/bin/k8s-gpu-mcp-gateway.js")
  --node COMMAND          Node.js in the image (default "node")
  --host-path DIR         this checkout is mounted from the nodes at /app, with --node-binary, into a tiny image:
  --node-binary FILE      for a cluster whose nodes are this machine`;

export class UsageError extends Error {}

const words = (command) => command.trim().split(/\s+/);

/** What is to be tried, and with what. Throws `UsageError`. */
export function readOptions(argv) {
  let values;
  try {
    ({ values } = parseArgs({
      args: argv,
      options: {
        image: { type: 'string' },
        kubeconfig: { type: 'string' },
        context: { type: 'string' },
        namespace: { type: 'string', default: 'gpu-mcp-trial' },
        keep: { type: 'boolean', default: false },
        scenario: { type: 'string', default: 'mixed-faults' },
        'real-gpus': { type: 'boolean', default: false },
        'runtime-class': { type: 'string' },
        'node-selector': { type: 'string' },
        'pretend-gpus': { type: 'string', default: '0' },
        agent: { type: 'string' },
        gateway: { type: 'string' },
        node: { type: 'string' },
        'host-path': { type: 'string' },
        'node-binary': { type: 'string' },
      },
    }));
  } catch (error) {
    throw new UsageError(error.message);
  }
  if (values.image === undefined) throw new UsageError('--image is needed');
  const hostPath = values['host-path'];
  const nodeBinary = values['node-binary'];
  if ((hostPath === undefined) !== (nodeBinary === undefined))
    throw new UsageError('--host-path and --node-binary go together');
  for (const path of [hostPath, nodeBinary])
    if (path !== undefined && !isAbsolute(path)) throw new UsageError(`${path} must be an absolute path`);
  const pretendGpus = Number(values['pretend-gpus']);
  if (!Number.isInteger(pretendGpus) || pretendGpus < 0 || pretendGpus > 16)
    throw new UsageError('--pretend-gpus takes a number from 0 to 16');
  const [label, labelValue = ''] = values['node-selector']?.split('=', 2) ?? [];
  const node = words(values.node ?? (nodeBinary === undefined ? 'node' : '/node'));
  const program = (given, file) => (given === undefined ? [...node, `/app/apps/${file}`] : words(given));
  return {
    image: values.image,
    kubeconfig: values.kubeconfig,
    context: values.context,
    namespace: values.namespace,
    keep: values.keep,
    scenario: values.scenario,
    isMock: !values['real-gpus'],
    runtimeClass: values['runtime-class'],
    nodeSelector: label === undefined ? {} : { [label]: labelValue },
    pretendGpus,
    node,
    agent: program(values.agent, 'agent/bin/k8s-gpu-mcp-server.js'),
    gateway: program(values.gateway, 'gateway/bin/k8s-gpu-mcp-gateway.js'),
    hostPath,
    nodeBinary,
  };
}
