// Compiled and run by check-packages.mjs against the packed tarballs, as a user's own program would be.
import {
  createGpuTools,
  GpuError,
  type GpuTool,
  isGpuError,
  registerGpuTools,
  systemClock,
} from '@k8s-gpu-mcp/core';
import { fixedClock, stubProvider } from '@k8s-gpu-mcp/core/testing';
import { createAutoKernelLog } from '@k8s-gpu-mcp/host-linux';
import { createNvmlProvider } from '@k8s-gpu-mcp/nvml';
import { createMockKernelLog, createMockProvider } from '@k8s-gpu-mcp/nvml-mock';
import { serveHttp } from '@k8s-gpu-mcp/transport-http';
import { serveStdio } from '@k8s-gpu-mcp/transport-stdio';

const scenario = 'healthy-8xh100';
const tools: readonly GpuTool[] = createGpuTools(
  {
    gpuProvider: createMockProvider({ scenario, clock: systemClock }),
    kernelLog: createMockKernelLog({ scenario, clock: systemClock }),
  },
  { nodeName: 'consumer' },
);
const registered: string[] = [];
registerGpuTools({ registerTool: (name: string) => registered.push(name) }, tools);

const health = await tools.find((tool) => tool.name === 'get_gpu_health')?.call({});
if (!health || health.isError) throw new Error('get_gpu_health failed');
const parts = [createAutoKernelLog, createNvmlProvider, serveHttp, serveStdio, stubProvider, fixedClock];
if (!parts.every((part) => typeof part === 'function') || !isGpuError(new GpuError('INTERNAL', 'x')))
  throw new Error('exports');
console.log(`consumer: ${registered.length} tools, verdict ${health.structuredContent['verdict']}`);
