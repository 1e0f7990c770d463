import { describe, expect, it } from 'vitest';
import { readSection } from './fake/read-section.ts';
import { noCompiler } from './fake/rig.ts';

const reached = { read: 'ok', write: 'ok', nvlink: 'ok', atomics: 'ok', pcie: 'ok' };

describe.skipIf(noCompiler !== undefined)('topology', () => {
  it('gives neighbours, CPUs and NUMA nodes', async () => {
    const { reading, gaps } = await readSection('topology', { gpus: [{}, {}, {}, {}, {}, {}] }, { gpu: 5 });
    expect(reading).toEqual({
      memoryNumaNode: null,
      cpuAffinity: '56-111,168-223',
      numaAffinity: '1',
      peers: [
        { index: 0, commonAncestor: 'system', ...reached },
        { index: 1, commonAncestor: 'system', ...reached },
        { index: 2, commonAncestor: 'system', ...reached },
        { index: 3, commonAncestor: 'system', ...reached },
        { index: 4, commonAncestor: 'single-switch', ...reached },
      ],
    });
    expect(gaps.map(({ field, reason }) => [field, reason])).toEqual([
      ['topology.memoryNumaNode', 'unsupported'],
    ]);
  });

  it('reads the GPU memory node of Grace, and CPUs beyond the first word', async () => {
    const { reading } = await readSection('topology', {
      gpus: [{ 'numa.node': 2, cpus: '63-64,8191', nodes: '0,9' }],
    });
    expect(reading).toEqual({ memoryNumaNode: 2, cpuAffinity: '63-64,8191', numaAffinity: '0,9', peers: [] });
  });

  it('tells each capability apart', async () => {
    const { reading } = await readSection('topology', {
      gpus: [
        {
          'ancestor.1': 30,
          'p2p.1.0': 0,
          'p2p.1.1': 1,
          'p2p.1.2': 5,
          'p2p.1.3': 3,
          'p2p.1.4': 4,
        },
        {},
      ],
    });
    expect(reading.peers).toEqual([
      {
        index: 1,
        commonAncestor: 'host-bridge',
        read: 'ok',
        write: 'chipset-not-supported',
        nvlink: 'not-supported',
        atomics: 'topology-not-supported',
        pcie: 'disabled-by-regkey',
      },
    ]);
  });

  it('leaves out a GPU that cannot be opened, and says so', async () => {
    const { reading, reason, detail } = await readSection('topology', {
      gpus: [{}, {}, {}],
      faults: ['rc nvmlDeviceGetHandleByIndex_v2 1 15'],
    });
    expect(reading.peers?.map(({ index }) => index)).toEqual([2]);
    expect(reason('topology.peers')).toBe('gpu-lost');
    expect(detail('topology.peers')).toBe(
      'GPU 1: nvmlDeviceGetHandleByIndex_v2: NVML_ERROR_GPU_IS_LOST (15)',
    );
  });

  it('keeps the other readings when a call with a neighbour says "lost", one gap for both neighbours', async () => {
    const { reading, gaps } = await readSection('topology', {
      gpus: [{}, {}, {}],
      faults: ['rc nvmlDeviceGetTopologyCommonAncestor 0 15'],
    });
    expect(reading.cpuAffinity).toBe('0-55,112-167');
    expect(reading.peers).toEqual([
      { index: 1, commonAncestor: null, ...reached },
      { index: 2, commonAncestor: null, ...reached },
    ]);
    expect(gaps).toContainEqual({
      gpu: 0,
      field: 'topology.peers.commonAncestor',
      reason: 'gpu-lost',
      detail: 'GPU 1-2: nvmlDeviceGetTopologyCommonAncestor: NVML_ERROR_GPU_IS_LOST (15)',
    });
  });

  it('says nothing of an empty mask', async () => {
    const { reading, reason } = await readSection('topology', { gpus: [{ cpus: '', nodes: null }] });
    expect(reading).toMatchObject({ cpuAffinity: null, numaAffinity: null });
    expect(reason('topology.cpuAffinity')).toBe('not-observable');
    expect(reason('topology.numaAffinity')).toBe('unsupported');
  });
});
