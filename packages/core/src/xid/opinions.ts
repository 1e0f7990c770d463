import type { Opinion } from '../domain/incident.ts';

const catalogue = 'NVIDIA Xid catalogue';
const plugin = 'NVIDIA/k8s-device-plugin';
const eks = 'EKS node monitoring agent';
const nhc = 'Azure/azurehpc-health-checks';
const healthagent = 'Azure healthagent';
const gcm = 'facebookresearch/gcm';
const imbue = 'imbue-ai/cluster-health';
const dcgm = 'NVIDIA/DCGM 4.6';

/**
 * Who says what, for the numbers on which public sources truly disagree about what to do. What tools say of every number that they do not
 * list is not an opinion and is left out.
 */
const rows: Readonly<Record<number, readonly (readonly [source: string, says: string])[]>> = {
  31: [
    [catalogue, 'restart the application; diagnostics when it repeats on one GPU'],
    [plugin, 'ignored'],
    [dcgm, 'a warning'],
  ],
  43: [
    [catalogue, 'ignore'],
    [plugin, 'ignored'],
    [dcgm, 'a warning'],
  ],
  45: [
    [catalogue, 'alone: restart Fabric Manager; else ignore and follow the other Xid'],
    [plugin, 'ignored'],
    [healthagent, 'an error'],
  ],
  63: [
    [catalogue, 'ignore'],
    [plugin, 'GPU unhealthy'],
    [eks, 'fatal'],
    [nhc, 'check fails'],
    [gcm, 'not critical'],
  ],
  68: [
    [catalogue, 'restart the application'],
    [plugin, 'ignored (NVIDIA/k8s-device-plugin#945)'],
    [nhc, 'check fails'],
    [imbue, 'hardware'],
  ],
  74: [
    [catalogue, 'the register bits decide'],
    [plugin, 'GPU unhealthy'],
    [eks, 'fatal'],
    [imbue, 'hardware'],
  ],
  92: [
    [catalogue, 'ignore; contact support when investigating'],
    [nhc, 'check fails'],
    [gcm, 'not critical'],
    [imbue, 'hardware'],
  ],
  94: [
    [catalogue, 'restart the application'],
    [plugin, 'GPU unhealthy (NVIDIA/k8s-device-plugin#1974)'],
    [gcm, 'critical'],
    [imbue, 'hardware'],
    [dcgm, 'a warning'],
  ],
  109: [
    [catalogue, 'reset the GPU'],
    [plugin, 'ignored'],
    [eks, 'fatal'],
    [gcm, 'not critical'],
  ],
  121: [
    [catalogue, 'ignore; contact support when investigating'],
    [plugin, 'GPU unhealthy'],
    [healthagent, 'an error'],
  ],
  137: [
    [catalogue, 'ignore; debug the application when investigating'],
    [plugin, 'GPU unhealthy'],
    [healthagent, 'an error'],
  ],
  144: nvlink5(),
  145: nvlink5(),
  146: nvlink5(),
  147: nvlink5(),
  148: nvlink5(),
  149: nvlink5(),
  150: nvlink5(),
  154: [
    [catalogue, 'take the action that it names'],
    [plugin, 'GPU unhealthy'],
    [healthagent, 'a warning'],
    [gcm, 'critical'],
  ],
  157: [
    [catalogue, 'ignore; contact support when investigating'],
    [plugin, 'GPU unhealthy'],
    [healthagent, 'an error'],
  ],
};

function nvlink5(): readonly (readonly [string, string])[] {
  return [
    [catalogue, 'the decode table decides; of 95 rows 45 say ignore'],
    [plugin, 'GPU unhealthy, whatever the row'],
    [healthagent, 'an error, whatever the row'],
  ];
}

const opinions: ReadonlyMap<number, readonly Opinion[]> = new Map(
  Object.entries(rows).map(([xid, said]) => [
    Number(xid),
    said.map(([source, says]): Opinion => ({ source, says })),
  ]),
);

/** What public sources say of a number; empty where they agree. */
export function opinionsOn(xid: number): readonly Opinion[] {
  return opinions.get(xid) ?? [];
}
