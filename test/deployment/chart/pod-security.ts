// The Pod Security Standards as rules, every control of the profiles "baseline" and "restricted" for Linux, as published for Kubernetes 1.34:
// https://kubernetes.io/docs/concepts/security/pod-security-standards/
import {
  type AppArmorProfile,
  containersOf,
  type Handler,
  type PodTemplate,
  type SeccompProfile,
  type SeLinuxOptions,
} from './kubernetes-objects.ts';

export type Profile = 'baseline' | 'restricted';

export interface Violation {
  readonly profile: Profile;
  /** As the standard calls it. */
  readonly control: string;
  readonly field: string;
  readonly found: string;
}

const baselineCapabilities = [
  ...['AUDIT_WRITE', 'CHOWN', 'DAC_OVERRIDE', 'FOWNER', 'FSETID', 'KILL', 'MKNOD', 'NET_BIND_SERVICE'],
  ...['SETFCAP', 'SETGID', 'SETPCAP', 'SETUID', 'SYS_CHROOT'],
];
const seLinuxTypes = ['', 'container_t', 'container_init_t', 'container_kvm_t', 'container_engine_t'];
const safeSysctls = [
  'kernel.shm_rmid_forced',
  ...['ip_local_port_range', 'ip_unprivileged_port_start', 'tcp_syncookies', 'ping_group_range'].map(
    (name) => `net.ipv4.${name}`,
  ),
  ...['ip_local_reserved_ports', 'tcp_keepalive_time', 'tcp_fin_timeout'].map((name) => `net.ipv4.${name}`),
  ...['tcp_keepalive_intvl', 'tcp_keepalive_probes', 'tcp_rmem', 'tcp_wmem'].map(
    (name) => `net.ipv4.${name}`,
  ),
];
const restrictedVolumes = [
  ...[
    'configMap',
    'csi',
    'downwardAPI',
    'emptyDir',
    'ephemeral',
    'persistentVolumeClaim',
    'projected',
    'secret',
  ],
];

/** Empty: the pod may run where a namespace enforces this profile. "restricted" includes "baseline". */
export function podSecurityViolations(pod: PodTemplate, profile: Profile): readonly Violation[] {
  return profile === 'baseline'
    ? baselineViolations(pod)
    : [...baselineViolations(pod), ...restrictedViolations(pod)];
}

/** Collects what a check finds at a field. */
const collector = (profile: Profile) => {
  const violations: Violation[] = [];
  const refuse = (isWrong: boolean, control: string, field: string, found: unknown) => {
    if (isWrong) violations.push({ profile, control, field, found: String(found ?? 'not set') });
  };
  return { violations, refuse };
};

function baselineViolations({ metadata, spec }: PodTemplate): readonly Violation[] {
  const { violations, refuse } = collector('baseline');
  for (const field of ['hostNetwork', 'hostPID', 'hostIPC'] as const)
    refuse(spec[field] === true, 'Host Namespaces', field, spec[field]);
  for (const { name, hostPath } of spec.volumes ?? [])
    refuse(hostPath !== undefined, 'HostPath Volumes', `volumes[${name}].hostPath`, hostPath?.path);
  for (const { name } of spec.securityContext?.sysctls ?? [])
    refuse(!safeSysctls.includes(name), 'Sysctls', 'securityContext.sysctls', name);
  for (const [key, value] of Object.entries(metadata.annotations ?? {}))
    if (key.startsWith('container.apparmor.security.beta.kubernetes.io/'))
      refuse(
        value !== 'runtime/default' && !value.startsWith('localhost/'),
        'AppArmor',
        `annotations[${key}]`,
        value,
      );

  const containers = containersOf(spec);
  for (const { path, context } of securityContexts({ spec })) {
    refuse(
      context.windowsOptions?.hostProcess === true,
      'HostProcess',
      `${path}.windowsOptions.hostProcess`,
      true,
    );
    refuseProfile(context.appArmorProfile, 'AppArmor', `${path}.appArmorProfile.type`);
    refuseProfile(context.seccompProfile, 'Seccomp', `${path}.seccompProfile.type`);
    refuseSeLinux(context.seLinuxOptions, `${path}.seLinuxOptions`);
  }
  for (const { path, container } of containers) {
    const { privileged, capabilities, procMount } = container.securityContext ?? {};
    refuse(privileged === true, 'Privileged Containers', `${path}.securityContext.privileged`, privileged);
    for (const name of capabilities?.add ?? [])
      refuse(
        !baselineCapabilities.includes(name),
        'Capabilities',
        `${path}.securityContext.capabilities.add`,
        name,
      );
    refuse(
      procMount !== undefined && procMount !== 'Default',
      '/proc Mount Type',
      `${path}.securityContext.procMount`,
      procMount,
    );
    for (const { hostPort } of container.ports ?? [])
      refuse(hostPort !== undefined && hostPort !== 0, 'Host Ports', `${path}.ports.hostPort`, hostPort);
    const { livenessProbe, readinessProbe, startupProbe, lifecycle } = container;
    const handlers = { livenessProbe, readinessProbe, startupProbe, ...lifecycle };
    for (const [name, handler] of Object.entries(handlers) as [string, Handler | undefined][]) {
      const host = handler?.httpGet?.host ?? handler?.tcpSocket?.host ?? '';
      refuse(host !== '', 'Host Probes / Lifecycle Hooks', `${path}.${name}.host`, host);
    }
  }
  return violations;

  function refuseProfile(
    profile: AppArmorProfile | SeccompProfile | undefined,
    control: string,
    field: string,
  ) {
    const { type } = profile ?? {};
    refuse(type !== undefined && type !== 'RuntimeDefault' && type !== 'Localhost', control, field, type);
  }
  function refuseSeLinux({ type = '', user = '', role = '' }: SeLinuxOptions = {}, field: string) {
    refuse(!seLinuxTypes.includes(type), 'SELinux', `${field}.type`, type);
    refuse(user !== '', 'SELinux', `${field}.user`, user);
    refuse(role !== '', 'SELinux', `${field}.role`, role);
  }
}

function restrictedViolations({ spec }: PodTemplate): readonly Violation[] {
  const { violations, refuse } = collector('restricted');
  const pod = spec.securityContext ?? {};
  for (const { name, ...sources } of spec.volumes ?? [])
    for (const source of Object.keys(sources))
      refuse(!restrictedVolumes.includes(source), 'Volume Types', `volumes[${name}]`, source);
  for (const { path, context } of securityContexts({ spec }))
    refuse(context.runAsUser === 0, 'Running as Non-root user', `${path}.runAsUser`, 0);
  for (const { path, container } of containersOf(spec)) {
    const own = container.securityContext ?? {};
    const at = `${path}.securityContext`;
    const { add = [], drop = [] } = own.capabilities ?? {};
    const nonRoot = own.runAsNonRoot ?? pod.runAsNonRoot;
    const seccomp = (own.seccompProfile ?? pod.seccompProfile)?.type;
    refuse(
      own.allowPrivilegeEscalation !== false,
      'Privilege Escalation',
      `${at}.allowPrivilegeEscalation`,
      own.allowPrivilegeEscalation,
    );
    refuse(nonRoot !== true, 'Running as Non-root', `${at}.runAsNonRoot`, nonRoot);
    refuse(
      seccomp !== 'RuntimeDefault' && seccomp !== 'Localhost',
      'Seccomp',
      `${at}.seccompProfile.type`,
      seccomp,
    );
    refuse(!drop.includes('ALL'), 'Capabilities', `${at}.capabilities.drop`, 'ALL is not dropped');
    for (const name of add)
      refuse(name !== 'NET_BIND_SERVICE', 'Capabilities', `${at}.capabilities.add`, name);
  }
  return violations;
}

function securityContexts({ spec }: Pick<PodTemplate, 'spec'>) {
  return [
    { path: 'securityContext', context: spec.securityContext ?? {} },
    ...containersOf(spec).map(({ path, container }) => ({
      path: `${path}.securityContext`,
      context: container.securityContext ?? {},
    })),
  ];
}
