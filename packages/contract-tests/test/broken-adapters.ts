import {
  GpuError,
  type GpuProvider,
  type GpuSample,
  type GpuSection,
  gpuSections,
  isGpuError,
  type NodeDescription,
} from '@k8s-gpu-mcp/core';
import type { GpuFault, RequirementId } from '../src/index.ts';
import { inMemoryProvider } from './in-memory-provider.ts';

type Break = (good: GpuProvider, fault: GpuFault | undefined) => GpuProvider;
type Loose = Record<string, unknown>;

/** Takes the types off, so that a test can say what the compiler would refuse. */
const forge = <Forged>(value: unknown) => value as Forged;
const never = () => new Promise<never>(() => {});

const node =
  (change: (answer: NodeDescription) => Loose): Break =>
  (good) => ({
    ...good,
    describeNode: async (signal) => {
      const answer = await good.describeNode(signal);
      return forge<NodeDescription>({ ...answer, ...change(answer) });
    },
  });

const sample =
  (change: (answer: GpuSample) => Loose): Break =>
  (good) => ({
    ...good,
    readGpu: async (gpu, sections, signal) => {
      const answer = await good.readGpu(gpu, sections, signal);
      return forge<GpuSample>({ ...answer, ...change(answer) });
    },
  });

/** Changes one leaf, wherever its section was asked for. */
const leaf = (section: GpuSection, key: string, value: unknown) =>
  sample((answer) => (answer[section] ? { [section]: { ...answer[section], [key]: value } } : {}));

const manifest =
  (change: Loose): Break =>
  (good) => ({ ...good, manifest: forge<GpuProvider['manifest']>({ ...good.manifest, ...change }) });

/** Rejections with one code are turned into something else. */
const translate =
  (from: string, into: () => unknown): Break =>
  (good) => {
    const mapped = async <Value>(call: Promise<Value>): Promise<Value> => {
      try {
        return await call;
      } catch (error) {
        throw isGpuError(error) && error.code === from ? into() : error;
      }
    };
    return {
      ...good,
      describeNode: (signal) => mapped(good.describeNode(signal)),
      readGpu: (gpu, sections, signal) => mapped(good.readGpu(gpu, sections, signal)),
    };
  };

/** After the first read of the faulty GPU every other GPU fails too. */
const contagious = (reason: GpuFault): Break => {
  return (good, fault) => {
    let spoilt = false;
    return {
      ...good,
      readGpu: (gpu, sections, signal) => {
        if (fault === reason && gpu.index === 1) spoilt = true;
        else if (spoilt) return Promise.reject(new GpuError('UNAVAILABLE', 'down with its neighbour'));
        return good.readGpu(gpu, sections, signal);
      },
    };
  };
};

/** One adapter per requirement that breaks this requirement and no other. */
export const brokenAdapters: Readonly<Record<RequirementId, Break>> = {
  'GP-MANIFEST': manifest({ backend: 'Memory Backend' }),
  'GP-MIG-CLAIM': manifest({ mig: false }),
  'GP-NODE-SHAPE': node(() => ({ hostName: 'gpu-node' })),
  'GP-NODE-GAP': node(() => ({ gaps: [] })),
  'GP-NODE-COUNT': (good, fault) =>
    node((answer) => ({ gpus: answer.gpus.slice(0, -1) }))(
      // Nor does it name the GPU elsewhere.
      sample(({ topology }) =>
        topology
          ? { topology: { ...topology, peers: topology.peers?.filter(({ index }) => index < 3) } }
          : {},
      )(good, fault),
      fault,
    ),
  'GP-NODE-ORDER': node((answer) => ({ gpus: answer.gpus.toReversed() })),
  'GP-NODE-UNIQUE': node((answer) => ({
    gpus: answer.gpus.map((gpu) => ({ ...gpu, pciAddress: '0000:10:00.0' })),
  })),
  'GP-PCI-FORM': node((answer) => ({
    gpus: answer.gpus.map((gpu) => ({ ...gpu, pciAddress: `0000${gpu.pciAddress}` })),
  })),
  'GP-NODE-STABLE': (good, fault) => {
    let calls = 0;
    const change = () => {
      calls += 1;
      return { driverVersion: `1.${calls}` };
    };
    return node(change)(good, fault);
  },
  'GP-JSON-SAFE': leaf('power', 'energyJoules', Number.NaN),
  'GP-SECTION-ASKED': sample((answer) => {
    if (!answer.power) return {};
    const { energyJoules: _, ...power } = answer.power;
    return { power };
  }),
  'GP-SECTION-NOT-ASKED': (good) => ({
    ...good,
    readGpu: (gpu, _sections, signal) => good.readGpu(gpu, gpuSections, signal),
  }),
  'GP-CLAIMED': sample((answer) =>
    answer.utilization
      ? {
          utilization: { ...answer.utilization, gpuPercent: null, memoryPercent: null },
          gaps: [
            ...answer.gaps,
            ...['gpuPercent', 'memoryPercent'].map((key) => ({
              field: `utilization.${key}`,
              reason: 'error',
              detail: 'code 999',
            })),
          ],
        }
      : {},
  ),
  'GP-UNCLAIMED': sample((answer) => ({
    gaps: answer.gaps.map((gap) => (gap.field === 'recovery.action' ? { ...gap, reason: 'error' } : gap)),
  })),
  'GP-TYPE': leaf('ecc', 'enabled', 'Enabled'),
  'GP-RANGE': leaf('utilization', 'gpuPercent', 1500),
  'GP-SPELLING': leaf('clocks', 'performanceState', 'P-0'),
  'GP-AGREEMENT': leaf('memory', 'usedBytes', 900_000_000),
  'GP-NULL-GAP': sample((answer) => ({
    gaps: answer.gaps.filter((gap) => gap.field !== 'thermal.fanSpeedPercent'),
  })),
  'GP-GAP-NULL': sample((answer) => ({
    gaps: answer.memory
      ? [...answer.gaps, { field: 'memory.usedBytes', reason: 'error', detail: 'code 999' }]
      : answer.gaps,
  })),
  'GP-GAP-SHAPE': sample((answer) => ({ gaps: answer.gaps.map((gap) => ({ ...gap, gpu: 3 })) })),
  'GP-MEMBER-UNIQUE': sample(({ nvlink }) =>
    nvlink ? { nvlink: { links: nvlink.links?.map((link) => ({ ...link, link: 0 })) } } : {},
  ),
  'GP-PEERS': sample(({ topology }) =>
    topology
      ? {
          topology: {
            ...topology,
            peers: topology.peers?.map((peer) => ({ ...peer, index: peer.index + 4 })),
          },
        }
      : {},
  ),
  'GP-MONOTONIC': (good, fault) => {
    let left = 1_000_000;
    return sample(({ violations }) => {
      left -= 1;
      return violations ? { violations: { ...violations, thermalMicroseconds: left } } : {};
    })(good, fault);
  },
  'GP-PROFILING': sample(({ profiling, gaps }) =>
    // Answers the first reading as if there had been one before.
    profiling?.intervalMilliseconds === null
      ? {
          profiling: { ...profiling, smActivePercent: 0 },
          gaps: gaps.filter(({ field }) => field !== 'profiling.smActivePercent'),
        }
      : {},
  ),
  'GP-PROBE-TIME': sample(() => ({ probeMilliseconds: -1 })),
  'GP-MEMBER-GAP': sample((answer) => ({
    gaps: answer.gaps.flatMap((gap) => (gap.field === 'topology.peers.atomics' ? [gap, gap, gap] : [gap])),
  })),
  'GP-IDENTITY': leaf('identity', 'name', 'Another GPU'),
  'GP-CONCURRENT': (good) => {
    let open = 0;
    return {
      ...good,
      async readGpu(gpu, sections, signal) {
        open += 1;
        const mixedUp = open > 1 && !signal.aborted && gpu.index > 1;
        await Promise.resolve();
        try {
          return await good.readGpu(mixedUp ? { ...gpu, index: 0 } : gpu, sections, signal);
        } finally {
          open -= 1;
        }
      },
    };
  },
  'GP-FRESH': (good) => {
    const cached = new Map<string, Promise<GpuSample>>();
    return {
      ...good,
      readGpu(gpu, sections, signal) {
        if (signal.aborted || sections.join() !== 'identity') return good.readGpu(gpu, sections, signal);
        const key = `${gpu.index}`;
        const answer = cached.get(key) ?? good.readGpu(gpu, sections, signal);
        cached.set(key, answer);
        return answer;
      },
    };
  },
  'GP-ERROR-CLASS': translate('GPU_NOT_FOUND', () => new Error('no such device')),
  'GP-NOT-FOUND': translate('GPU_NOT_FOUND', () => new GpuError('INTERNAL', 'no such device')),
  'GP-ABORT-DESCRIBE': (good) => ({
    ...good,
    describeNode: () => good.describeNode(new AbortController().signal),
  }),
  'GP-ABORT-READ': (good) => ({
    ...good,
    readGpu: (gpu, sections, signal) =>
      good.readGpu(gpu, sections, signal.aborted ? new AbortController().signal : signal),
  }),
  'GP-ABORT-IN-FLIGHT': (good) => ({
    ...good,
    async readGpu(gpu, sections, signal) {
      const answer = await good.readGpu(gpu, sections, signal);
      return signal.aborted ? never() : answer;
    },
  }),
  'GP-ABORT-NEXT': (good) => {
    let stuck = false;
    return {
      ...good,
      readGpu(gpu, sections, signal) {
        if (stuck) return Promise.reject(new GpuError('DRIVER_UNRESPONSIVE', 'still waiting'));
        // GPU 0 only: the hung one is GPU 1, and is another requirement's.
        if (gpu.index === 0) {
          signal.addEventListener('abort', () => {
            stuck = true;
          });
        }
        return good.readGpu(gpu, sections, signal);
      },
    };
  },
  'GP-CLOSE': (good) => {
    let closed = false;
    return {
      ...good,
      close: () => {
        const again = closed;
        closed = true;
        return again ? Promise.reject(new GpuError('INTERNAL', 'closed already')) : good.close();
      },
    };
  },
  'GP-REOPEN': (good) => {
    let used = false;
    let closed = false;
    return {
      ...good,
      describeNode(signal) {
        if (closed) return Promise.reject(new GpuError('UNAVAILABLE', 'closed'));
        used = true;
        return good.describeNode(signal);
      },
      close: async () => {
        closed = used;
      },
    };
  },
  'GP-LOST': translate('GPU_LOST', () => new GpuError('INTERNAL', 'return code 15')),
  'GP-LOST-SIBLINGS': contagious('lost'),
  'GP-HUNG': translate('GPU_HUNG', () => new GpuError('TIMEOUT', 'too late')),
  'GP-HUNG-SIBLINGS': contagious('hung'),
  'GP-UNREADABLE': translate('NO_PERMISSION', () => new GpuError('GPU_NOT_FOUND', 'no such device')),
  'GP-CRASH': contagious('crashing'),
};

export function brokenProvider(id: RequirementId, fault: GpuFault | undefined): GpuProvider {
  return brokenAdapters[id](inMemoryProvider({ fault }), fault);
}
