import type { Requirement } from './contract-suite.ts';

/** What a GPU vendor adapter must do: one sentence each. `needs` names the fault a test rig must stage for it. */
export const gpuProviderRequirements = {
  'GP-MANIFEST': {
    text: 'The manifest is complete: contract version 1, a short lower-case backend name, a vendor, booleans, known sections without repetition.',
  },
  'GP-MIG-CLAIM': {
    text: 'A manifest that claims MIG claims the section mig, and one that does not claim it never shows MIG as enabled.',
  },
  'GP-NODE-SHAPE': {
    text: 'A node description has exactly the keys of the port, its texts are not empty, whether computing is confidential is a boolean or null, and each GPU has exactly index, uuid, pciAddress and name.',
  },
  'GP-NODE-GAP': {
    text: 'A fact of the node that is null (a version, the driver branch, confidential computing) has exactly one gap naming it, one that is told has none, and a GPU of which something is null has a gap with its index.',
  },
  'GP-NODE-COUNT': { text: 'Every GPU that the driver counts is described, also one that cannot be opened.' },
  'GP-NODE-ORDER': { text: 'GPUs are described in index order, 0 to n-1.' },
  'GP-NODE-UNIQUE': { text: 'No two GPUs of a node share a UUID or a PCI address.' },
  'GP-PCI-FORM': {
    text: 'A PCI address is spelled domain:bus:device.function in lower-case hex, as sysfs prints it.',
  },
  'GP-NODE-STABLE': { text: 'Describing an unchanged node again gives the same versions and the same GPUs.' },
  'GP-JSON-SAFE': {
    text: 'Answers are plain JSON data: no undefined, BigInt, NaN, Infinity, function or class instance.',
  },
  'GP-SECTION-ASKED': {
    text: 'A section that was asked for is present with exactly its leaf keys, and so are the members of its lists, also when nothing of it could be read.',
  },
  'GP-SECTION-NOT-ASKED': { text: 'A section that was not asked for is absent, and no gap speaks of it.' },
  'GP-CLAIMED': {
    text: 'A section that the manifest claims yields at least one value on at least one GPU, at the second reading at the latest.',
  },
  'GP-UNCLAIMED': {
    text: 'A section that the manifest does not claim comes back as nulls with unsupported gaps.',
  },
  'GP-TYPE': {
    text: 'A reading that is not null has the type of the port, closed lists hold only their known words, and what the port never gives as null is there.',
  },
  'GP-RANGE': { text: 'A number lies in the plausible range of the unit in its name.' },
  'GP-SPELLING': { text: 'A text is not blank and is spelled as the port says.' },
  'GP-AGREEMENT': {
    text: 'Readings that belong together agree: used and free memory fit the total, the current link does not exceed the maximum, limits are in order.',
  },
  'GP-MEMBER-UNIQUE': {
    text: 'A list names each of its members once: a fan, an ECC location, an NVLink, a peer, a MIG device or profile, a process in a MIG instance, a word.',
  },
  'GP-PEERS': { text: 'The peers in a topology are other GPUs of the node, never the GPU itself.' },
  'GP-MONOTONIC': {
    text: 'Energy, violation times and PCIe error counts do not fall from one reading to the next.',
  },
  'GP-PROFILING': {
    text: 'The first reading of the section profiling is null with not-observable gaps where it is supported, and the next one has an interval and a value.',
  },
  'GP-PROBE-TIME': { text: 'The time that a probe took, when it is told, is a duration of zero or more.' },
  'GP-NULL-GAP': { text: 'Every null leaf has exactly one gap naming it.' },
  'GP-MEMBER-GAP': {
    text: 'Nulls inside the members of a list have a gap section.leaf.member, one for each reason and not one for each member.',
  },
  'GP-GAP-NULL': {
    text: 'Every gap of a sample names something that is null: a value that was read has no gap.',
  },
  'GP-GAP-SHAPE': {
    text: 'A gap has a field, a known reason and a detail, and its gpu, when given, is the GPU that was read.',
  },
  'GP-IDENTITY': {
    text: 'The identity read from a GPU agrees with the reference under which it was described.',
  },
  'GP-CONCURRENT': { text: 'Reading all GPUs at the same time gives each GPU the readings of that GPU.' },
  'GP-FRESH': { text: 'An answer is frozen or fresh: changing one does not change the next.' },
  'GP-ERROR-CLASS': {
    text: 'A call rejects only with a GpuError that has a known code, a message and a hint.',
  },
  'GP-NOT-FOUND': { text: 'Reading a GPU index that the node does not have rejects with GPU_NOT_FOUND.' },
  'GP-ABORT-DESCRIBE': { text: 'describeNode with an aborted signal rejects with TIMEOUT within 250 ms.' },
  'GP-ABORT-READ': { text: 'readGpu with an aborted signal rejects with TIMEOUT within 250 ms.' },
  'GP-ABORT-IN-FLIGHT': {
    text: 'A read that is aborted in flight settles within 250 ms, and if it rejects then with GPU_HUNG or TIMEOUT.',
  },
  'GP-ABORT-NEXT': { text: 'The call after an aborted one works.' },
  'GP-CLOSE': { text: 'close resolves before first use, after use, and when called again.' },
  'GP-REOPEN': { text: 'A call after close opens again and sees the same GPUs.' },
  'GP-LOST': { text: 'Reading a GPU that is off its bus rejects with GPU_LOST.', needs: 'lost' },
  'GP-LOST-SIBLINGS': {
    text: 'The siblings of a lost GPU are answered, also after it was asked for.',
    needs: 'lost',
  },
  'GP-HUNG': {
    text: 'A read of a GPU on which the driver hangs rejects with GPU_HUNG within 250 ms of the abort.',
    needs: 'hung',
  },
  'GP-HUNG-SIBLINGS': {
    text: 'After the read of a hung GPU was aborted, its siblings are answered.',
    needs: 'hung',
  },
  'GP-UNREADABLE': {
    text: 'Reading a GPU that may not be opened rejects with NO_PERMISSION, RESET_REQUIRED or UNAVAILABLE.',
    needs: 'unreadable',
  },
  'GP-CRASH': {
    text: 'A read that kills the process talking to the driver rejects with ADAPTER_CRASHED, and siblings are answered afterwards.',
    needs: 'crashing',
  },
} as const satisfies Record<string, Requirement<GpuFault>>;

/**
 * Faults that a test rig can stage in a GPU. `lost`: off its bus. `hung`: the driver does not come back for it. `unreadable`: it may
 * not be opened. `crashing`: reading it kills the process that talks to the driver.
 */
export const gpuFaults = ['lost', 'hung', 'unreadable', 'crashing'] as const;
export type GpuFault = (typeof gpuFaults)[number];
export type RequirementId = keyof typeof gpuProviderRequirements;
