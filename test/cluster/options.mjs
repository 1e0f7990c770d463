import { readFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { parse } from 'yaml';

export const chartFolder = new URL('../../deployment/helm/k8s-gpu-mcp-server/', import.meta.url);

export const usage = `usage: node test/cluster/real-cluster.mjs [options]

  --image IMAGE           of the agents and the gateway (default that of the chart)
  --helm FILE             helm 3.17 or later (default the one in the PATH)
  --kubeconfig FILE       default as kubectl
  --context NAME          default the current one
  --namespace NAME        made anew and removed; must not exist (default gpu-mcp-trial)
  --keep                  leave everything in the cluster
  --scenario NAME         what the simulated GPUs show (default mixed-faults)
  --real-gpus             real GPUs instead of simulated ones
  --set KEY=VALUE         further value of the chart, repeatable
  --node-selector K=V     nodes to run agents on (default all with --scenario, those with GPUs with --real-gpus)
  --pretend-gpus N        nodes say that they have N nvidia.com/gpu: for a cluster of one's own, without GPUs
  --node COMMAND          Node.js in the image (default "/nodejs/bin/node")`;

export class UsageError extends Error {}

/** What the chart runs when nobody says otherwise. */
function chartImage() {
  const chart = (file) => parse(readFileSync(new URL(file, chartFolder), 'utf8'));
  return `${chart('values.yaml').image.repository}:${chart('Chart.yaml').appVersion}`;
}

/** What is to be tried, and with what. Throws `UsageError`. */
export function readOptions(argv) {
  let values;
  try {
    ({ values } = parseArgs({
      args: argv,
      options: {
        image: { type: 'string' },
        helm: { type: 'string', default: 'helm' },
        kubeconfig: { type: 'string' },
        context: { type: 'string' },
        namespace: { type: 'string', default: 'gpu-mcp-trial' },
        keep: { type: 'boolean', default: false },
        scenario: { type: 'string', default: 'mixed-faults' },
        'real-gpus': { type: 'boolean', default: false },
        set: { type: 'string', multiple: true, default: [] },
        'node-selector': { type: 'string' },
        'pretend-gpus': { type: 'string', default: '0' },
        node: { type: 'string', default: '/nodejs/bin/node' },
      },
    }));
  } catch (error) {
    throw new UsageError(error.message);
  }
  const pretendGpus = Number(values['pretend-gpus']);
  if (!Number.isInteger(pretendGpus) || pretendGpus < 0 || pretendGpus > 16)
    throw new UsageError('--pretend-gpus takes a number from 0 to 16');
  const [label, labelValue = ''] = values['node-selector']?.split('=', 2) ?? [];
  return {
    image: values.image ?? chartImage(),
    helm: values.helm,
    kubeconfig: values.kubeconfig,
    context: values.context,
    namespace: values.namespace,
    keep: values.keep,
    scenario: values.scenario,
    isMock: !values['real-gpus'],
    values: values.set,
    nodeSelector: label === undefined ? {} : { [label]: labelValue },
    pretendGpus,
    node: values.node.trim().split(/\s+/),
  };
}
