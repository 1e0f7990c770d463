// Containers that stay up while a test talks to them.
import { randomUUID } from 'node:crypto';
import { afterEach } from 'vitest';
import { builtImage, podman, podmanCommand, runFlags, tryPodman } from './built-image.ts';

const started = new Set<string>();

/** Starts a container of the image in the background. @returns its name */
export function startContainer(flags: readonly string[], args: readonly string[] = []): string {
  const name = `k8s-gpu-mcp-${randomUUID()}`;
  started.add(name);
  podman(['run', '--detach', '--name', name, ...runFlags, ...flags, builtImage(), ...args]);
  return name;
}

/** Every container of a test is gone after it. */
export function removeContainersAfterEach(): void {
  afterEach(() => {
    for (const name of started) tryPodman(['rm', '--force', '--time', '0', name]);
    started.clear();
  });
}

interface State {
  readonly Running: boolean;
  readonly ExitCode: number;
  readonly OOMKilled: boolean;
  readonly Pid: number;
}

export const stateOf = (name: string): State =>
  JSON.parse(podman(['inspect', '--format', '{{json .State}}', name])) as State;

export const logOf = (name: string): string => {
  const { stdout, stderr } = tryPodman(['logs', name]);
  return stdout + stderr;
};

/** The command lines of all processes in the container, process 1 first. */
export const processesIn = (name: string): readonly string[] =>
  podman(['top', name, 'pid', 'args'])
    .split('\n')
    .slice(1)
    .filter((line) => line.trim() !== '');

/** What a client needs to talk to a program in a container over stdio. */
export function stdioCommand(args: readonly string[]): { command: string; args: string[]; stderr: 'ignore' } {
  const [command, ...flags] = podmanCommand;
  return { command, args: [...flags, ...args], stderr: 'ignore' };
}
