import { causes } from '../../packages/core/src/domain/diagnosis.ts';
import { actions, verdicts } from '../../packages/core/src/domain/verdict.ts';
import type { GoldenIncident, IncidentDocument } from './scorer.js';

/** What people really have at hand, by the names that the inputs of an incident have. */
const inputNames =
  /^(kernel\.log(\.gz)?|nvidia-smi(-before)?\.xml|nvidia-smi\.txt|topo\.txt|lspci\.txt|ps\.txt|app\.log|dcgm-diag\.json|nvidia-bug-report\.log(\.gz)?)$/;
const keys = [
  'title',
  'question',
  'expected',
  'forbidden',
  'planted',
  'maximumTokens',
  'sources',
  'why',
  'origin',
];
const notYourCodeValues = [true, false, 'undecided'];

/** What is wrong with an incident as a piece of data: its description, and whether its inputs fit together. */
export function faultsOf(incident: GoldenIncident): readonly string[] {
  return [
    ...documentFaults(incident.document),
    ...inputFaults(incident),
    ...captureFaults(incident),
    ...gpuFaults(incident),
  ];
}

function documentFaults(document: IncidentDocument): string[] {
  const { expected, forbidden = {}, question, sources, why, title, origin } = document;
  const pairs = [
    ['verdict', expected.verdict, forbidden.verdicts, verdicts],
    ['notYourCode', expected.notYourCode, forbidden.notYourCode, notYourCodeValues],
    ['cause', expected.cause, forbidden.causes, causes],
    ['action', expected.action, forbidden.actions, actions],
  ] as const;
  const listFaults = pairs.flatMap(([what, wanted, refused = [], closed]) => {
    const known: readonly unknown[] = closed;
    const expectedValues: readonly unknown[] = wanted;
    return [
      ...(wanted.length === 0 ? [`expects no ${what}`] : []),
      ...[...wanted, ...refused]
        .filter((value) => !known.includes(value))
        .map((value) => `${value} is no ${what}`),
      ...refused
        .filter((value) => expectedValues.includes(value))
        .map((value) => `${what} ${value} is both expected and forbidden`),
    ];
  });
  return [
    ...Object.keys(document)
      .filter((key) => !keys.includes(key))
      .map((key) => `unknown key ${key}`),
    ...listFaults,
    ...(title.length < 10 || title.length > 120 ? ['the title has 10 to 120 characters'] : []),
    ...(why.length < 30 ? ['why says too little'] : []),
    ...(sources.length === 0 || sources.some((source) => source.length < 5) ? ['no source'] : []),
    ...(origin === 'recorded' || origin === 'reconstructed' ? [] : [`${String(origin)} is no origin`]),
    ...(Object.keys(question).some((key) => !['gpu', 'pid', 'at'].includes(key)) ||
    Object.keys(question).length > 1
      ? ['a question is about a gpu, a pid, a moment, or nothing']
      : []),
    ...(question.at !== undefined && Number.isNaN(Date.parse(question.at)) ? ['at is no ISO time'] : []),
  ];
}

function inputFaults({ inputs, document, texts }: GoldenIncident): string[] {
  const all = [...texts.values()].join('\n');
  return [
    ...(inputs.length === 0 ? ['no inputs'] : []),
    ...inputs.filter((name) => !inputNames.test(name)).map((name) => `${name}: not a name for an input`),
    ...(document.planted ?? [])
      .filter((word) => !all.includes(word))
      .map((word) => `"${word}" is planted nowhere`),
  ];
}

const logStamp = /^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?\+00:00) /gm;

/** A capture counts its GPUs rightly, and was taken when the story says: after the log, or before for what grew. */
function captureFaults({ texts }: GoldenIncident): string[] {
  const logTimes = [...(texts.get('kernel.log') ?? '').matchAll(logStamp)].map(([, at]) =>
    Date.parse(at ?? ''),
  );
  const lastLog = Math.max(...logTimes);
  return [...texts].flatMap(([name, text]) => {
    if (!name.endsWith('.xml')) return [];
    const attached = Number(/<attached_gpus>(\d+)</.exec(text)?.[1]);
    const listed = text.match(/<gpu id=/g)?.length ?? 0;
    const takenAt = Date.parse(`${/<timestamp>([^<]+)</.exec(text)?.[1]} UTC`);
    return [
      ...(attached === listed ? [] : [`${name}: ${attached} attached GPUs, ${listed} listed`]),
      ...(Number.isNaN(takenAt) ? [`${name}: no time`] : []),
      ...(name === 'nvidia-smi.xml' && logTimes.length > 0 && takenAt < lastLog
        ? [`${name}: taken before the end of the log`]
        : []),
      ...(name === 'nvidia-smi-before.xml' && !texts.has('nvidia-smi.xml')
        ? ['nothing to compare with']
        : []),
    ];
  });
}

function gpuFaults({ document: { expected }, gpuAddresses, texts }: GoldenIncident): string[] {
  const { gpu } = expected;
  if (gpu === undefined) return [];
  if (gpuAddresses.length === 0) return ['expects a GPU, but no capture numbers them'];
  const address = typeof gpu === 'number' ? gpuAddresses[gpu] : gpu;
  if (address === undefined || !gpuAddresses.includes(address)) return [`GPU ${gpu} is not in the capture`];
  const logged = [...(texts.get('kernel.log') ?? '').matchAll(/NVRM: Xid \(PCI:([0-9a-f:]+)/g)].map(
    ([, at]) => at,
  );
  return logged.length > 0 && !logged.includes(address) ? [`the log does not name ${address}`] : [];
}
