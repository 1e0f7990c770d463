import { GpuError } from '../errors.ts';
import { GpuReader } from '../gpu-reader.ts';
import type { GpuProvider } from '../ports/gpu-provider.ts';
import { silentLogger, systemClock } from '../ports/runtime.ts';
import { FlightRecorder } from '../recorder/flight-recorder.ts';
import { recorderOptions } from '../recorder/options.ts';
import { createGpuTools } from './create-gpu-tools.ts';
import { createOperatorTools } from './operator/create-operator-tools.ts';
import type { GpuTool } from './tool.ts';

/** A tool without the machine that answers: what a program needs that hands the question on. */
export type GpuToolDescription = Omit<GpuTool, 'call'>;

/** Every read tool of an agent, in the order in which an agent lists them. */
export function describeGpuTools(): readonly GpuToolDescription[] {
  const recorder = new FlightRecorder(
    new GpuReader(nowhere, systemClock, silentLogger),
    systemClock,
    silentLogger,
    recorderOptions(),
  );
  const ports = { gpuProvider: nowhere, kernelLog: { read: refuse }, recorder };
  return createGpuTools(ports, { nodeName: 'nowhere' }).map(descriptionOf);
}

/** Every tool of an agent that acts, in the order in which an agent in operator mode lists them. */
export function describeOperatorTools(): readonly GpuToolDescription[] {
  const ports = {
    gpuProvider: nowhere,
    kernelLog: { read: refuse },
    hostProcesses: { describe: refuse },
    gpuControl: { checkReset: refuse, reset: refuse },
    processControl: { refusal: refuse, terminate: refuse },
    auditLog: { record: refuse },
  };
  return createOperatorTools(ports, { nodeName: 'nowhere' }).map(descriptionOf);
}

const descriptionOf = ({ call: _, ...description }: GpuTool): GpuToolDescription => description;

const refuse = () =>
  Promise.reject(new GpuError('UNAVAILABLE', 'this program reads no GPU itself.', { hint: 'Ask an agent.' }));

const nowhere: GpuProvider = {
  manifest: {
    contractVersion: 1,
    backend: 'none',
    vendor: 'none',
    simulated: false,
    sections: [],
    mig: false,
  },
  describeNode: refuse,
  readGpu: refuse,
  close: async () => {},
};
