/** The entry of the program. */
import { run } from './run.ts';

// Not process.exitCode alone: a connection to a dead gateway must not keep a finished program alive.
void run(process.argv.slice(2)).then((code) => process.exit(code));
