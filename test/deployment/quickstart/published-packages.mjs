// npx and npm install -g, as far as the documents use them: the packages that will be published are the workspaces of this checkout.
import { spawn } from 'node:child_process';
import { readdirSync, readFileSync, symlinkSync } from 'node:fs';
import { join, resolve } from 'node:path';

const apps = resolve(import.meta.dirname, '../../../apps');
const workspaces = readdirSync(apps).map((folder) => ({
  folder: join(apps, folder),
  ...JSON.parse(readFileSync(join(apps, folder, 'package.json'), 'utf8')),
}));

function binsOf(name) {
  const found = workspaces.find((each) => each.name === name && each.private !== true);
  if (found === undefined) throw new Error(`404 Not Found: no package ${name} is published from here`);
  return Object.fromEntries(Object.entries(found.bin).map(([bin, path]) => [bin, join(found.folder, path)]));
}

function npm(bin, [verb, flag, name, ...rest]) {
  if (verb !== 'install' || flag !== '-g' || rest.length > 0)
    throw new Error(`npm ${verb} ${flag} is not known here`);
  for (const [command, path] of Object.entries(binsOf(name))) symlinkSync(path, join(bin, command));
}

function npx(args) {
  const rest = [...args];
  let name;
  for (; rest[0]?.startsWith('-'); rest.shift()) {
    if (rest[0] === '-p') name = rest.splice(1, 1)[0];
    else if (rest[0] !== '-y') throw new Error(`npx ${rest[0]} is not known here`);
  }
  const [first, ...commandArguments] = rest;
  const bins = binsOf(name ?? first);
  // Of several programs npx takes the one with the package's own name.
  const program = bins[first];
  if (program === undefined) throw new Error(`${name ?? first} has no program ${first}`);
  const child = spawn(process.execPath, [program, ...commandArguments], { stdio: 'inherit' });
  for (const signal of ['SIGTERM', 'SIGINT']) process.on(signal, () => child.kill(signal));
  child.on('close', (code) => {
    process.exitCode = code ?? 1;
  });
}

const [tool, bin, ...args] = process.argv.slice(2);
if (tool === 'npm') npm(bin, args);
else npx(args);
