import { z } from 'zod';
import {
  call,
  type GpuPrompt,
  gpuArgument,
  promptResult,
  script,
  sinceArgument,
  symptomArgument,
} from './prompt.ts';

const gpuTriage: GpuPrompt = {
  name: 'gpu-triage',
  title: 'GPU triage',
  description: 'Find out whether a problem is the code or the hardware, and the one thing to do now.',
  argsSchema: z.object({ symptom: symptomArgument, gpu: gpuArgument }),
  build: ({ symptom, gpu }) =>
    script(
      'Find out whether this is a fault of the code or of the GPU hardware on this node, and name one action.',
      symptom,
      [
        `${call('explain_failure', { gpu })} It weighs readings, kernel log, bus and processes: verdict, notYourCode (true, false or undecided), hypotheses with likelihoods, and nextSteps[0], the one thing to do.`,
        `${call('get_gpu_health', { gpu })} Look whether other GPUs of the node are in trouble too.`,
        `If a kernel-log incident is among the evidence: ${call('analyze_xid_errors', { gpu })} An incident with trusted false supports no conclusion; one whose standing is not primary was brought about, taken back or mended by something else.`,
        `If it was slow rather than dead: ${call('compare_gpus')}`,
        'Answer in this order: code, hardware, or undecided; the evidence (rule ids, Xid codes, times, GPU index and UUID); the one action from nextSteps[0]; what would change the conclusion (wouldChange).',
      ],
    ),
};

const diagnoseXidErrors: GpuPrompt = {
  name: 'diagnose-xid-errors',
  title: 'Diagnose Xid errors',
  description: 'What the GPU errors in the kernel log mean, which of them matter, and what to do.',
  argsSchema: z.object({ gpu: gpuArgument, since: sinceArgument }),
  build: ({ gpu, since }) =>
    script(
      'Explain the GPU errors in the kernel log of this node: what they mean, which one is the cause, and what to do.',
      undefined,
      [
        `${call('analyze_xid_errors', { gpu, since, detail: 'full' })} Each incident has standing (primary, sympathetic, cancelled, superseded, recovered), because, the steps of the vendor's workflow, and opinions where public sources disagree.`,
        `${call('get_gpu_health', { gpu, since })} See whether the GPU itself still says so: an old error on a GPU that is well is history.`,
        `${call('explain_failure', { gpu, since })} Take the conclusion and the one action from here.`,
        'Answer: the primary incidents, newest first, each with its meaning, its GPU and its action; then what is only a consequence and why; then the one thing to do. Where opinions differ, say who says what.',
      ],
    ),
};

const gpuHealthCheck: GpuPrompt = {
  name: 'gpu-health-check',
  title: 'GPU health check',
  description: 'Is this node fit for work? A check before a job starts or after maintenance.',
  argsSchema: z.object({ gpu: gpuArgument }),
  build: ({ gpu }) =>
    script('Say whether the GPUs of this node are fit for work, and if not, which and why.', undefined, [
      `${call('get_gpu_inventory')} Are all GPUs there, and do they agree in driver, firmware, ECC and MIG settings?`,
      `${call('get_gpu_health', { gpu })} The verdict per GPU with findings.`,
      `${call('get_gpu_topology', { gpu })} Are all NVLinks up, and is the fabric complete?`,
      `${call('get_gpu_processes', { gpu })} Does anything hold memory that should be free?`,
      'Answer with a table of GPUs: index, verdict, leading finding, action. Then one line: fit, fit with reservations, or not fit; and the first thing to do.',
    ]),
};

const explainTrainingFailure: GpuPrompt = {
  name: 'explain-training-failure',
  title: 'Explain a training failure',
  description: 'A job died or hangs: was it the program, the GPU, the links or the host?',
  argsSchema: z.object({
    symptom: symptomArgument,
    gpu: gpuArgument,
    pid: z
      .string()
      .regex(/^\d{1,10}$/, 'expected a process id')
      .optional()
      .describe('Host process id, if known.'),
    at: z
      .string()
      .max(40)
      .optional()
      .describe('When it failed: ISO 8601 time, or duration back from now (30m, 2h).'),
  }),
  build: ({ symptom, gpu, pid, at }) => {
    // The most telling of what is known: the tool takes one.
    const about = pid ? { pid: Number(pid) } : at ? { at } : { gpu };
    return script('Explain why this job failed or hangs, and what to do.', symptom, [
      `${call('explain_failure', about)} The likeliest cause, whose it is, and what else it could be.`,
      `${call('get_gpu_timeline', { gpu, around: at })} What changed before the failure: temperature, power, clocks, memory, errors. Nothing is known of times before recording began.`,
      `${call('get_gpu_processes', { gpu })} Does the job still hold GPUs, or does something else hold their memory?`,
      `For a job that hangs or is slow: ${call('compare_gpus', { window: 5 })} A GPU at 100 % utilization that draws little power waits for a rank that does not come.`,
      'Answer: what happened first and when; code, hardware, or undecided, and how sure; the one action; what to keep as evidence (get_incident_report) before anything is reset.',
    ]);
  },
};

const findStraggler: GpuPrompt = {
  name: 'find-straggler',
  title: 'Find the straggler',
  description: 'Which GPU slows the job down, and why?',
  argsSchema: z.object({ symptom: symptomArgument }),
  build: ({ symptom }) =>
    script('Find the GPU of this node that holds the others up, and why.', symptom, [
      `${call('compare_gpus', { window: 5 })} Outliers against the siblings, and the signature of a collective that waits.`,
      `${call('get_gpu_timeline', { since: '10m' })} Since when is it different?`,
      `${call('get_gpu_topology')} Is one of its links down, slow or full of errors?`,
      `${call('get_gpu_health')} Is it held back by heat, power or its PCIe link?`,
      'Answer: the GPU (index, UUID), what is different and by how much, the likely reason, the one action. If none stands out, say so: the straggler may be on another node.',
    ]),
};

const rmaEvidence: GpuPrompt = {
  name: 'rma-evidence',
  title: 'Evidence for a replacement',
  description: 'Collect what a vendor asks for before a GPU is replaced, and say whether it is due.',
  argsSchema: z.object({
    gpu: gpuArgument,
    symptom: symptomArgument,
  }),
  build: ({ gpu, symptom }) =>
    script('Collect the evidence for a ticket with the vendor about this GPU.', symptom, [
      `${call('explain_failure', { gpu })} Is a field diagnostic or support the action, or does something gentler come first?`,
      `${call('get_incident_report', { gpu, format: 'markdown' })} Serials, firmware, raw lines, counters, coverage: the text to attach.`,
      `${call('get_gpu_telemetry', { gpu, sections: ['ecc', 'rowRemap', 'pcie', 'nvlink'], detail: 'full' })} The counters as they are now.`,
      'Answer: whether a replacement is due by the evidence (name the finding), what is missing for it (field diagnostic, nvidia-bug-report.log), and the report as it is, unchanged.',
    ]),
};

/** Every prompt, in listing order. */
export const gpuPrompts: readonly GpuPrompt[] = [
  gpuTriage,
  diagnoseXidErrors,
  gpuHealthCheck,
  explainTrainingFailure,
  findStraggler,
  rmaEvidence,
];

/** The prompt side of a server object of either SDK line; see `McpToolServer`. */
export interface McpPromptServer {
  registerPrompt(name: string, config: never, callback: never): unknown;
}

/** Registers every prompt on a server object of the current SDK line, or of v1 with `argsSchema` as a raw shape. */
export function registerGpuPrompts(
  server: McpPromptServer,
  prompts: readonly GpuPrompt[] = gpuPrompts,
): void {
  for (const prompt of prompts) {
    const { title, description, argsSchema } = prompt;
    const build = (args: Record<string, string | undefined> | undefined) => promptResult(prompt, args ?? {});
    // The raw shape is what both SDK lines accept.
    server.registerPrompt(
      prompt.name,
      { title, description, argsSchema: argsSchema.shape } as never,
      build as never,
    );
  }
}
