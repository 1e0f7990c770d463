import { type Outcome, type RunningProcess, startProcess } from '../../../test/programs/run-program.ts';

/** The plugin as kubectl starts it, without a terminal. */
export function startKubectlMcp(args: readonly string[]): RunningProcess {
  const running = startProcess('kubectl-mcp', args);
  running.child.stdin.end();
  return running;
}

export const kubectlMcp = (args: readonly string[]): Promise<Outcome> => startKubectlMcp(args).exited;
