import { describe, expect, it } from 'vitest';
import type { Container, PodSpec, PodTemplate } from './kubernetes-objects.ts';
import { type Profile, podSecurityViolations } from './pod-security.ts';

const owner = { apiVersion: 'v1', kind: 'Pod', metadata: { name: 'pod' } };
const restricted: Container = {
  name: 'main',
  image: 'example.org/image:1',
  securityContext: {
    allowPrivilegeEscalation: false,
    capabilities: { drop: ['ALL'] },
    runAsNonRoot: true,
    runAsUser: 65532,
    seccompProfile: { type: 'RuntimeDefault' },
  },
};
const pod = (spec: Partial<PodSpec>, annotations = {}): PodTemplate => ({
  owner,
  metadata: { annotations },
  spec: { containers: [restricted], ...spec },
});
const secured = (context: object): Container => ({
  ...restricted,
  securityContext: { ...restricted.securityContext, ...context },
});
const controlsOf = (template: PodTemplate, profile: Profile) => [
  ...new Set(podSecurityViolations(template, profile).map(({ control }) => control)),
];

describe('the Pod Security Standards', () => {
  it('let a pod pass that follows them', () => {
    expect(podSecurityViolations(pod({}), 'restricted')).toEqual([]);
    const byPod = {
      securityContext: { runAsNonRoot: true, runAsUser: 1000, seccompProfile: { type: 'Localhost' } },
      containers: [
        {
          name: 'main',
          securityContext: {
            allowPrivilegeEscalation: false,
            capabilities: { drop: ['ALL'], add: ['NET_BIND_SERVICE'] },
          },
        },
      ],
      volumes: [
        { name: 'a', emptyDir: {} },
        { name: 'b', secret: { secretName: 's' } },
        { name: 'c', projected: {} },
      ],
    };
    expect(podSecurityViolations(pod(byPod), 'restricted')).toEqual([]);
  });

  it('let a plain pod pass baseline and not restricted', () => {
    const plain = pod({ containers: [{ name: 'main' }] });
    expect(podSecurityViolations(plain, 'baseline')).toEqual([]);
    expect(controlsOf(plain, 'restricted')).toEqual([
      'Privilege Escalation',
      'Running as Non-root',
      'Seccomp',
      'Capabilities',
    ]);
  });

  const probe = { httpGet: { port: 80, host: '169.254.169.254' } };
  const ofPod: readonly (readonly [Profile, string, string, Partial<PodSpec>])[] = [
    ['baseline', 'HostProcess', 'pod', { securityContext: { windowsOptions: { hostProcess: true } } }],
    ['baseline', 'Host Namespaces', 'hostNetwork', { hostNetwork: true }],
    ['baseline', 'Host Namespaces', 'hostPID', { hostPID: true }],
    ['baseline', 'Host Namespaces', 'hostIPC', { hostIPC: true }],
    [
      'baseline',
      'HostPath Volumes',
      'kmsg',
      { volumes: [{ name: 'kmsg', hostPath: { path: '/dev/kmsg' } }] },
    ],
    ['baseline', 'AppArmor', 'pod', { securityContext: { appArmorProfile: { type: 'Unconfined' } } }],
    ['baseline', 'SELinux', 'type', { securityContext: { seLinuxOptions: { type: 'spc_t' } } }],
    ['baseline', 'SELinux', 'user', { securityContext: { seLinuxOptions: { user: 'system_u' } } }],
    ['baseline', 'SELinux', 'role', { securityContext: { seLinuxOptions: { role: 'system_r' } } }],
    ['baseline', 'Seccomp', 'pod', { securityContext: { seccompProfile: { type: 'Unconfined' } } }],
    [
      'baseline',
      'Sysctls',
      'kernel.msgmax',
      { securityContext: { sysctls: [{ name: 'kernel.msgmax', value: '1' }] } },
    ],
    ['restricted', 'Volume Types', 'nfs', { volumes: [{ name: 'n', nfs: { server: 's', path: '/' } }] }],
    ['restricted', 'Running as Non-root user', 'pod', { securityContext: { runAsUser: 0 } }],
  ];
  it.each(ofPod)('%s: %s of the pod (%s)', (profile, control, _what, spec) => {
    expect(controlsOf(pod(spec), profile)).toContain(control);
  });

  const ofContainer: readonly (readonly [Profile, string, string, Container])[] = [
    ['baseline', 'HostProcess', 'container', secured({ windowsOptions: { hostProcess: true } })],
    ['baseline', 'Privileged Containers', 'privileged', secured({ privileged: true })],
    ['baseline', 'Capabilities', 'SYSLOG', secured({ capabilities: { drop: ['ALL'], add: ['SYSLOG'] } })],
    [
      'baseline',
      'Capabilities',
      'SYS_ADMIN',
      secured({ capabilities: { drop: ['ALL'], add: ['SYS_ADMIN'] } }),
    ],
    ['baseline', 'Host Ports', 'hostPort', { ...restricted, ports: [{ containerPort: 80, hostPort: 80 }] }],
    ['baseline', 'Host Probes / Lifecycle Hooks', 'livenessProbe', { ...restricted, livenessProbe: probe }],
    ['baseline', 'Host Probes / Lifecycle Hooks', 'readinessProbe', { ...restricted, readinessProbe: probe }],
    [
      'baseline',
      'Host Probes / Lifecycle Hooks',
      'startupProbe',
      { ...restricted, startupProbe: { tcpSocket: { port: 80, host: 'h' } } },
    ],
    [
      'baseline',
      'Host Probes / Lifecycle Hooks',
      'preStop',
      { ...restricted, lifecycle: { preStop: probe } },
    ],
    ['baseline', 'AppArmor', 'container', secured({ appArmorProfile: { type: 'Unconfined' } })],
    ['baseline', 'SELinux', 'container', secured({ seLinuxOptions: { type: 'spc_t' } })],
    ['baseline', '/proc Mount Type', 'Unmasked', secured({ procMount: 'Unmasked' })],
    ['baseline', 'Seccomp', 'container', secured({ seccompProfile: { type: 'Unconfined' } })],
    ['restricted', 'Privilege Escalation', 'left out', secured({ allowPrivilegeEscalation: undefined })],
    ['restricted', 'Running as Non-root', 'left out', secured({ runAsNonRoot: undefined })],
    ['restricted', 'Running as Non-root', 'false', secured({ runAsNonRoot: false })],
    ['restricted', 'Running as Non-root user', '0', secured({ runAsUser: 0 })],
    ['restricted', 'Seccomp', 'left out', secured({ seccompProfile: undefined })],
    ['restricted', 'Capabilities', 'nothing dropped', secured({ capabilities: {} })],
    ['restricted', 'Capabilities', 'KILL added', secured({ capabilities: { drop: ['ALL'], add: ['KILL'] } })],
  ];
  const lists = ['containers', 'initContainers', 'ephemeralContainers'] as const;
  it.each(ofContainer)('%s: %s of a container of any sort (%s)', (profile, control, _what, container) => {
    for (const list of lists) {
      expect(controlsOf(pod({ [list]: [container] }), profile), list).toContain(control);
    }
  });

  it('baseline: AppArmor by annotation', () => {
    const key = 'container.apparmor.security.beta.kubernetes.io/main';
    expect(controlsOf(pod({}, { [key]: 'unconfined' }), 'baseline')).toEqual(['AppArmor']);
    expect(controlsOf(pod({}, { [key]: 'runtime/default' }), 'baseline')).toEqual([]);
  });

  it("a container's own settings win over the pod's", () => {
    const spec = { securityContext: { runAsNonRoot: true, seccompProfile: { type: 'RuntimeDefault' } } };
    const containers = [secured({ runAsNonRoot: false, seccompProfile: { type: 'Unconfined' } })];
    expect(controlsOf(pod({ ...spec, containers }), 'restricted')).toEqual([
      'Seccomp',
      'Running as Non-root',
    ]);
  });
});
