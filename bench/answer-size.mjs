// What a model is given to read, in tokens (four bytes of compact JSON each) and bytes: the tool list of the whole agent, with the tools that
// change things and the pods', and the answers of every tool in every scenario of the mock backend. The budgets are of a healthy node of 8
// GPUs; trouble may be told at greater length. Sizes do not vary, so there is one run of each.
import { printAlone } from './harness/alone.mjs';
import { isShort } from './harness/environment.mjs';
import { exactFigure } from './harness/figure.mjs';
import { bundleForm } from './harness/forms.mjs';
import { openSession } from './harness/processes.mjs';

const bytesOf = (value) => Buffer.byteLength(JSON.stringify(value));
const tokensOf = (bytes) => Math.round(bytes / 4);

const healthy = 'healthy-8xh100';
/** By tool, and by what it is asked for, in tokens. */
const budgets = {
  get_gpu_health: 800,
  get_gpu_inventory: 1_500,
  get_gpu_telemetry: 1_500,
  'get_gpu_telemetry, a window': 1_500,
  get_gpu_topology: 1_500,
  get_gpu_processes: 1_500,
  analyze_xid_errors: 1_500,
  explain_failure: 1_500,
  get_gpu_timeline: 1_500,
  get_incident_report: 2_500,
  compare_gpus: 1_500,
};
const argumentsOf = { 'get_gpu_telemetry, a window': { window: 1 } };
/** What is read beside a driver that hangs, or of GPUs that are gone, takes its deadlines; the short run leaves it out. */
const scenariosOf = async () => {
  if (isShort) return [healthy, 'mixed-faults'];
  const { mockScenarios } = await import('@k8s-gpu-mcp/nvml-mock');
  return mockScenarios.map(({ name }) => name);
};

async function inSession(args, work) {
  const session = openSession([...bundleForm(), '--log-level', 'silent', ...args]);
  try {
    const { tools } = await session.start();
    return await work(session, tools);
  } finally {
    await session.kill();
  }
}

/** Bytes of each answer, by tool. What the client gives a model is the structured content. */
const answersIn = (scenario) =>
  inSession(['--backend', 'mock', '--scenario', scenario], async (session, tools) => {
    const forgotten = tools.filter(({ name }) => budgets[name] === undefined);
    if (forgotten.length > 0)
      throw new Error(`no budget for ${forgotten.map(({ name }) => name).join(', ')}`);
    const sizes = {};
    for (const what of Object.keys(budgets)) {
      const [tool] = what.split(',');
      sizes[what] = bytesOf((await session.call(tool, argumentsOf[what])).structuredContent);
    }
    return sizes;
  });

export async function run() {
  const every = ['--backend', 'nvml', '--mode', 'operator', '--pod-resources', '/nowhere/kubelet.sock'];
  const [list, listed] = await inSession(every, async (_, tools) => [bytesOf(tools), tools.length]);
  const sizes = {};
  for (const scenario of await scenariosOf()) sizes[scenario] = await answersIn(scenario);
  const figures = [
    exactFigure({
      name: 'tools/list of the whole agent, tokens',
      ...{ ours: list / 4, theirs: 1, must: 8_000, stretch: 5_000 },
      detail: `${list.toLocaleString('en-US')} bytes for ${listed} tools`,
    }),
    ...Object.entries(budgets).map(([what, budget]) =>
      exactFigure({
        name: `answer of ${what}: tokens for a healthy node of 8 GPUs / budget`,
        ...{ ours: sizes[healthy][what] / 4, theirs: budget, must: 1 },
        detail: `${tokensOf(sizes[healthy][what])} of ${budget} tokens`,
      }),
    ),
  ];
  const table = {
    title: 'Answers: tokens (bytes) by tool and scenario',
    columns: ['scenario', ...Object.keys(budgets)],
    rows: Object.entries(sizes).map(([scenario, bytes]) => [
      scenario,
      ...Object.keys(budgets).map((what) => `${tokensOf(bytes[what])} (${bytes[what]})`),
    ]),
  };
  return { figures, tables: [table] };
}

await printAlone(import.meta.filename, run);
