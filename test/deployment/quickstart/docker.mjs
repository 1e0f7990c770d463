// `docker run` of the documents with podman, the image that was built here, and a driver where `--gpus all` asks for one.
import { spawn } from 'node:child_process';

const [given, verb, ...rest] = process.argv.slice(2);
const { podman, runFlags, image, gpuFlags } = JSON.parse(given);
if (verb !== 'run') throw new Error(`docker ${verb} is not known here`);
const gpus = rest.indexOf('--gpus');
const flags = gpus === -1 ? [] : gpuFlags;
if (gpus !== -1) rest.splice(gpus, 2);
const args = rest.map((each) => (each === 'ghcr.io/k8s-gpu-mcp/k8s-gpu-mcp-server' ? image : each));
const [command, ...podmanFlags] = podman;
const child = spawn(command, [...podmanFlags, 'run', ...runFlags, ...flags, ...args], { stdio: 'inherit' });
for (const signal of ['SIGTERM', 'SIGINT']) process.on(signal, () => child.kill(signal));
child.on('close', (code) => {
  process.exitCode = code ?? 1;
});
