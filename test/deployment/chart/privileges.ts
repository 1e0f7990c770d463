import type { Values } from './helm.ts';
import type { Violation } from './pod-security.ts';

/** One choice, and what it breaks of the Pod Security Standards, as "CONTROL: what is found". */
export interface Privilege {
  readonly choice: string;
  readonly values: Values;
  /** Against "baseline": what a namespace that enforces it refuses. */
  readonly baseline: readonly string[];
  /** Against "restricted", beside that. */
  readonly restricted: readonly string[];
}

const asRoot = ['Running as Non-root user: 0', 'Running as Non-root: false'];
const withoutLog = { 'kernelLog.source': 'none' };
const privileged = ['Privilege Escalation: not set', 'Seccomp: not set'];

/** Of the agents: gateway and test pod follow "restricted" always. The rows of the table in docs/security.md. */
export const privileges: readonly Privilege[] = [
  { choice: 'kernelLog.source=none', values: withoutLog, baseline: [], restricted: [] },
  { choice: 'gpu.mock.enabled=true', values: { 'gpu.mock.enabled': true }, baseline: [], restricted: [] },
  {
    choice: 'transport.mode=stdio, without kernel log',
    values: { ...withoutLog, 'transport.mode': 'stdio' },
    baseline: [],
    restricted: [],
  },
  {
    choice: 'gpu.resourceRequest.enabled=true, without kernel log',
    values: { ...withoutLog, 'gpu.runtimeClass.enabled': false, 'gpu.resourceRequest.enabled': true },
    baseline: [],
    restricted: [],
  },
  {
    choice: 'gpu.dra.enabled=true, without kernel log',
    values: { ...withoutLog, 'gpu.runtimeClass.enabled': false, 'gpu.dra.enabled': true },
    baseline: [],
    restricted: [],
  },
  {
    choice: 'recorder.storage=emptyDir, without kernel log',
    values: { ...withoutLog, 'recorder.enabled': true, 'recorder.storage': 'emptyDir' },
    baseline: [],
    restricted: [],
  },
  {
    choice: 'TLS by Secret, without kernel log',
    values: { ...withoutLog, 'tls.agent.secretName': 'agent-certificate' },
    baseline: [],
    restricted: [],
  },
  {
    choice: 'kernelLog.source=syslog (the default)',
    values: {},
    baseline: ['Capabilities: SYSLOG'],
    restricted: ['Capabilities: SYSLOG', ...asRoot],
  },
  {
    choice: 'kernelLog.source=kmsg',
    values: { 'kernelLog.source': 'kmsg' },
    baseline: ['Capabilities: SYSLOG', 'Privileged Containers: true'],
    restricted: ['Capabilities: SYSLOG', ...privileged, ...asRoot],
  },
  {
    choice: 'hostPID=true, without kernel log',
    values: { ...withoutLog, hostPID: true },
    baseline: ['Host Namespaces: true'],
    restricted: [],
  },
  {
    choice: 'podResources.enabled=true, without kernel log',
    values: { ...withoutLog, 'podResources.enabled': true },
    baseline: ['HostPath Volumes: /var/lib/kubelet/pod-resources'],
    restricted: ['Volume Types: hostPath', ...asRoot],
  },
  {
    choice: 'recorder.storage=hostPath, without kernel log',
    values: { ...withoutLog, 'recorder.enabled': true, 'recorder.storage': 'hostPath' },
    baseline: ['HostPath Volumes: /var/lib/k8s-gpu-mcp-server'],
    restricted: ['Volume Types: hostPath', ...asRoot],
  },
  {
    // KILL is one of the capabilities that "baseline" allows; the host's processes are what it does not.
    choice: 'mode=operator with operator.kill.enabled, without kernel log',
    values: { ...withoutLog, mode: 'operator' },
    baseline: ['Host Namespaces: true'],
    restricted: ['Capabilities: KILL', ...asRoot],
  },
  {
    choice: 'mode=operator with operator.reset.enabled, without kernel log',
    values: {
      ...withoutLog,
      mode: 'operator',
      'operator.kill.enabled': false,
      'operator.reset.enabled': true,
    },
    baseline: ['Host Namespaces: true', 'HostPath Volumes: /usr', 'Privileged Containers: true'],
    restricted: ['Capabilities: ALL is not dropped', ...privileged, ...asRoot, 'Volume Types: hostPath'],
  },
];

export const textOf = ({ control, found }: Violation): string => `${control}: ${found}`;
