import type { Values } from './values.ts';

/** Beside what `h100Links` has, everything about links, processes and instances that there is to read. No real GPU has all of it. */
export const everyLink: Values = {
  'nvlink.all.errors.4': 0,
  ...{ 'field.84': 'uint 25781', 'field.161.0': 'ull 0', 'field.162.0': 'ull 0', 'field.163.0': 'ull 0' },
  ...Object.fromEntries(
    [206, 207, 208, 211, 213, 214, 219, 220, 221, 222].map((id) => [`field.${id}.1`, 'ull 3']),
  ),
  'field.220.1': `ull ${(15 << 8) | 255}`,
  'field.222.1': `ull ${(2 << 8) | 14}`,
  'fabric.uuid': '0123456789abcdeffedcba9876543210',
  'fabric.mask': 0b0001_10_10_10_10,
  'fabric.summary': 1,
  'numa.node': 1,
  'process.compute': '4001:1048576:1:0,4002:2097152:1:0',
  // Of the year 2096: newer than any moment from which on samples are asked for.
  'process.util': '4001:4000000000000000:50:25:0:0',
  'accounting.mode': 1,
  'accounting.pids': '4001,3999',
  'accounting.4001': '50 25 1048576 0 1767323045000000 1',
  'accounting.3999': '80 40 4096 61000 1767323000000000 0',
  'mig.current': 1,
  'mig.pending': 1,
  'instances.visible': 1,
  'instance.1': '9 0 4',
};

/** With `mig.current` 1 on GPU 0. */
export const everyMigDevice: Readonly<Record<string, Values>> = {
  '0.0': {
    uuid: 'MIG-00000000-0000-0000-0000-000000000001',
    name: 'NVIDIA H100 80GB HBM3 MIG 3g.40gb',
    gi: 1,
    ci: 0,
    sms: 60,
    'slices.gpu': 3,
    'slices.compute': 3,
    'slices.memory': 40_448,
    'mem.total': 42_412_802_048,
    'mem.used': 1_048_576,
    'mem.free': 42_411_753_472,
    'mem.reserved': 0,
  },
};
