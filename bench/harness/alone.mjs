// `node bench/NAME.mjs` without the runner: the lines of that one benchmark.
import { exitCodeOf, linesOf } from './report.mjs';

export async function printAlone(file, run) {
  if (process.argv[1] !== file) return;
  const result = { figures: [], ...(await run()) };
  for (const line of linesOf(result)) console.log(line);
  process.exit(exitCodeOf([result]));
}
