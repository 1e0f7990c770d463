/** The entry of the kubectl plugin. */
import { run } from './run.ts';

const interruption = new AbortController();
let code: number | undefined;
for (const [signal, exitCode] of [
  ['SIGINT', 130],
  ['SIGTERM', 143],
] as const)
  process.on(signal, () => {
    // The second time means now.
    if (code !== undefined) process.exit(code);
    code = exitCode;
    interruption.abort();
  });

void run(process.argv.slice(2), {
  stdout: process.stdout,
  stderr: process.stderr,
  env: process.env,
  interruption: interruption.signal,
  // Not process.exitCode alone: a connection to a dead gateway must not keep a finished program alive.
}).then((result) => process.exit(code ?? result));
