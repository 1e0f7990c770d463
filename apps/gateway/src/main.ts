/** The entry of the program. */
import { run } from './cli/run.ts';

void run(process.argv.slice(2), process).then((code) => process.exit(code));
