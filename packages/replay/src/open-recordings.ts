import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { GpuError, pciDeviceKey } from '@k8s-gpu-mcp/core';
import { earlierRuns, type RecordedNode, recordGpus } from './captures/recorded-gpus.ts';
import { createReplayProvider } from './captures/replay-provider.ts';
import { Findings } from './files/findings.ts';
import { KernelRecords } from './files/kernel-records.ts';
import { readRecording } from './files/read-recording.ts';
import { recordedHostDevices, recordedHostProcesses } from './files/recorded-host.ts';
import { errorMessageReason } from './files/recording-reader.ts';
import type {
  DiagnosticTestResult,
  OpenRecordingsOptions,
  RecordedFile,
  RecordingInput,
  Recordings,
  ReplayReaders,
} from './recordings.ts';

const maximumInputs = 256;

/**
 * Reads all inputs once, one after the other, and gives the read ports over what they hold. A file that cannot be read, or that holds nothing known,
 * is listed and never an error.
 * @throws GpuError INVALID_INPUT (too many inputs), TIMEOUT or CANCELLED (`signal`)
 */
export async function openRecordings(
  inputs: readonly RecordingInput[],
  readers: ReplayReaders,
  options: OpenRecordingsOptions = {},
): Promise<Recordings> {
  if (inputs.length > maximumInputs) {
    throw new GpuError(
      'INVALID_INPUT',
      `${inputs.length} files are more than the ${maximumInputs} that are read at once`,
      {
        hint: 'Name the files that matter, or put them together: cat FILE... | k8s-gpu-mcp-server analyze -',
      },
    );
  }
  const kernelRecords = new KernelRecords(options.maximumRecords ?? 200_000);
  const findings = new Findings(kernelRecords);
  const files: RecordedFile[] = [];
  for (const input of inputs) {
    const file = await readRecording(await reopenable(input), readers, findings, options);
    files.push(file);
    const { name, formats, recordCount, lineCount, unread, error } = file;
    if (error) kernelRecords.skip(name, error.message);
    // Lines in no format that is known may be those of a log whose times were cut off: they were searched like one.
    const isLooseText =
      formats.length === 0 &&
      !error &&
      lineCount !== null &&
      lineCount > 0 &&
      !unread.some(({ reason }) => reason === errorMessageReason);
    if (formats.includes('kernel log') || recordCount > 0 || isLooseText) kernelRecords.addSource(name);
  }
  return assemble(findings, files);
}

function assemble(findings: Findings, files: readonly RecordedFile[]): Recordings {
  const { captures, failures, kernelRecords, hasLspci, hasPs, droppedCaptureCount } = findings;
  const node = recordGpus(captures);
  const times = [kernelRecords.newestAt, ...captures.map(({ at }) => at)].filter((at) => at !== null);
  const gpuProvider = createReplayProvider(node, failures);
  const dropped =
    droppedCaptureCount > 0
      ? [`${droppedCaptureCount} captures between the first and the newest were left out`]
      : [];
  return {
    gpuProvider,
    kernelLog: kernelRecords.toKernelLog(),
    ...(hasLspci
      ? {
          hostDevices: recordedHostDevices(
            [...findings.pciGpus.values()],
            { isWholeBus: findings.hasWholeBus, tellsDrivers: findings.tellsDrivers },
            node.gpus.map(({ ref }) => pciDeviceKey(ref.pciAddress)),
          ),
        }
      : {}),
    ...(hasPs ? { hostProcesses: recordedHostProcesses(findings.processes) } : {}),
    applicationErrors: findings.applicationErrors,
    testResults: [...findings.testResults, ...inforomResults(findings, node)],
    earlier: earlierRuns(node.gpus),
    driverFailures: failures,
    observedAt: times.sort().at(-1) ?? null,
    files,
    notes: [...node.notes, ...dropped],
    close: () => gpuProvider.close(),
  };
}

/** A warning of nvidia-smi counts as the result of a test: it checks the InfoROM whenever it runs. */
function inforomResults({ inforomWarnings }: Findings, { gpus }: RecordedNode): DiagnosticTestResult[] {
  const byDevice = new Map(gpus.map(({ ref }) => [pciDeviceKey(ref.pciAddress), ref.index]));
  return inforomWarnings.map(({ pciAddress, citation }) => ({
    test: 'Inforom',
    gpu: byDevice.get(pciDeviceKey(pciAddress)) ?? null,
    status: 'fail',
    citation,
  }));
}

/** A pipe (`analyze <(dmesg)`) can be read only once: it becomes a stream. Paths that cannot be looked at are left to the reader. */
async function reopenable(input: RecordingInput): Promise<RecordingInput> {
  if (!('path' in input)) return input;
  const stats = await stat(input.path).catch(() => undefined);
  return stats?.isFIFO() ? { name: input.name, stream: createReadStream(input.path) } : input;
}
