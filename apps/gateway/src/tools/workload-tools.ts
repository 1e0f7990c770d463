import {
  GpuError,
  type GpuTool,
  quarantine,
  type ToolResult,
  workloadArguments,
  workloadToolNames,
} from '@k8s-gpu-mcp/core';

const names: readonly string[] = workloadToolNames;

/** Arguments that a tool takes of a node only. */
const ofNode = ['node', 'gpu', 'pid', 'incident', 'since'] as const;

/**
 * A tool of nodes that can be asked of a pod or a job, too: `pod` or `job` goes to the tool of that name in `workloads`, anything else to
 * `tool`. Other tools are left as they are. `workloads` is null where there is no Kubernetes API to find pods with; asking says so.
 */
export function withWorkloads(tool: GpuTool, workloads: readonly GpuTool[] | null): GpuTool {
  if (!names.includes(tool.name)) return tool;
  const ofWorkload = workloads?.find(({ name }) => name === tool.name);
  if (workloads !== null && ofWorkload === undefined) return tool;
  const inputSchema = tool.inputSchema.extend({ ...workloadArguments, ...tool.inputSchema.shape });
  const known = Object.keys(inputSchema.shape);
  return {
    ...tool,
    description: `${tool.description} Or ask for a pod or a job: its ends, events and nodes are joined.`,
    inputSchema,
    async call(input, context) {
      const given = fieldsOf(input);
      const isWorkload = isOfWorkload(given);
      const mixed = isWorkload ? ofNode.filter((name) => given[name] !== undefined) : [];
      if (mixed.length > 0) return errorOf(tool.name, mixedUp(mixed));
      // Each of the two tools would name its own arguments only.
      const unknown = Object.keys(given).filter((name) => !known.includes(name));
      if (unknown.length > 0) return errorOf(tool.name, notKnown(unknown, known));
      if (!isWorkload) return tool.call(input, context);
      return ofWorkload ? ofWorkload.call(input, context) : errorOf(tool.name, noCluster());
    },
  };
}

/** Only the input's own fields are read. */
const fieldsOf = (input: unknown): Readonly<Record<string, unknown>> =>
  typeof input === 'object' && input !== null && !Array.isArray(input)
    ? Object.fromEntries(Object.entries(input))
    : {};

const isOfWorkload = (given: Readonly<Record<string, unknown>>) =>
  Object.keys(workloadArguments).some((name) => given[name] !== undefined);

const mixedUp = (mixed: readonly string[]) =>
  new GpuError('INVALID_INPUT', `${mixed.join(' and ')} cannot be given beside pod, job or namespace.`, {
    hint: 'Give exactly one of pod, job and node; gpu, pid, incident and since go with node.',
  });

const maximumEchoes = 5;
const maximumEchoLength = 80;

const notKnown = (unknown: readonly string[], known: readonly string[]) => {
  const more = unknown.length > maximumEchoes ? ` and ${unknown.length - maximumEchoes} more` : '';
  const echoes = unknown
    .slice(0, maximumEchoes)
    .map((name) => JSON.stringify(quarantine(name, maximumEchoLength)));
  return new GpuError(
    'INVALID_INPUT',
    `unknown argument ${echoes.join(', ')}${more} (arguments are: ${known.join(', ')}).`,
    { hint: 'Correct the argument and call again.' },
  );
};

const noCluster = () =>
  new GpuError(
    'UNAVAILABLE',
    'pods and jobs are found through the Kubernetes API, and this gateway has none: its directory is a list of agents.',
    {
      hint: 'Ask for the node on which it ran, or run the gateway in the cluster with --directory kubernetes.',
      retryable: false,
    },
  );

/** As every tool tells an error. */
function errorOf(tool: string, { code, message, hint }: GpuError): ToolResult {
  const about = code === 'INVALID_INPUT' ? `Invalid arguments for ${tool}: ` : '';
  return { isError: true, code, text: `${code}: ${about}${message} ${hint}` };
}
