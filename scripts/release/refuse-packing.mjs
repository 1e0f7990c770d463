// `prepack` of the apps: what npm would pack in their folders is the form that development works with, not the bundle that users get.
import { basename } from 'node:path';

console.error(
  `The package of the ${basename(process.cwd())} is not packed here, but from a bundle: node scripts/release.mjs --dry-run (docs/releasing.md)`,
);
process.exitCode = 1;
