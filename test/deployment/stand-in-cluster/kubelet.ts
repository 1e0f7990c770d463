import type { ChildProcessWithoutNullStreams } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { end } from '../bound-process.ts';
import type { ClusterState } from './cluster-state.ts';
import type { ContainerPlan, ContainerRuntime } from './container-runtime.ts';
import {
  at,
  type JsonObject,
  type KubernetesObject,
  numberAt,
  objectAt,
  objectsAt,
  textAt,
  textsAt,
} from './json.ts';
import { podStatus } from './pod-status.ts';
import { probeAnswer } from './probes.ts';
import {
  environmentOf,
  expanded,
  mountsOf,
  PodCannotStart,
  type VolumeSources,
  writeServiceAccount,
  writeVolumes,
} from './volumes.ts';

interface RunningContainer {
  readonly spec: JsonObject;
  readonly plan: ContainerPlan;
  child: ChildProcessWithoutNullStreams;
  exitCode: number | undefined;
  isReady: boolean;
  restarts: number;
  log: string;
}

interface RunningPod {
  readonly uid: string;
  readonly containers: RunningContainer[];
  readonly address: string;
  isStopping: boolean;
  readonly timers: Set<NodeJS.Timeout>;
}

/** Until it is ready a container is asked this often, whatever its probes say: a test waits for it. */
const impatience = 200;
const logLimit = 200_000;

export interface KubeletOptions extends VolumeSources {
  readonly state: ClusterState;
  readonly folder: string;
  readonly runtime: ContainerRuntime;
  readonly hostsFile: string;
  readonly nextAddress: () => string;
}

/** Runs the pods of all nodes as real programs, and says in their status how they are. */
export class Kubelet {
  readonly #options: KubeletOptions;
  readonly #pods = new Map<string, RunningPod>();
  readonly #ending = new Set<Promise<unknown>>();
  #isClosed = false;

  constructor(options: KubeletOptions) {
    this.#options = options;
    options.state.onChange(({ type, object }) => {
      if (this.#isClosed) return;
      if (object.kind === 'Pod' && type !== 'DELETED') this.#follow(object);
      // What a pod waits for may be there now.
      if (/^(?:Secret|ConfigMap|ServiceAccount)$/.test(object.kind ?? '') && type === 'ADDED')
        for (const pod of options.state.all('Pod')) this.#follow(pod);
    });
  }

  log(pod: KubernetesObject, container: string | null): string {
    return this.#container(pod, container)?.log ?? '';
  }

  address(pod: KubernetesObject): string | undefined {
    return this.#pods.get(pod.metadata.uid ?? '')?.address;
  }

  exec(
    pod: KubernetesObject,
    container: string | null,
    command: readonly string[],
  ): ChildProcessWithoutNullStreams {
    const found = this.#container(pod, container);
    if (found === undefined || found.exitCode !== undefined) throw new Error('container not found');
    return this.#options.runtime.exec(found.plan, command);
  }

  /** Ends every program. */
  async close(): Promise<void> {
    this.#isClosed = true;
    await Promise.all([...this.#pods.values()].map((pod) => this.#stop(pod)));
    await Promise.all(this.#ending);
  }

  #container(pod: KubernetesObject, name: string | null): RunningContainer | undefined {
    const containers = this.#pods.get(pod.metadata.uid ?? '')?.containers ?? [];
    return name === null || name === ''
      ? containers[0]
      : containers.find(({ spec }) => spec['name'] === name);
  }

  #follow(pod: KubernetesObject): void {
    if (textAt(pod, 'spec', 'nodeName') === undefined) return;
    const running = this.#pods.get(pod.metadata.uid ?? '');
    if (pod.metadata.deletionTimestamp !== undefined) {
      if (running?.isStopping === true) return;
      const ended = running === undefined ? Promise.resolve() : this.#stop(running);
      void ended.then(() => {
        this.#pods.delete(pod.metadata.uid ?? '');
        const last = this.#current(pod);
        if (last !== undefined) this.#options.state.remove(last);
      });
      return;
    }
    if (running !== undefined) return;
    // Not within the change that is being told: who made it goes on first.
    setImmediate(() => this.#start(pod));
  }

  #current(pod: KubernetesObject): KubernetesObject | undefined {
    const { namespace = '', name, uid } = pod.metadata;
    const found = this.#options.state.find('Pod', namespace, name);
    return found?.metadata.uid === uid ? found : undefined;
  }

  #start(given: KubernetesObject): void {
    const uid = given.metadata.uid ?? '';
    const phase = textAt(this.#current(given), 'status', 'phase');
    if (
      this.#isClosed ||
      this.#pods.has(uid) ||
      phase === undefined ||
      phase === 'Succeeded' ||
      phase === 'Failed'
    )
      return;
    const address = this.#options.nextAddress();
    const pod: KubernetesObject = {
      ...given,
      status: { ...objectAt(given, 'status'), podIP: address, hostIP: '127.0.0.1' },
    };
    try {
      const running: RunningPod = { uid, address, containers: [], isStopping: false, timers: new Set() };
      const plans = this.#plan(pod, address);
      this.#pods.set(uid, running);
      for (const [spec, plan] of plans) this.#launch(pod, running, spec, plan, 0);
      this.#report(pod, running);
    } catch (error) {
      this.#pods.delete(uid);
      if (!(error instanceof Error)) throw error;
      const reason = error instanceof PodCannotStart ? 'CreateContainerConfigError' : 'RunContainerError';
      const waiting = { reason, message: error.message };
      this.#options.state.setStatus(given, {
        phase: 'Pending',
        conditions: [{ type: 'Ready', status: 'False', reason, message: error.message }],
        containerStatuses: objectsAt(given, 'spec', 'containers').map(({ name, image }) => ({
          ...{ name, image, ready: false, restartCount: 0 },
          state: { waiting },
        })),
      });
    }
  }

  #plan(pod: KubernetesObject, address: string): readonly (readonly [JsonObject, ContainerPlan])[] {
    const { folder, hostsFile, state } = this.#options;
    const home = join(folder, `${pod.metadata.name}-${(pod.metadata.uid ?? '').slice(0, 8)}`);
    mkdirSync(home, { recursive: true });
    const volumes = writeVolumes(pod, home, this.#options);
    const serviceAccount = writeServiceAccount(pod, home, this.#options);
    return objectsAt(pod, 'spec', 'containers').map((container) => {
      const environment = environmentOf(pod, container, state);
      const entry = textsAt(container, 'command');
      const command = [...(entry.length === 0 ? ['/agent'] : entry), ...textsAt(container, 'args')];
      const plan: ContainerPlan = {
        id: `${pod.metadata.name}-${textAt(container, 'name')}`,
        image: textAt(container, 'image') ?? '',
        command: command.map((text) => expanded(text, environment)),
        environment,
        mounts: mountsOf(container, volumes),
        address,
        hostName: pod.metadata.name,
        runtimeClass: textAt(pod, 'spec', 'runtimeClassName'),
        serviceAccount,
        hostsFile,
        securityContext: {
          ...objectAt(pod, 'spec', 'securityContext'),
          ...objectAt(container, 'securityContext'),
        },
      };
      return [container, plan] as const;
    });
  }

  #launch(
    pod: KubernetesObject,
    running: RunningPod,
    spec: JsonObject,
    plan: ContainerPlan,
    restarts: number,
  ): void {
    const child = this.#options.runtime.start(plan);
    const container: RunningContainer = {
      spec,
      plan,
      child,
      exitCode: undefined,
      isReady: false,
      restarts,
      log: '',
    };
    const index = running.containers.findIndex((each) => each.spec === spec);
    if (index === -1) running.containers.push(container);
    else running.containers[index] = container;
    child.stdin.on('error', () => {});
    child.stdin.end();
    for (const stream of [child.stdout, child.stderr])
      stream.on('data', (chunk) => {
        container.log = (container.log + chunk).slice(-logLimit);
      });
    child.on('error', (error) => {
      container.log += `${error.message}\n`;
    });
    child.on('close', (code) => {
      container.exitCode = code ?? 137;
      container.isReady = false;
      this.#report(pod, running);
      const policy = textAt(pod, 'spec', 'restartPolicy') ?? 'Always';
      if (running.isStopping || policy === 'Never' || (policy === 'OnFailure' && code === 0)) return;
      const delay = Math.min(500 * 2 ** restarts, 10_000);
      this.#after(running, delay, () => this.#launch(pod, running, spec, plan, restarts + 1));
    });
    void this.#watchReadiness(pod, running, container);
  }

  #after(running: RunningPod, milliseconds: number, work: () => void): void {
    const timer = setTimeout(() => {
      running.timers.delete(timer);
      if (!running.isStopping) work();
    }, milliseconds);
    running.timers.add(timer);
  }

  /** A container that its liveness probe would restart for ever is not ready either, so a wrong one shows at once. */
  async #watchReadiness(
    pod: KubernetesObject,
    running: RunningPod,
    container: RunningContainer,
  ): Promise<void> {
    const names = container.isReady
      ? ['readinessProbe']
      : ['startupProbe', 'livenessProbe', 'readinessProbe'];
    const probes = names.flatMap((name) =>
      at(container.spec, name) === undefined ? [] : [objectAt(container.spec, name)],
    );
    const answers = await Promise.all(
      probes.map((probe) => probeAnswer(probe, container, this.#options.runtime)),
    );
    if (running.isStopping || container.exitCode !== undefined) return;
    const isReady = answers.every(Boolean);
    if (isReady !== container.isReady) {
      container.isReady = isReady;
      this.#report(pod, running);
    }
    if (probes.length === 0) return;
    const period = Math.max(...probes.map((probe) => numberAt(probe, 'periodSeconds') ?? 10)) * 1_000;
    this.#after(
      running,
      isReady ? period : impatience,
      () => void this.#watchReadiness(pod, running, container),
    );
  }

  #report(pod: KubernetesObject, running: RunningPod): void {
    this.#options.state.setStatus(pod, podStatus(pod, running));
  }

  #stop(running: RunningPod): Promise<unknown> {
    running.isStopping = true;
    for (const timer of running.timers) clearTimeout(timer);
    const ended = Promise.all(
      running.containers.map(async ({ child, plan, exitCode }) => {
        if (exitCode === undefined) await end(child, { ask: () => this.#options.runtime.stop(plan, child) });
      }),
    );
    this.#ending.add(ended);
    void ended.then(() => this.#ending.delete(ended));
    return ended;
  }
}
