import type { MigProfileFacts } from './gpu-model.ts';

/** How boards of seven compute and eight memory slices can be cut. Source: NVIDIA MIG user guide, supported profiles and placements. */
const geometry = [
  { id: 19, slices: 1, memorySlices: 1, maxInstanceCount: 7, starts: [0, 1, 2, 3, 4, 5, 6], suffix: '' },
  // With the media engines.
  { id: 20, slices: 1, memorySlices: 1, maxInstanceCount: 1, starts: [0, 1, 2, 3, 4, 5, 6], suffix: '+me' },
  { id: 15, slices: 1, memorySlices: 2, maxInstanceCount: 4, starts: [0, 2, 4, 6], suffix: '' },
  { id: 14, slices: 2, memorySlices: 2, maxInstanceCount: 3, starts: [0, 2, 4], suffix: '' },
  { id: 9, slices: 3, memorySlices: 4, maxInstanceCount: 2, starts: [0, 4], suffix: '' },
  { id: 5, slices: 4, memorySlices: 4, maxInstanceCount: 1, starts: [0], suffix: '' },
  { id: 0, slices: 7, memorySlices: 8, maxInstanceCount: 1, starts: [0], suffix: '' },
] as const;

type MemorySlices = (typeof geometry)[number]['memorySlices'];

interface Cut {
  /** The gigabytes in the name, and the mebibytes that there are. */
  readonly memory: Readonly<Record<MemorySlices, readonly [gigabytes: number, mebibytes: number]>>;
  /** Of each profile above, in its order. */
  readonly multiprocessors: readonly [number, number, number, number, number, number, number];
}

const profilesOf = ({ memory, multiprocessors }: Cut): readonly MigProfileFacts[] =>
  geometry.map(({ id, slices, memorySlices, maxInstanceCount, starts, suffix }, position) => ({
    id,
    name: `${slices}g.${memory[memorySlices][0]}gb${suffix}`,
    gpuSliceCount: slices,
    memoryMebibytes: memory[memorySlices][1],
    multiprocessorCount: multiprocessors[position] ?? 0,
    maxInstanceCount,
    placementStarts: starts,
    placementSize: memorySlices,
  }));

export const migProfiles = {
  // Source: NVIDIA MIG user guide, listing of an A100; 2g.20gb also in the capture of the model.
  a100: profilesOf({
    memory: { 1: [10, 9_728], 2: [20, 19_968], 4: [40, 40_192], 8: [80, 80_640] },
    multiprocessors: [14, 14, 14, 28, 42, 56, 98],
  }),
  // Source: `nvidia-smi mig -lgip` of an H100 80GB, jbarrow.ai/field_notes/nvidia-mig.
  h100: profilesOf({
    memory: { 1: [10, 9_984], 2: [20, 20_096], 4: [40, 40_448], 8: [80, 81_152] },
    multiprocessors: [16, 16, 26, 32, 60, 64, 132],
  }),
  // Source: the exporter's capture of an H200 with MIG, for all but the whole GPU, which is taken as two halves.
  h200: profilesOf({
    memory: { 1: [18, 16_384], 2: [35, 33_280], 4: [71, 71_424], 8: [141, 142_848] },
    multiprocessors: [16, 16, 26, 32, 60, 64, 132],
  }),
  // Source: names from the MIG user guide, multiprocessors from NVIDIA/k8s-test-infra, memory as eighths of what the capture has.
  b200: profilesOf({
    memory: { 1: [23, 22_784], 2: [45, 45_568], 4: [90, 91_264], 8: [180, 182_528] },
    multiprocessors: [18, 18, 18, 36, 54, 72, 126],
  }),
} as const;
