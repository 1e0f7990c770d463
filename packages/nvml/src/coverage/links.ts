import type { GpuSection } from '@k8s-gpu-mcp/core';
import { byField, byFunction, type CoverageRow, type SectionCoverage } from './coverage-row.ts';

/** What the sections about links, neighbours, processes, instances and events are read from. */

const counter = byFunction('nvmlDeviceGetNvLinkErrorCounter', {
  means: 'Blackwell counts in other terms, below; others not at all',
});
const olderCounter = (id: number, name: `NVML_FI_${string}`) =>
  byFunction('nvmlDeviceGetNvLinkErrorCounter', {
    fallback: [`field ${id} (${name})`],
    means: 'Blackwell counts in other terms, below',
  });
/** The scope id of the entry is the link. */
const nvlink5 = (id: number, name: string, note?: string) =>
  byField(id, `NVML_FI_DEV_NVLINK_COUNT_${name}`, '12.6', {
    means: 'NVLink before the fifth generation does not count it',
    ...(note === undefined ? {} : { note }),
  });
const bitErrorRate =
  'Mantissa (4 bits from bit 8) times ten to the minus exponent (8 bits); the floor 15e-255 reads as 0.';

const registration = (note?: string): CoverageRow =>
  byFunction('nvmlDeviceGetGpuFabricInfoV', {
    fallback: ['nvmlDeviceGetGpuFabricInfo'],
    means: 'no fabric, or a driver that does not tell',
    ...(note === undefined ? {} : { note }),
  });
const onceCompleted =
  'Not-observable until registration is completed. The third revision of the struct, then the second.';
const health = byFunction('nvmlDeviceGetGpuFabricInfoV', {
  means: 'not in the health mask of this product, or no mask in the older function',
});

const peerStatus = byFunction('nvmlDeviceGetP2PStatus', { means: 'the driver does not tell' });

const running = {
  fallback: [
    'nvmlDeviceGetComputeRunningProcesses_v2',
    'nvmlDeviceGetComputeRunningProcesses',
    'nvmlDeviceGetRunningProcessDetailList',
  ],
  means: 'the driver lists no processes',
} as const;
const instance = byFunction('nvmlDeviceGetComputeRunningProcesses_v3', {
  fallback: ['nvmlDeviceGetComputeRunningProcesses_v2'],
  means: 'MIG is off, or a driver older than it',
});
const utilization = byFunction('nvmlDeviceGetProcessUtilization', {
  means: 'this product, or a GPU divided by MIG, is not sampled',
  note: 'Samples of the last 2 s; not-observable for a process without one. nvmlDeviceGetProcessesUtilizationInfo has the same numbers.',
});
const accounting = byFunction('nvmlDeviceGetAccountingStats', { means: 'the driver keeps no accounts' });

const migMode = byFunction('nvmlDeviceGetMigMode', { means: 'a product without MIG' });
const attributes = byFunction('nvmlDeviceGetAttributes_v2', { means: 'the driver does not describe it' });
const placement = byFunction('nvmlDeviceGetGpuInstances', {
  needs: ['nvmlGpuInstanceGetInfo'],
  after: ['mig.profiles'],
  note: 'Told only to root.',
});
const migMemory = byFunction('nvmlDeviceGetMemoryInfo_v2', {
  fallback: ['nvmlDeviceGetMemoryInfo'],
  means: 'the driver does not tell',
});

export const linkCoverage = {
  nvlink: {
    links: byFunction('nvmlDeviceGetNvLinkState', {
      means: 'the driver does not know NVLink',
      note: 'Asked of link 0 to 35. Field 91 (NVML_FI_DEV_NVLINK_LINK_COUNT) tells "none" from "not told".',
    }),
    'links.active': byFunction('nvmlDeviceGetNvLinkState'),
    'links.version': byFunction('nvmlDeviceGetNvLinkVersion'),
    'links.speedMegabytesPerSecond': byField(164, 'NVML_FI_DEV_NVLINK_GET_SPEED', '11.8', {
      fallback: ['field 84 (NVML_FI_DEV_NVLINK_SPEED_MBPS_L0)'],
      note: 'The older ids are one for each link: 84 to 89 and 132 to 137.',
    }),
    'links.remoteDeviceType': byFunction('nvmlDeviceGetNvLinkRemoteDeviceType'),
    'links.remotePciAddress': byFunction('nvmlDeviceGetNvLinkRemotePciInfo_v2'),
    'links.remoteLink': byField(146, 'NVML_FI_DEV_NVLINK_REMOTE_NVLINK_ID', '11.3'),
    'links.replayErrorCount': olderCounter(161, 'NVML_FI_DEV_NVLINK_ERROR_DL_REPLAY'),
    'links.recoveryErrorCount': olderCounter(162, 'NVML_FI_DEV_NVLINK_ERROR_DL_RECOVERY'),
    'links.crcFlitErrorCount': olderCounter(163, 'NVML_FI_DEV_NVLINK_ERROR_DL_CRC'),
    'links.crcDataErrorCount': counter,
    'links.eccDataErrorCount': counter,
    'links.receiveErrorCount': nvlink5(208, 'RCV_ERRORS'),
    'links.malformedPacketErrorCount': nvlink5(206, 'MALFORMED_PACKET_ERRORS'),
    'links.bufferOverrunErrorCount': nvlink5(207, 'BUFFER_OVERRUN_ERRORS'),
    'links.linkIntegrityErrorCount': nvlink5(211, 'LOCAL_LINK_INTEGRITY_ERRORS'),
    'links.linkRecoverySuccessCount': nvlink5(213, 'LINK_RECOVERY_SUCCESSFUL_EVENTS'),
    'links.linkRecoveryFailureCount': nvlink5(214, 'LINK_RECOVERY_FAILED_EVENTS'),
    'links.effectiveErrorCount': nvlink5(219, 'EFFECTIVE_ERRORS'),
    'links.effectiveBitErrorRate': nvlink5(220, 'EFFECTIVE_BER', bitErrorRate),
    'links.symbolErrorCount': nvlink5(221, 'SYMBOL_ERRORS'),
    'links.symbolBitErrorRate': nvlink5(222, 'SYMBOL_BER', bitErrorRate),
  },
  fabric: {
    state: registration(),
    status: registration(onceCompleted),
    clusterUuid: registration(`${onceCompleted} All zero on a single board.`),
    cliqueId: registration(onceCompleted),
    degradedBandwidth: health,
    routeRecovery: health,
    routeUnhealthy: health,
    accessTimeoutRecovery: health,
    misconfiguration: health,
    healthSummary: byFunction('nvmlDeviceGetGpuFabricInfoV', {
      means: 'a driver before the third revision of the struct (CUDA 13.0)',
    }),
  },
  topology: {
    memoryNumaNode: byFunction('nvmlDeviceGetNumaNodeId', {
      means: 'the memory of this GPU is no NUMA node',
    }),
    cpuAffinity: byFunction('nvmlDeviceGetCpuAffinity', {
      note: 'Not-observable where the mask is empty, as in virtual machines.',
    }),
    numaAffinity: byFunction('nvmlDeviceGetMemoryAffinity', {
      note: 'Not-observable where the mask is empty.',
    }),
    peers: byFunction('nvmlDeviceGetHandleByIndex_v2', {
      means: 'never: without it nothing can be read',
      note: 'A GPU that cannot be opened is left out, with a gap.',
    }),
    'peers.commonAncestor': byFunction('nvmlDeviceGetTopologyCommonAncestor'),
    'peers.read': peerStatus,
    'peers.write': peerStatus,
    'peers.nvlink': peerStatus,
    'peers.atomics': peerStatus,
    'peers.pcie': peerStatus,
  },
  processes: {
    running: byFunction('nvmlDeviceGetComputeRunningProcesses_v3', {
      ...running,
      note: 'With the graphics and MPS lists of the same versions. While MIG is enabled and the GPU refuses, each MIG device is asked. Drivers from 535.113 leave out processes of other pid namespaces.',
    }),
    'running.memoryUsedBytes': byFunction('nvmlDeviceGetComputeRunningProcesses_v3', running),
    'running.gpuInstanceId': instance,
    'running.computeInstanceId': instance,
    'running.smPercent': utilization,
    'running.memoryPercent': utilization,
    'running.encoderPercent': utilization,
    'running.decoderPercent': utilization,
    accountingEnabled: byFunction('nvmlDeviceGetAccountingMode', { means: 'the driver keeps no accounts' }),
    accounted: byFunction('nvmlDeviceGetAccountingPids', {
      needs: ['nvmlDeviceGetAccountingMode'],
      means: 'the driver keeps no accounts',
    }),
    'accounted.gpuPercent': accounting,
    'accounted.memoryPercent': accounting,
    'accounted.maxMemoryUsedBytes': accounting,
    'accounted.startedAt': accounting,
    'accounted.activeMilliseconds': accounting,
  },
  mig: {
    enabled: migMode,
    pendingEnabled: migMode,
    maxDeviceCount: byFunction('nvmlDeviceGetMaxMigDeviceCount', { means: 'a product without MIG' }),
    devices: byFunction('nvmlDeviceGetMigDeviceHandleByIndex', {
      needs: ['nvmlDeviceGetMigMode', 'nvmlDeviceGetMaxMigDeviceCount'],
      means: 'a product without MIG',
    }),
    'devices.uuid': byFunction('nvmlDeviceGetUUID'),
    'devices.gpuInstanceId': byFunction('nvmlDeviceGetGpuInstanceId'),
    'devices.computeInstanceId': byFunction('nvmlDeviceGetComputeInstanceId'),
    'devices.profile': byFunction('nvmlDeviceGetName', {
      fallback: ['nvmlDeviceGetAttributes_v2'],
      note: 'The last word of the name; else worked out from the slices and the share of the memory.',
    }),
    'devices.memoryTotalBytes': migMemory,
    'devices.memoryUsedBytes': migMemory,
    'devices.multiprocessorCount': attributes,
    'devices.gpuSliceCount': attributes,
    'devices.computeSliceCount': attributes,
    'devices.placementStart': placement,
    'devices.placementSize': placement,
    profiles: byFunction('nvmlDeviceGetGpuInstanceProfileInfoV', {
      fallback: ['nvmlDeviceGetGpuInstanceProfileInfo'],
      needs: ['nvmlDeviceGetMigMode'],
      means: 'a product without MIG',
    }),
    'profiles.name': byFunction('nvmlDeviceGetGpuInstanceProfileInfoV', {
      fallback: ['nvmlDeviceGetGpuInstanceProfileInfo'],
      note: 'Worked out from the slices and the share of the memory where the driver does not spell it.',
    }),
    'profiles.remainingInstanceCount': byFunction('nvmlDeviceGetGpuInstanceRemainingCapacity', {
      note: 'Told only to root.',
    }),
    'profiles.placementStarts': byFunction('nvmlDeviceGetGpuInstancePossiblePlacements_v2', {
      note: 'Told only to root.',
    }),
  },
  events: {
    supportedTypes: byFunction('nvmlDeviceGetSupportedEventTypes', { means: 'this GPU reports no events' }),
  },
} satisfies { readonly [S in LinkSection]: SectionCoverage<S> };

export type LinkSection = Extract<
  GpuSection,
  'nvlink' | 'fabric' | 'topology' | 'processes' | 'mig' | 'events'
>;
