// What the API server and the kubelet refuse of a pod although its shape is right
// (https://kubernetes.io/docs/reference/kubernetes-api/workload-resources/pod-v1/ and its validation in k8s.io/kubernetes).
import {
  type Container,
  containersOf,
  type Handler,
  nameOf,
  type PodSpec,
  type PodTemplate,
} from './kubernetes-objects.ts';
import { isLabelName, isPortName, isSubdomain, labelProblems } from './name-rules.ts';
import { quantityOf } from './quantity.ts';

export function podProblems({ owner, spec }: PodTemplate): readonly string[] {
  const all = containersOf(spec);
  const names = all.map(({ container }) => container.name);
  const problems = [
    ...repeatedIn(names).map((name) => `two containers are named ${name}`),
    ...(spec.runtimeClassName === undefined || isSubdomain(spec.runtimeClassName)
      ? []
      : ['runtimeClassName is not valid']),
    ...labelProblems(spec.nodeSelector).map((problem) => `nodeSelector: ${problem} is not valid`),
    ...volumeProblems(spec),
    ...tolerationProblems(spec),
    ...claimProblems(spec),
    ...all.flatMap(({ path, container }) =>
      containerProblems(container, spec).map((problem) => `${path}: ${problem}`),
    ),
  ];
  return problems.map((problem) => `${nameOf(owner)}: ${problem}`);
}

export const repeatedIn = (values: readonly string[]): readonly string[] => [
  ...new Set(values.filter((value, index) => values.indexOf(value) !== index)),
];

function volumeProblems({ volumes = [], ...spec }: PodSpec): readonly string[] {
  const names = volumes.map(({ name }) => name);
  const mounted = new Set(
    containersOf(spec).flatMap(({ container }) => (container.volumeMounts ?? []).map(({ name }) => name)),
  );
  return [
    ...repeatedIn(names).map((name) => `two volumes are named ${name}`),
    ...names.filter((name) => !isLabelName(name)).map((name) => `volume name ${name} is not valid`),
    ...volumes
      .filter((volume) => Object.keys(volume).length !== 2)
      .map(({ name }) => `volume ${name} has not exactly one source`),
    ...names.filter((name) => !mounted.has(name)).map((name) => `volume ${name} is mounted nowhere`),
    ...volumes.flatMap(({ name, hostPath }) =>
      hostPath === undefined || (hostPath.path.startsWith('/') && !hostPath.path.split('/').includes('..'))
        ? []
        : [`volume ${name}: ${hostPath.path} is not an absolute path without ..`],
    ),
  ];
}

function tolerationProblems(spec: PodSpec): readonly string[] {
  const { tolerations = [] } = spec as {
    readonly tolerations?: readonly Readonly<Record<string, unknown>>[];
  };
  return tolerations.flatMap(({ key, operator = 'Equal', value, effect, tolerationSeconds }) => [
    ...(operator === 'Exists' && value ? ['a toleration with Exists has a value'] : []),
    ...(!key && operator !== 'Exists' ? ['a toleration without a key must be Exists'] : []),
    ...(tolerationSeconds !== undefined && effect !== 'NoExecute'
      ? ['tolerationSeconds needs NoExecute']
      : []),
  ]);
}

function claimProblems({ resourceClaims = [], ...spec }: PodSpec): readonly string[] {
  const names = resourceClaims.map(({ name }) => name);
  const used = containersOf(spec).flatMap(({ container }) =>
    (container.resources?.claims ?? []).map(({ name }) => name),
  );
  return [
    ...repeatedIn(names).map((name) => `two resource claims are named ${name}`),
    ...resourceClaims
      .filter(
        (claim) =>
          (claim.resourceClaimName === undefined) === (claim.resourceClaimTemplateName === undefined),
      )
      .map(({ name }) => `resource claim ${name} names not exactly one of a claim and a template`),
    ...used
      .filter((name) => !names.includes(name))
      .map((name) => `resource claim ${name} is not one of the pod's`),
    ...names
      .filter((name) => !used.includes(name))
      .map((name) => `resource claim ${name} is used by no container`),
  ];
}

function containerProblems(container: Container, spec: PodSpec): readonly string[] {
  const { name, image, volumeMounts = [], ports = [] } = container;
  const volumes = (spec.volumes ?? []).map((volume) => volume.name);
  const portNames = ports.flatMap((port) => port.name ?? []);
  return [
    ...(isLabelName(name) ? [] : ['its name is not valid']),
    ...(image === undefined || image === '' || /\s/.test(image) ? ['it has no image'] : []),
    ...volumeMounts
      .filter((mount) => !volumes.includes(mount.name))
      .map((mount) => `there is no volume ${mount.name}`),
    ...repeatedIn(volumeMounts.map(({ mountPath }) => mountPath)).map(
      (path) => `two volumes are mounted at ${path}`,
    ),
    ...volumeMounts
      .filter(({ mountPath }) => mountPath.includes(':') || !mountPath.startsWith('/'))
      .map(({ mountPath }) => `${mountPath} is no mount path`),
    ...portNames.filter((port) => !isPortName(port)).map((port) => `port name ${port} is not valid`),
    ...repeatedIn(portNames).map((port) => `two ports are named ${port}`),
    ...ports.flatMap(({ containerPort }) => (isPort(containerPort) ? [] : [`${containerPort} is no port`])),
    // A key of the list, without a default there in older API servers.
    ...ports.flatMap(({ containerPort, protocol }) =>
      protocol === undefined ? [`port ${containerPort} names no protocol`] : [],
    ),
    ...environmentProblems(container),
    ...probeProblems(container),
    ...resourceProblems(container),
    ...securityProblems(container, spec),
  ];
}

const isPort = (port: number): boolean => Number.isInteger(port) && port >= 1 && port <= 65_535;

function environmentProblems({ env = [] }: Container): readonly string[] {
  const fields =
    /^(?:metadata\.(?:name|namespace|uid|(?:labels|annotations)\['[^']+'\])|spec\.(?:nodeName|serviceAccountName)|status\.(?:hostIPs?|podIPs?))$/;
  return [
    ...repeatedIn(env.map(({ name }) => name)).map((name) => `variable ${name} is set twice`),
    ...env
      .filter(({ name }) => name === '' || !/^[ -<>-~]+$/.test(name))
      .map(({ name }) => `variable name ${name}`),
    ...env
      .filter(({ value, valueFrom }) => Boolean(value) && valueFrom !== undefined)
      .map(({ name }) => `variable ${name} has a value and a source`),
    ...env.flatMap(({ name, valueFrom }) =>
      valueFrom?.fieldRef === undefined || fields.test(valueFrom.fieldRef.fieldPath)
        ? []
        : [`variable ${name}: no field ${valueFrom.fieldRef.fieldPath}`],
    ),
  ];
}

function probeProblems(container: Container): readonly string[] {
  const { livenessProbe, readinessProbe, startupProbe, lifecycle, ports = [] } = container;
  const handlers: Readonly<Record<string, Handler | undefined>> = {
    livenessProbe,
    readinessProbe,
    startupProbe,
    postStart: lifecycle?.postStart,
    preStop: lifecycle?.preStop,
  };
  const isKnown = (port: number | string) =>
    ports.some(({ name, containerPort }) =>
      typeof port === 'number' ? containerPort === port : name === port,
    );
  const kinds = ['exec', 'grpc', 'httpGet', 'sleep', 'tcpSocket'];
  return Object.entries(handlers).flatMap(([name, handler]) => {
    if (handler === undefined) return [];
    const chosen = kinds.filter((kind) => kind in handler);
    const port = handler.httpGet?.port ?? handler.tcpSocket?.port;
    const { successThreshold = 1 } = handler as { readonly successThreshold?: number };
    return [
      ...(chosen.length === 1 ? [] : [`${name} has not exactly one handler`]),
      ...(port === undefined || isKnown(port) ? [] : [`${name}: there is no port ${port}`]),
      ...(name !== 'readinessProbe' && successThreshold !== 1 ? [`${name}: successThreshold must be 1`] : []),
    ];
  });
}

function resourceProblems({ resources = {} }: Container): readonly string[] {
  const { requests = {}, limits = {} } = resources;
  const isExtended = (name: string) => name.includes('/');
  return [
    ...Object.entries(requests).flatMap(([name, requested]) => {
      const limit = limits[name];
      if (limit === undefined) return isExtended(name) ? [`${name} is requested without a limit`] : [];
      if (quantityOf(requested) > quantityOf(limit)) return [`${name}: the request is above the limit`];
      return isExtended(name) && quantityOf(requested) !== quantityOf(limit)
        ? [`${name}: request and limit differ`]
        : [];
    }),
    // Seen with helm 4 on Kubernetes 1.20: "expected string".
    ...Object.entries({ ...requests, ...limits })
      .filter(([, amount]) => typeof amount === 'number')
      .map(([name]) => `${name}: server-side apply of older API servers takes no number`),
    ...Object.entries({ ...requests, ...limits })
      .filter(([name, amount]) => {
        const value = quantityOf(amount);
        return !(value >= 0) || (isExtended(name) && !Number.isInteger(value));
      })
      .map(([name, amount]) => `${name}: ${amount} is no amount`),
  ];
}

function securityProblems({ securityContext = {} }: Container, pod: PodSpec): readonly string[] {
  const { privileged, allowPrivilegeEscalation, capabilities = {} } = securityContext;
  const { add = [], drop = [] } = capabilities;
  const user = securityContext.runAsUser ?? pod.securityContext?.runAsUser;
  const mustNotBeRoot = securityContext.runAsNonRoot ?? pod.securityContext?.runAsNonRoot;
  const refusesEscalation = allowPrivilegeEscalation === false;
  return [
    ...(privileged === true && refusesEscalation
      ? ['privileged does not go with allowPrivilegeEscalation: false']
      : []),
    ...(add.some((name) => /^(?:CAP_)?SYS_ADMIN$/.test(name)) && refusesEscalation
      ? ['SYS_ADMIN does not go with allowPrivilegeEscalation: false']
      : []),
    ...[...add, ...drop]
      .filter((name) => !/^[A-Z_]+$/.test(name) || name.startsWith('CAP_'))
      .map((name) => `capability ${name}`),
    ...(mustNotBeRoot === true && user === 0 ? ['runAsNonRoot does not go with runAsUser: 0'] : []),
  ];
}
