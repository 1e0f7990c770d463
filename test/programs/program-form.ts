// In which form the tests run the programs. The workspace form is what development works with; the others are what users get: the bundle of
// npx and the image, and the bundle with the V8 startup snapshot that the image adds. `node test/forms/run.mjs` makes and tests both.
import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { agentFlags } from '../../scripts/agent-flags.js';

const forms = ['workspace', 'bundle', 'snapshot'] as const;
export type ProgramForm = (typeof forms)[number];

const inRepository = (path: string) => fileURLToPath(new URL(`../../${path}`, import.meta.url));

/** The programs of the workspace, as npm installs them. */
export const programs = {
  agent: inRepository('apps/agent/bin/k8s-gpu-mcp-server.js'),
  gateway: inRepository('apps/gateway/bin/k8s-gpu-mcp-gateway.js'),
  bridge: inRepository('apps/bridge/bin/k8s-gpu-mcp-bridge.js'),
  'kubectl-mcp': inRepository('apps/bridge/bin/kubectl-mcp.js'),
} as const;
export type ProgramName = keyof typeof programs;

/** Programs whose start is worth a snapshot; the others run as a bundle where the form is `snapshot`. */
const snapshots: { readonly [name in ProgramName]?: string } = { agent: 'out/bundle/agent/agent.blob' };

export interface ProgramCommand {
  readonly command: string;
  readonly args: string[];
}

function built(path: string): string {
  const file = inRepository(path);
  if (!existsSync(file))
    throw new Error(`${path} is not there: node test/forms/run.mjs makes it, or scripts/bundle.mjs`);
  return file;
}

/** What the environment chooses: `K8S_GPU_MCP_TEST_FORM`, and `K8S_GPU_MCP_TEST_NODE` for the node that runs it. */
export function chosenForm(environment: Readonly<Record<string, string | undefined>>): {
  readonly form: ProgramForm;
  readonly node: string;
} {
  const { K8S_GPU_MCP_TEST_FORM: asked = 'workspace', K8S_GPU_MCP_TEST_NODE: node = process.execPath } =
    environment;
  const form = forms.find((each) => each === asked);
  if (form === undefined) throw new Error(`K8S_GPU_MCP_TEST_FORM is "${asked}", not ${forms.join(', ')}`);
  return { form, node };
}

const { form, node } = chosenForm(process.env);

/** The form under test. */
export const programForm: ProgramForm = form;

/** Version of the node that runs the programs. */
export const programNodeVersion = (): string =>
  node === process.execPath
    ? process.versions.node
    : execFileSync(node, ['-p', 'process.versions.node'], { encoding: 'utf8' }).trim();

/** How a program is started in the form under test, as the launcher of the image does it. */
export function programCommand(program: ProgramName, args: readonly string[] = []): ProgramCommand {
  const blob = programForm === 'snapshot' ? snapshots[program] : undefined;
  return {
    command: node,
    args: [
      ...(blob === undefined ? [] : [...agentFlags, '--snapshot-blob', built(blob)]),
      programForm === 'workspace' ? programs[program] : built(`out/bundle/${program}/dist/main.js`),
      ...args,
    ],
  };
}
