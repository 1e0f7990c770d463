import {
  type Citation,
  formatPciAddress,
  type Gap,
  type GpuSection,
  type PartialReadings,
  parsePciAddress,
} from '@k8s-gpu-mcp/core';
import type { CapturedGpu } from '../recording.ts';
import type { LeafPath, LeafValue } from './fields.ts';
import { absentReading, type Decoder, isMissing, type Missing, type SmiReading } from './values.ts';

/** What one GPU's part of an output says, as it is being read. */
export class GpuCollector {
  readonly #file: string;
  readonly #sections = new Map<string, Record<string, unknown>>();
  #gaps: Omit<Gap, 'gpu'>[] = [];
  readonly #citations: Record<string, Citation> = {};
  /** The GPUs that answer nothing are told from what the fields say, also the ones that are no readings of ours. */
  readonly #said = { lost: false, resetRequired: false, unknownError: false, anything: false };

  constructor(file: string) {
    this.#file = file;
  }

  put<P extends LeafPath>(leaf: P, line: number, reading: SmiReading<LeafValue<P>>): void {
    this.#citations[leaf] = { file: this.#file, line };
    if (isMissing(reading)) {
      this.#gaps.push({ field: leaf, reason: reading.reason, detail: reading.detail });
      return;
    }
    const [section = '', name = ''] = leaf.split('.');
    const readings = this.#sections.get(section) ?? {};
    readings[name] = reading.value;
    this.#sections.set(section, readings);
  }

  /** Decodes what is printed, absences included, and puts it. */
  print<P extends LeafPath>(
    leaf: P,
    line: number,
    text: string,
    decode: Decoder<LeafValue<NoInfer<P>>>,
    decodesAbsences = false,
  ): void {
    this.put(leaf, line, this.read(text, decode, decodesAbsences));
  }

  /** What is printed, decoded; notes in passing what it says about the whole GPU. */
  read<T>(text: string, decode: Decoder<T>, decodesAbsences = false): SmiReading<T> {
    const absent = absentReading(text);
    if (decodesAbsences || absent === undefined) {
      const reading = decode(text);
      if (reading.value !== null || absent === undefined) {
        this.#said.anything ||= reading.value !== null;
        return reading;
      }
    }
    const detail = absent?.detail ?? '';
    this.#said.lost ||= absent?.reason === 'gpu-lost';
    this.#said.resetRequired ||= detail.includes('requires reset');
    this.#said.unknownError ||= detail.includes('Unknown Error') || detail.includes('ERR!');
    return absent;
  }

  /** A gap inside the members of a list: `section.leaf.member`. One for each reason is enough. */
  missMember(field: string, { reason, detail }: Missing): void {
    const isKnown = this.#gaps.some((gap) => gap.field === field && gap.reason === reason);
    if (!isKnown) this.#gaps.push({ field, reason, detail });
  }

  /** For a list that turns out not to be whole and is left out. */
  forgetMembers(list: LeafPath): void {
    this.#gaps = this.#gaps.filter(({ field }) => !field.startsWith(`${list}.`));
  }

  value<P extends LeafPath>(leaf: P): LeafValue<P> | undefined {
    const [section = '', name = ''] = leaf.split('.');
    return this.#sections.get(section)?.[name] as LeafValue<P> | undefined;
  }

  gpu(index: number, address: string | null): CapturedGpu {
    const pci = address === null ? undefined : parsePciAddress(address);
    return {
      ref: {
        index,
        uuid: this.value('identity.uuid') ?? null,
        pciAddress: pci === undefined ? null : formatPciAddress(pci),
        name: this.value('identity.name') ?? null,
      },
      readings: Object.fromEntries(this.#sections) as { [S in GpuSection]?: object } as PartialReadings,
      gaps: this.#gaps,
      citations: this.#citations,
      ...this.#state(),
    };
  }

  /** One field that says so is enough for a lost GPU: the driver knows it, and what it still prints of it comes from its cache. */
  #state(): Pick<CapturedGpu, 'state' | 'stateDetail'> {
    const { lost, resetRequired, unknownError, anything } = this.#said;
    if (lost) return { state: 'lost', stateDetail: 'nvidia-smi printed "GPU is lost"' };
    if (resetRequired) {
      return { state: 'reset-required', stateDetail: 'nvidia-smi printed "GPU requires reset"' };
    }
    if (unknownError && !anything) {
      return { state: 'unreadable', stateDetail: 'nvidia-smi printed errors in place of every reading' };
    }
    return {};
  }
}
