/** The entry of the program: everything is loaded by the command that needs it. */
import { run } from './cli/run.ts';

// Not process.exitCode alone: a hung driver's helper must not keep a finished program alive.
void run(process.argv.slice(2), process).then((code) => process.exit(code));
