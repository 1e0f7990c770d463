import { expect, test } from 'vitest';
import { type Changes, h100Gaps, h100Links, h100Reading, unsupported } from '../../test/h100.ts';
import { capabilityTierOf } from './capability-tier.ts';

const noEcc = { ecc: { enabled: null } } as const;
const noLinks = { nvlink: { links: [] } } as const;
const oldTesla = { identity: { brand: 'tesla' }, mig: { enabled: null } } as const;

test.each<[string, Changes, string]>([
  ['an H100 on its baseboard', {}, 'datacenter-nvlink'],
  [
    'the same with every link down',
    { nvlink: { links: h100Links().map((l) => ({ ...l, active: false })) } },
    'datacenter-nvlink',
  ],
  ['an L4: no links', { ...noLinks }, 'datacenter-pcie'],
  ['a T4: brand Tesla, no MIG, no links', { ...oldTesla, ...noLinks }, 'datacenter-pcie'],
  ['no brand, but MIG', { identity: { brand: null } }, 'datacenter-nvlink'],
  ['no brand and no MIG', { identity: { brand: null }, mig: { enabled: null } }, 'unknown'],
  ['a professional card, whatever else it can do', { identity: { brand: 'nvidia-rtx' } }, 'workstation'],
  ['a Quadro with NVLink', { identity: { brand: 'quadro-rtx' } }, 'workstation'],
  ['a GeForce with ECC', { identity: { brand: 'geforce-rtx' }, ...noLinks }, 'consumer'],
  ['a GeForce that tells nothing else', { identity: { brand: 'geforce' }, ...noEcc }, 'consumer'],
  ['a Titan', { identity: { brand: 'titan-rtx' } }, 'consumer'],
  ['no ECC, as an integrated GPU', { ...noEcc, ...noLinks }, 'unknown'],
  ['links that could not be read', { nvlink: { links: null } }, 'unknown'],
  // "GH200" contains "H200": the name decides nothing.
  ['a misleading name', { identity: { name: 'NVIDIA GeForce GH200' } }, 'datacenter-nvlink'],
])('%s: %s', (_, changes, tier) => {
  expect(capabilityTierOf(h100Reading(changes))).toBe(tier);
});

test('a driver that says there are no links is a PCIe board', () => {
  const reading = h100Reading({ nvlink: { links: null } }, [...h100Gaps(), unsupported(0, 'nvlink.links')]);
  expect(capabilityTierOf(reading)).toBe('datacenter-pcie');
});

test('a GPU that was not read is unknown', () => {
  const { gpu, observedAt } = h100Reading();
  expect(capabilityTierOf({ gpu, state: 'lost', observedAt, gaps: [] })).toBe('unknown');
});
