// Size of what a model is given, in tokens (four bytes of compact JSON each), against the budgets: the tool list, and the answers of a
// healthy 8-GPU node. The ratio is the worst of them.
import {
  createGpuTools,
  FlightRecorder,
  GpuReader,
  recorderOptions,
  registerGpuTools,
  silentLogger,
  systemClock,
} from '@k8s-gpu-mcp/core';
import {
  createMockKernelLog,
  createMockProvider,
  mockHostDevices,
  mockHostProcesses,
} from '@k8s-gpu-mcp/nvml-mock';
import { Client } from '@modelcontextprotocol/client';
import { InMemoryTransport, McpServer } from '@modelcontextprotocol/server';

const tokens = (value) => Buffer.byteLength(JSON.stringify(value)) / 4;

export async function run() {
  const scenario = 'healthy-8xh100';
  const gpuProvider = createMockProvider({ scenario, clock: systemClock });
  const reader = new GpuReader(gpuProvider, systemClock, silentLogger);
  const recorder = new FlightRecorder(reader, systemClock, silentLogger, recorderOptions());
  const ports = {
    gpuProvider,
    recorder,
    kernelLog: createMockKernelLog({ scenario, clock: systemClock }),
    hostDevices: mockHostDevices({ scenario, clock: systemClock }),
    hostProcesses: mockHostProcesses({ scenario, clock: systemClock }),
  };
  const server = new McpServer({ name: 'bench', version: '0' });
  registerGpuTools(server, createGpuTools(ports, { nodeName: 'gpu-node-1' }));
  const client = new Client({ name: 'bench', version: '0' });
  const [near, far] = InMemoryTransport.createLinkedPair();
  await Promise.all([server.connect(far), client.connect(near)]);
  const answer = async (name, input = {}) =>
    tokens((await client.callTool({ name, arguments: input })).structuredContent);
  const sizes = [
    { what: 'tools/list', size: tokens((await client.listTools()).tools), budget: 8_000 },
    { what: 'get_gpu_health', size: await answer('get_gpu_health'), budget: 800 },
    { what: 'get_gpu_inventory', size: await answer('get_gpu_inventory'), budget: 1_500 },
    { what: 'get_gpu_telemetry', size: await answer('get_gpu_telemetry'), budget: 1_500 },
    { what: 'its window', size: await answer('get_gpu_telemetry', { window: 1 }), budget: 1_500 },
    { what: 'get_gpu_topology', size: await answer('get_gpu_topology'), budget: 1_500 },
    { what: 'get_gpu_processes', size: await answer('get_gpu_processes'), budget: 1_500 },
    { what: 'explain_failure', size: await answer('explain_failure'), budget: 1_500 },
    { what: 'get_gpu_timeline', size: await answer('get_gpu_timeline'), budget: 1_500 },
    { what: 'get_incident_report', size: await answer('get_incident_report'), budget: 2_500 },
    { what: 'compare_gpus', size: await answer('compare_gpus'), budget: 1_500 },
  ];
  await client.close();
  const ratio = Math.max(...sizes.map(({ size, budget }) => size / budget));
  const details = sizes.map(({ what, size, budget }) => `${what} ${Math.round(size)}/${budget}`).join(', ');
  return { name: 'answer size / budget (tokens)', ratio, limit: 1, pass: ratio <= 1, details };
}
