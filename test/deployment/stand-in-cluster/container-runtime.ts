import type { ChildProcessWithoutNullStreams } from 'node:child_process';
import type { Mount } from './volumes.ts';

/** A container of a pod, resolved: nothing is left to look up. */
export interface ContainerPlan {
  readonly id: string;
  readonly image: string;
  /** Entry point and arguments. */
  readonly command: readonly string[];
  readonly environment: Readonly<Record<string, string>>;
  readonly mounts: readonly Mount[];
  /** Of the pod: a loopback address, on which it listens in place of all its addresses. */
  readonly address: string;
  readonly hostName: string;
  readonly runtimeClass: string | undefined;
  /** The folder with the files of its service account. */
  readonly serviceAccount: string | undefined;
  /** Names of Services by address, as the cluster's DNS would answer. */
  readonly hostsFile: string;
  readonly securityContext: Readonly<Record<string, unknown>>;
}

/** What the nodes have that a container may be given. */
export interface Machine {
  /** A file in place of the kernel's own log, which all programs of this machine share. */
  readonly kernelLog?: string;
  /** By RuntimeClass, the variables by which its containers reach the driver. */
  readonly runtimeClasses?: Readonly<Record<string, Readonly<Record<string, string>>>>;
}

export interface ContainerRuntime {
  start(plan: ContainerPlan): ChildProcessWithoutNullStreams;
  /** A further program in a running container, with its stdin. */
  exec(plan: ContainerPlan, command: readonly string[]): ChildProcessWithoutNullStreams;
  /** Asks it to end; the child of `start` closes when it has. */
  stop(plan: ContainerPlan, child: ChildProcessWithoutNullStreams): void;
}
