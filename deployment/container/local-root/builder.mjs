// buildah, or podman where that is missing: both take the same arguments.
import { spawnSync } from 'node:child_process';

const isThere = (command) => spawnSync(command, ['--version'], { stdio: 'ignore' }).status === 0;

/**
 * runc, because crun of older distributions fails where both cgroup versions are mounted. The limits are given because the default ones
 * are above what a process in a sandbox may ask for.
 */
function machineFlags() {
  const limits = ['--ulimit', 'nofile=4096:4096', '--ulimit', 'nproc=4096:4096'];
  return isThere('runc') ? { runtime: 'runc', limits } : { runtime: undefined, limits };
}

/** @returns undefined where neither is installed */
export function findBuilder() {
  const command = ['buildah', 'podman'].find(isThere);
  if (command === undefined) return undefined;
  const { runtime, limits } = machineFlags();
  const forAll = command === 'podman' && runtime ? ['--runtime', runtime] : [];
  const forBuild = command === 'buildah' && runtime ? ['--runtime', runtime] : [];
  // What is built goes to stderr; stdout is for the name of the image.
  const run = (args, stdio) => spawnSync(command, [...forAll, ...args], { stdio, encoding: 'utf8' });
  return {
    command,
    hasImage: (name) => run(['inspect', '--type', 'image', name], 'ignore').status === 0,
    /** A label of an image that is here. */
    label(name, label) {
      const { status, stdout } = run(['inspect', '--type', 'image', name], ['ignore', 'pipe', 'ignore']);
      if (status !== 0) return undefined;
      // buildah says it as one object with the configuration in two formats, podman as a list.
      const [image] = [JSON.parse(stdout)].flat();
      return (image.Docker?.config ?? image.Config).Labels?.[label];
    },
    /** Whether the image is here or can be had. */
    canPull: (name) =>
      run(['pull', '--quiet', ...(command === 'buildah' ? ['--policy', 'missing'] : []), name], 'ignore')
        .status === 0,
    build(args) {
      // HEALTHCHECK is part of docker's format only. Layers are kept, so that what did not change is not made again.
      const all = ['build', '--format', 'docker', '--layers', ...forBuild, ...limits, ...args];
      const { status, error } = run(all, ['ignore', 2, 2]);
      if (error) throw error;
      if (status !== 0) throw new Error(`${command} build ended with ${status}`);
    },
  };
}
