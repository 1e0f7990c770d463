/** The entry of the program. */
import { run } from './run.ts';

// Not process.exitCode alone: a connection to a dead gateway must not keep a finished program alive.
process.exit(await run(process.argv.slice(2)));
