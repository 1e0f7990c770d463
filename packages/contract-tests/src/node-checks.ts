import {
  formatPciAddress,
  gpuSections,
  type NodeDescription,
  type ProviderManifest,
  parsePciAddress,
} from '@k8s-gpu-mcp/core';
import { isText, keyFaults, list, type Problems, record, show } from './inspect.ts';

const nodeTexts = ['driverVersion', 'libraryVersion', 'computeApiVersion', 'driverBranch'] as const;
const nodeFacts = [...nodeTexts, 'confidentialComputingEnabled'] as const;

export function findNodeShapeFaults(node: NodeDescription): Problems {
  const answer = record(node);
  const problems = [...keyFaults('node', node, [...nodeFacts, 'gpus', 'gaps'])];
  for (const key of ['gpus', 'gaps'])
    if (!Array.isArray(answer[key])) problems.push(`node.${key}: not a list`);
  const textOrNull = (path: string, value: unknown) => {
    if (value !== null && value !== undefined && !isText(value)) problems.push(`${path}: ${show(value)}`);
  };
  for (const key of nodeTexts) textOrNull(`node.${key}`, answer[key]);
  const confidential = answer['confidentialComputingEnabled'];
  if (confidential !== null && confidential !== undefined && typeof confidential !== 'boolean')
    problems.push(`node.confidentialComputingEnabled: ${show(confidential)} is not a boolean`);
  list(answer['gpus']).forEach((gpu, position) => {
    const path = `node.gpus[${position}]`;
    problems.push(...keyFaults(path, gpu, ['index', 'uuid', 'pciAddress', 'name']));
    for (const key of ['uuid', 'pciAddress', 'name']) textOrNull(`${path}.${key}`, record(gpu)[key]);
    if (!Number.isInteger(record(gpu)['index'])) problems.push(`${path}.index: not a whole number`);
  });
  return problems;
}

export function findNodeGapFaults(node: NodeDescription): Problems {
  const problems: string[] = [];
  for (const key of nodeFacts) {
    const count = node.gaps.filter((gap) => gap.field === key).length;
    const expected = node[key] === null ? 1 : 0;
    if (count !== expected) problems.push(`${key}: ${show(node[key])} with ${count} gaps`);
  }
  for (const gpu of node.gpus) {
    const incomplete = gpu.uuid === null || gpu.pciAddress === null || gpu.name === null;
    if (incomplete && !node.gaps.some((gap) => gap.gpu === gpu.index)) {
      problems.push(`GPU ${gpu.index}: something is null, but no gap has its index`);
    }
  }
  return problems;
}

export function findRepeatedGpus(node: NodeDescription): Problems {
  return (['uuid', 'pciAddress'] as const).flatMap((key) => {
    const known = node.gpus.map((gpu) => gpu[key]).filter((value) => value !== null);
    return known.filter((value, at) => known.indexOf(value) < at).map((value) => `${key} ${value} repeats`);
  });
}

export function findPciFaults(node: NodeDescription): Problems {
  return node.gpus.flatMap(({ pciAddress }) => {
    if (pciAddress === null) return [];
    const parsed = parsePciAddress(pciAddress);
    return parsed && formatPciAddress(parsed) === pciAddress ? [] : [`${show(pciAddress)} is not canonical`];
  });
}

export function findManifestFaults(manifest: ProviderManifest): Problems {
  const problems = [
    ...keyFaults('manifest', manifest, [
      'contractVersion',
      'backend',
      'vendor',
      'simulated',
      'sections',
      'mig',
    ]),
  ];
  const found = record(manifest);
  if (found['contractVersion'] !== 1)
    problems.push(`contractVersion: ${show(found['contractVersion'])}, not 1`);
  if (!/^[a-z][a-z0-9-]{0,31}$/.test(String(found['backend'])))
    problems.push(`backend: ${show(found['backend'])}`);
  if (!isText(found['vendor'])) problems.push(`vendor: ${show(found['vendor'])}`);
  for (const key of ['simulated', 'mig']) {
    if (typeof found[key] !== 'boolean') problems.push(`${key}: ${show(found[key])} is not a boolean`);
  }
  const sections = list(found['sections']);
  if (sections.length === 0) problems.push('sections: none');
  for (const section of sections) {
    if (!gpuSections.some((known) => known === section)) problems.push(`sections: unknown ${show(section)}`);
  }
  if (new Set(sections).size < sections.length) problems.push('sections: one is named twice');
  return problems;
}
