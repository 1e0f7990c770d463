import type { Cause, NotYourCode } from '../../domain/diagnosis.ts';
import type { Action } from '../../domain/verdict.ts';

/** What is known about a cause before anything was seen of this node. */
export interface CauseEntry {
  /** Our own words, to follow "GPU 3: " or "Node: ". */
  readonly title: string;
  readonly notYourCode: NotYourCode;
  /** Decibans (tenths of a power of ten of the odds) before any sign; see docs/diagnosis.md. */
  readonly priorDecibans: number;
  readonly priorSource: string;
  /** What to do when no finding names an action. Never disruptive. */
  readonly action: Action;
  /** `shared`: one cause for all GPUs that show it. `device`: each GPU has its own. */
  readonly scope: 'shared' | 'device';
}

/** No prior is lower: what happens rarely must not be impossible to see. */
const floorDecibans = -10;
const llama =
  'The Llama 3 Herd of Models (arXiv 2407.21783), unexpected interruptions of 54 days on 16,384 H100';
const judged = 'judged: no public figures for a node as such';

/** A share of a population in decibans, not below the floor. */
const shareOf = (percent: number) => Math.max(floorDecibans, Math.round(10 * Math.log10(percent / 100)));

/** Every cause: whose it is, how common, what to do. */
export const causeCatalogue = {
  none: {
    title: 'nothing is wrong that can be seen',
    notYourCode: 'undecided',
    priorDecibans: 0,
    priorSource: judged,
    action: 'none',
    scope: 'shared',
  },
  unknown: {
    title: 'the evidence does not tell the cause',
    notYourCode: 'undecided',
    // The base rate of "something else", that every explanation has to beat.
    priorDecibans: 8,
    priorSource: 'judged: a single sign of low confidence must not pass for an explanation',
    action: 'none',
    scope: 'shared',
  },
  'application-fault': {
    title: 'the program did something wrong',
    notYourCode: false,
    priorDecibans: -5,
    priorSource: 'judged as common as the commonest hardware cause',
    action: 'check-app',
    scope: 'shared',
  },
  'application-gpu-memory': {
    title: 'the program asked for more GPU memory than there is',
    notYourCode: false,
    priorDecibans: -5,
    priorSource: judged,
    action: 'check-app',
    scope: 'shared',
  },
  'host-memory': {
    title: 'the host or a container ran out of main memory',
    notYourCode: false,
    priorDecibans: -6,
    priorSource: judged,
    action: 'check-app',
    scope: 'shared',
  },
  'stalled-collective': {
    title: 'a collective waits for a rank that does not come',
    notYourCode: 'undecided',
    priorDecibans: -6,
    priorSource: judged,
    action: 'check-app',
    scope: 'shared',
  },
  'leftover-process': {
    title: 'the GPU is held by something that no longer works',
    notYourCode: 'undecided',
    priorDecibans: -5,
    priorSource: judged,
    action: 'check-app',
    scope: 'shared',
  },
  'gpu-memory': {
    title: 'the memory of the GPU is faulty',
    notYourCode: true,
    priorDecibans: shareOf(17.2 + 4.5),
    priorSource: `${llama}: HBM3 17.2 %, GPU SRAM 4.5 %`,
    action: 'monitor',
    scope: 'device',
  },
  'gpu-bus': {
    title: 'the GPU does not answer on its bus',
    notYourCode: true,
    priorDecibans: -8,
    priorSource: judged,
    action: 'monitor',
    scope: 'device',
  },
  'pcie-link': {
    title: 'the PCI Express link of the GPU is degraded',
    notYourCode: true,
    priorDecibans: -8,
    priorSource: judged,
    action: 'monitor',
    scope: 'device',
  },
  nvlink: {
    title: 'an NVLink of the GPU is faulty',
    notYourCode: true,
    priorDecibans: -8,
    priorSource: judged,
    action: 'monitor',
    scope: 'device',
  },
  nvswitch: {
    title: 'an NVSwitch or the NVLink fabric is faulty',
    notYourCode: true,
    priorDecibans: -8,
    priorSource: judged,
    action: 'monitor',
    scope: 'device',
  },
  'gpu-service': {
    title: 'a service that the GPUs need does not do its work',
    notYourCode: true,
    priorDecibans: -8,
    priorSource: judged,
    action: 'restart-service',
    scope: 'shared',
  },
  'gpu-firmware': {
    title: 'the firmware of the GPU stopped working',
    notYourCode: true,
    priorDecibans: shareOf(4.1),
    priorSource: `${llama}: GPU system processor 4.1 %`,
    action: 'monitor',
    scope: 'device',
  },
  'gpu-hardware': {
    title: 'something inside the GPU is faulty',
    notYourCode: true,
    priorDecibans: shareOf(30.1),
    priorSource: `${llama}: faulty GPU 30.1 %`,
    action: 'monitor',
    scope: 'device',
  },
  'gpu-missing': {
    title: 'a GPU is there and cannot be used',
    notYourCode: true,
    priorDecibans: -8,
    priorSource: judged,
    action: 'monitor',
    scope: 'device',
  },
  thermal: {
    title: 'the GPU is too hot',
    notYourCode: true,
    priorDecibans: -8,
    priorSource: judged,
    action: 'monitor',
    scope: 'device',
  },
  power: {
    title: 'the power supply holds the GPU back',
    notYourCode: true,
    priorDecibans: -8,
    priorSource: judged,
    action: 'monitor',
    scope: 'device',
  },
  driver: {
    title: 'the GPU driver cannot do its work',
    notYourCode: true,
    priorDecibans: -8,
    priorSource: judged,
    action: 'update-software',
    scope: 'shared',
  },
  configuration: {
    title: 'the node is set up wrongly',
    notYourCode: true,
    priorDecibans: -8,
    priorSource: judged,
    action: 'monitor',
    scope: 'shared',
  },
  'host-hardware': {
    title: 'the memory, processor or buses of the host are faulty',
    notYourCode: true,
    priorDecibans: shareOf((2 / 419) * 100),
    priorSource: `${llama}: processor, 2 of 419`,
    action: 'monitor',
    scope: 'shared',
  },
} as const satisfies Record<Cause, CauseEntry>;

/** From the one that says most to the one that says least: decides where two are equally likely. */
export const bySpecificity: readonly Cause[] = [
  'gpu-bus',
  'gpu-memory',
  'nvswitch',
  'nvlink',
  'gpu-firmware',
  'pcie-link',
  'thermal',
  'power',
  'host-memory',
  'application-gpu-memory',
  'gpu-service',
  'driver',
  'gpu-missing',
  'host-hardware',
  'leftover-process',
  'stalled-collective',
  'application-fault',
  'configuration',
  'gpu-hardware',
  'none',
  'unknown',
];
