import type { GpuSection } from '@k8s-gpu-mcp/core';
import type { SectionCoverage } from './coverage-row.ts';
import { deviceCoverage } from './device.ts';
import { linkCoverage } from './links.ts';

/** How every reading is had. The documentation is made from it, and the tests run the adapter against it. */
export const nvmlCoverage = { ...deviceCoverage, ...linkCoverage } satisfies {
  readonly [S in GpuSection]: SectionCoverage<S>;
};
