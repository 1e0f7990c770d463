import type { Values } from './values.ts';

/**
 * What an HGX H100 board says of links, neighbours and ways to divide it. Sources: `nvidia-smi nvlink -s`, `-R`, `topo -m` and `mig -lgip`,
 * `-lgipp` of such a node; link speed as Azure's node health checks expect it (26,562 MB/s).
 */
const linkCount = 18;
const gpusOnBoard = 8;
/** The four NVLink switches, and to which of them each link goes. */
const switchBuses = ['00000000:07:00.0', '00000000:08:00.0', '00000000:09:00.0', '00000000:0A:00.0'];
const switchOfLink = [2, 2, 2, 2, 3, 3, 3, 3, 3, 0, 0, 0, 0, 1, 1, 1, 1, 1];

export function h100Links(index: number): Values {
  const socket = Math.floor((index % gpusOnBoard) / 4);
  return {
    'nvlink.count': linkCount,
    'field.91': `uint ${linkCount}`,
    'nvlink.all.state': 1,
    'nvlink.all.version': 6, // NVML_NVLINK_VERSION_4_0
    'nvlink.all.remote.type': 2,
    'nvlink.all.errors.0': 0,
    'nvlink.all.errors.1': 0,
    'nvlink.all.errors.2': 0,
    'nvlink.all.errors.3': 0,
    ...Object.assign({}, ...switchOfLink.map((target, link) => linkValues(index, link, target))),
    'fabric.state': 3,
    'fabric.status': 0,
    'fabric.clique': 0,
    'fabric.uuid': '0'.repeat(32),
    'fabric.mask': 0b10_10_10_10,
    'fabric.summary': 0,
    cpus: socket === 0 ? '0-55,112-167' : '56-111,168-223',
    nodes: socket,
    ...Object.assign({}, ...others(index).map((other) => peerValues(index, other))),
    'process.compute': 'none',
    'process.graphics': 'none',
    'process.mps': 'none',
    'process.util': 'none',
    'accounting.mode': 0,
    'accounting.buffer': 4000,
    'events.supported': 0xff1b,
    ...profiles,
  };
}

function linkValues(index: number, link: number, target: number): Values {
  return {
    [`nvlink.${link}.remote.bus`]: switchBuses[target] ?? null,
    [`field.146.${link}`]: `uint ${(index % gpusOnBoard) * 8 + (link % 8)}`,
    [`field.164.${link}`]: 'uint 26562',
  };
}

function others(index: number): readonly number[] {
  return Array.from({ length: 2 * gpusOnBoard }, (_, other) => other).filter((other) => other !== index);
}

/** Two GPUs share a PCIe switch (PIX), four a socket (NODE); the rest is across sockets (SYS). All reach each other through NVLink. */
function peerValues(index: number, other: number): Values {
  const near = (size: number) => Math.floor(index / size) === Math.floor(other / size);
  const level = near(2) ? 10 : near(4) ? 40 : 50;
  return { [`ancestor.${other}`]: level, [`p2p.${other}.all`]: 0 };
}

/** By the number of the profile: id, slices, instances, multiprocessors, MiB, name. Nothing fits while MIG is off. */
const profiles: Values = {
  'profile.0': '19 1 7 16 9984 MIG 1g.10gb',
  'profile.7': '20 1 1 16 9984 MIG 1g.10gb+me',
  'profile.9': '15 1 4 26 20096 MIG 1g.20gb',
  'profile.1': '14 2 3 32 20096 MIG 2g.20gb',
  'profile.2': '9 3 2 60 40448 MIG 3g.40gb',
  'profile.3': '5 4 1 64 40448 MIG 4g.40gb',
  'profile.4': '0 7 1 132 81152 MIG 7g.80gb',
  ...Object.fromEntries([19, 20, 15, 14, 9, 5, 0].map((id) => [`profile.remaining.${id}`, 0])),
  'profile.placements.19': '1:0,1,2,3,4,5,6',
  'profile.placements.20': '1:0,1,2,3,4,5,6',
  'profile.placements.15': '2:0,2,4,6',
  'profile.placements.14': '2:0,2,4',
  'profile.placements.9': '4:0,4',
  'profile.placements.5': '4:0',
  'profile.placements.0': '8:0',
};
