import type { Citation, HostProcess, KernelEvent, PciGpu } from '@k8s-gpu-mcp/core';
import type { Capture } from '../captures/capture.ts';
import type { LspciReading } from '../formats/lspci.ts';
import type { SmiCapture } from '../recording.ts';
import type { DiagnosticTestResult, DriverFailure } from '../recordings.ts';
import type { KernelRecords } from './kernel-records.ts';

const bounds = {
  captures: 256,
  capturedGpus: 2_048,
  applicationErrors: 5_000,
  captureCharacters: 32 * 1024 * 1024,
  testResults: 10_000,
  failures: 256,
  inforomWarnings: 256,
  pciGpus: 4_096,
  processes: 65_536,
} as const;

/** What all inputs together hold. Every list is bounded: what is dropped is the oldest, and of captures the oldest but the first. */
export class Findings {
  readonly kernelRecords: KernelRecords;
  readonly captures: Capture[] = [];
  readonly failures: DriverFailure[] = [];
  readonly inforomWarnings: { readonly pciAddress: string; readonly citation: Citation }[] = [];
  readonly pciGpus = new Map<string, PciGpu>();
  readonly processes = new Map<number, HostProcess>();
  applicationErrors: KernelEvent[] = [];
  testResults: DiagnosticTestResult[] = [];
  hasLspci = false;
  /** Some lspci showed more than one device, so that what it lacks is not there. */
  hasWholeBus = false;
  tellsDrivers = false;
  hasPs = false;
  droppedCaptureCount = 0;
  #order = 0;
  #gpuCount = 0;
  readonly #characters: number[] = [];

  constructor(kernelRecords: KernelRecords) {
    this.kernelRecords = kernelRecords;
  }

  /** `characters`: of the text it was read from, which bounds what it holds. */
  addCapture(capture: Omit<Capture, 'order'>, characters: number): void {
    if (capture.gpus.length === 0 && capture.driverVersion === null) return;
    this.captures.push({ ...capture, order: this.#order });
    this.#characters.push(characters);
    this.#order += 1;
    this.#gpuCount += capture.gpus.length;
    while (
      this.captures.length > 2 &&
      (this.captures.length > bounds.captures ||
        this.#gpuCount > bounds.capturedGpus ||
        this.#characters.reduce((sum, size) => sum + size, 0) > bounds.captureCharacters)
    ) {
      const [dropped] = this.captures.splice(1, 1);
      this.#characters.splice(1, 1);
      this.#gpuCount -= dropped?.gpus.length ?? 0;
      this.droppedCaptureCount += 1;
    }
  }

  addSmi(capture: SmiCapture, characters: number): void {
    const { failure, file } = capture;
    if (failure) {
      this.failures.push({ kind: failure.kind, citation: { file, line: failure.line } });
      if (this.failures.length > bounds.failures) this.failures.shift();
    }
    this.addCapture(capture, characters);
  }

  addApplicationError(event: KernelEvent): void {
    this.applicationErrors.push(event);
    if (this.applicationErrors.length > 2 * bounds.applicationErrors) {
      this.applicationErrors = this.applicationErrors.slice(-bounds.applicationErrors);
    }
  }

  addTestResults(results: readonly DiagnosticTestResult[]): void {
    this.testResults.push(...results);
    if (this.testResults.length > 2 * bounds.testResults) {
      this.testResults = this.testResults.slice(-bounds.testResults);
    }
  }

  /** `pciAddress`: as it was printed. */
  addInforomWarning(pciAddress: string, citation: Citation): void {
    if (this.inforomWarnings.length < bounds.inforomWarnings)
      this.inforomWarnings.push({ pciAddress, citation });
  }

  addPciGpus({ gpus, isWholeBus, tellsDrivers }: LspciReading): void {
    this.hasLspci = true;
    this.hasWholeBus ||= isWholeBus;
    this.tellsDrivers ||= tellsDrivers;
    for (const gpu of gpus) {
      const known = this.pciGpus.get(gpu.pciAddress);
      if (!known && this.pciGpus.size >= bounds.pciGpus) continue;
      this.pciGpus.set(gpu.pciAddress, known ? completed(known, gpu, tellsDrivers) : gpu);
    }
  }

  addProcesses(processes: readonly HostProcess[]): void {
    this.hasPs = true;
    for (const process of processes) {
      if (this.processes.size >= bounds.processes && !this.processes.has(process.pid)) continue;
      this.processes.set(process.pid, process);
    }
  }
}

/** The same device in several forms of lspci: what one of them leaves out, another tells. */
function completed(known: PciGpu, more: PciGpu, tellsDrivers: boolean): PciGpu {
  const told = Object.fromEntries(Object.entries(more).filter(([, value]) => value !== null && value !== ''));
  return {
    ...known,
    ...told,
    driver: tellsDrivers ? more.driver : known.driver,
    respondsOnBus: known.respondsOnBus === false ? false : more.respondsOnBus,
  };
}
