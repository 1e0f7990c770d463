import { get as httpGet } from 'node:http';
import { get as httpsGet } from 'node:https';
import { connect } from 'node:net';
import type { ContainerPlan, ContainerRuntime } from './container-runtime.ts';
import { at, type JsonObject, numberAt, objectAt, objectsAt, textsAt } from './json.ts';

interface Probed {
  readonly spec: JsonObject;
  readonly plan: ContainerPlan;
}

/** What a probe finds now: httpGet, tcpSocket or exec. */
export function probeAnswer(
  probe: JsonObject,
  { plan, spec }: Probed,
  runtime: ContainerRuntime,
): Promise<boolean> {
  const timeout = (numberAt(probe, 'timeoutSeconds') ?? 1) * 1_000;
  const portOf = (given: unknown) => portNumber([spec], given) ?? 0;
  const http = objectAt(probe, 'httpGet');
  if (http['port'] !== undefined) {
    const scheme = http['scheme'] === 'HTTPS' ? 'https' : 'http';
    return httpAnswer(
      `${scheme}://${plan.address}:${portOf(http['port'])}${String(http['path'] ?? '/')}`,
      timeout,
    );
  }
  const port = at(probe, 'tcpSocket', 'port');
  if (port !== undefined) return tcpAnswer(portOf(port), plan.address, timeout);
  return execAnswer(runtime, plan, textsAt(probe, 'exec', 'command'), timeout);
}

const httpAnswer = (url: string, timeout: number) =>
  new Promise<boolean>((resolve) => {
    const get = url.startsWith('https:') ? httpsGet : httpGet;
    // As the kubelet: the certificate is not looked at.
    const request = get(url, { timeout, rejectUnauthorized: false }, (response) => {
      response.resume();
      const status = response.statusCode ?? 0;
      resolve(status >= 200 && status < 400);
    });
    request.on('timeout', () => request.destroy(new Error('timeout')));
    request.on('error', () => resolve(false));
  });

const tcpAnswer = (port: number, address: string, timeout: number) =>
  new Promise<boolean>((resolve) => {
    const socket = connect(port, address);
    socket.setTimeout(timeout, () => socket.destroy(new Error('timeout')));
    socket.on('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.on('error', () => resolve(false));
  });

const execAnswer = (
  runtime: ContainerRuntime,
  plan: ContainerPlan,
  command: readonly string[],
  timeout: number,
) =>
  new Promise<boolean>((resolve) => {
    const child = runtime.exec(plan, command);
    child.stdin.on('error', () => {});
    child.stdin.end();
    child.stdout.resume();
    child.stderr.resume();
    const timer = setTimeout(() => child.kill('SIGKILL'), timeout);
    child.on('close', (code) => {
      clearTimeout(timer);
      resolve(code === 0);
    });
  });

/** A port by number or by the name that a container gives it. */
export function portNumber(containers: readonly JsonObject[], port: unknown): number | undefined {
  if (typeof port === 'number') return port;
  const named = containers
    .flatMap((container) => objectsAt(container, 'ports'))
    .find((each) => each['name'] === port);
  return numberAt(named, 'containerPort') ?? (Number(port) || undefined);
}
