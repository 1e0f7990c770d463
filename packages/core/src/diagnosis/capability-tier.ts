import type { GpuReading } from '../domain/gpu.ts';

/**
 * What kind of machine a GPU is made for, from facts that the driver tells and never from the product's name ("GH200" contains "H200").
 *
 * - `consumer`: the brand is GeForce or Titan.
 * - `workstation`: the brand is Quadro, RTX (professional) or NVS.
 * - `datacenter-nvlink`, `datacenter-pcie`: any other brand, or none told but MIG supported; and ECC supported. With NVLink when the
 *   driver lists at least one link, in use or not, so that a fault of the links does not change the tier.
 * - `unknown`: a fact that decides could not be read, or fits none of the above.
 */
export const capabilityTiers = [
  'datacenter-nvlink',
  'datacenter-pcie',
  'workstation',
  'consumer',
  'unknown',
] as const;
export type CapabilityTier = (typeof capabilityTiers)[number];

// Source: nvml.h, nvmlBrandType_t.
const consumerBrands = new Set(['geforce', 'geforce-rtx', 'titan', 'titan-rtx']);
const workstationBrands = new Set(['quadro', 'quadro-rtx', 'nvidia-rtx', 'nvs']);

/** Of a reading with the sections identity, ecc, mig and nvlink. */
export function capabilityTierOf(reading: GpuReading): CapabilityTier {
  const brand = reading.identity?.brand ?? null;
  if (brand !== null && consumerBrands.has(brand)) return 'consumer';
  if (brand !== null && workstationBrands.has(brand)) return 'workstation';
  const supportsMig = typeof reading.mig?.enabled === 'boolean';
  const supportsEcc = typeof reading.ecc?.enabled === 'boolean';
  if (!supportsEcc || (brand === null && !supportsMig)) return 'unknown';
  const links = reading.nvlink?.links ?? undefined;
  if (links) return links.length > 0 ? 'datacenter-nvlink' : 'datacenter-pcie';
  const without = reading.gaps.some(
    ({ field, reason }) => (field === 'nvlink.links' || field === 'nvlink') && reason === 'unsupported',
  );
  return without ? 'datacenter-pcie' : 'unknown';
}
