// Compares one answer with what an incident expects, and with what every answer owes. Pure: no files, no processes.

/** A token counted as four bytes of compact JSON. */
const bytesPerToken = 4;
const defaultTokens = 2_500;

/** Text of a log may stand in these fields of an answer, and in no other. */
const untrustedFields = new Set(['raw', 'processes', 'name', 'processName', 'decoded']);
/** Identifiers that a log and an answer rightly share. */
const identifier = /GPU-[0-9a-f-]{8,36}|MIG-[0-9a-f-]{8,36}/g;
/** So much of a log line, letter by letter, is no coincidence. */
const windowLength = 24;
/** What driver and CUDA call these events, in fixed words that are everybody's: terms of art, nobody's text. */
const termsOfArt = /GPU has fallen off the bus|uncorrectable ECC errors?/gi;

/**
 * @param {import('./scorer.js').GoldenIncident} incident
 * @param {Record<string, any>} answer what `analyze --json` printed
 * @returns {import('./judge.js').Judgement}
 */
export function judge(incident, answer) {
  const { expected, forbidden = {}, planted = [], maximumTokens = defaultTokens } = incident.document;
  const given = {
    verdict: answer.verdict,
    notYourCode: answer.notYourCode,
    cause: answer.cause,
    action: answer.nextSteps?.[0]?.action ?? (answer.verdict === 'ok' ? 'none' : undefined),
  };
  const wrong = [];
  const right = {};
  for (const what of ['verdict', 'notYourCode', 'cause', 'action']) {
    right[what] = expected[what].includes(given[what]);
    if (!right[what]) wrong.push(`${what}: expected ${expected[what].join(' or ')}, given ${given[what]}`);
  }
  if (expected.gpu !== undefined) {
    const index = answer.gpu ?? answer.findings?.[0]?.gpu ?? answer.hypotheses?.[0]?.gpu;
    const wanted = indexOf(incident, expected.gpu);
    if (index !== wanted) wrong.push(`gpu: expected ${expected.gpu} (index ${wanted}), given ${index}`);
  }
  const forbiddenConclusions = [
    ...met('verdict', forbidden.verdicts, given.verdict),
    ...met('notYourCode', forbidden.notYourCode, given.notYourCode),
    ...met('cause', forbidden.causes, given.cause),
    ...met('action', forbidden.actions, given.action),
  ];
  const tokens = Math.ceil(Buffer.byteLength(JSON.stringify(answer)) / bytesPerToken);
  const contract = [
    ...(tokens > maximumTokens ? [`${tokens} tokens, at most ${maximumTokens}`] : []),
    ...actionFaults(answer),
    ...citationFaults(answer, incident),
    ...leaks(answer, incident.logText, planted),
  ];
  return { given, right, wrong, forbiddenConclusions, contract, tokens };
}

/** @param {import('./judge.js').Judgement} judgement */
export const isRight = ({ wrong, forbiddenConclusions, contract }) =>
  wrong.length + forbiddenConclusions.length + contract.length === 0;

const met = (what, list = [], value) => (list.includes(value) ? [`forbidden ${what}: ${String(value)}`] : []);

function indexOf({ gpuAddresses }, gpu) {
  return typeof gpu === 'number' ? gpu : gpuAddresses.indexOf(gpu);
}

function actionFaults({ verdict, findings = [], nextSteps = [] }) {
  const [first] = nextSteps;
  if (!first) return verdict === 'ok' ? [] : ['no next step'];
  const [finding] = findings;
  if (finding && finding.action !== first.action)
    return [`next step is ${first.action}, but the first finding says ${finding.action}`];
  return [];
}

/** Every finding of a log names file and line, and every citation of an answer points at something. */
function citationFaults({ findings = [], hypotheses = [], incidents = [] }, { lineCounts }) {
  const faults = [];
  for (const { ruleId, evidence = [] } of findings) {
    const isOfLog = /^log\./.test(ruleId ?? '') || evidence.some(({ field }) => /^kernelLog/.test(field));
    const isCited = evidence.some(({ file, line }) => file !== undefined && Number.isInteger(line));
    if (isOfLog && !isCited) faults.push(`${ruleId} cites no line of a file`);
  }
  const citations = [
    ...findings.flatMap(({ evidence = [] }) => evidence),
    ...hypotheses.flatMap(({ supports = [], contradicts = [] }) => [...supports, ...contradicts]),
    ...incidents.flatMap(({ citations = [] }) => citations),
  ];
  for (const { file, line } of citations) {
    if (file === undefined) continue;
    const count = lineCounts.get(file);
    if (count === undefined) faults.push(`cites ${file}, which is no input`);
    else if (!Number.isInteger(line) || line < 1 || line > count)
      faults.push(`cites line ${line} of ${file}, which has ${count}`);
  }
  return [...new Set(faults)];
}

/** Text of the logs outside the fields made for it. */
function leaks(answer, logText, planted) {
  const strings = ownWords(answer);
  const faults = [];
  for (const word of planted)
    for (const [path, text] of strings)
      if (text.includes(word)) faults.push(`${path} holds "${word}" out of an input`);
  const windows = new Map();
  for (const [path, text] of strings)
    for (let at = 0; at + windowLength <= text.length; at += 1)
      windows.set(text.slice(at, at + windowLength), path);
  const seen = new Set();
  for (const line of new Set(logText.split('\n')))
    for (let at = 0; at + windowLength <= line.length; at += 1) {
      const path = windows.get(line.slice(at, at + windowLength));
      if (path === undefined || seen.has(path)) continue;
      seen.add(path);
      faults.push(`${path} holds "${line.slice(at, at + windowLength)}" out of a log`);
    }
  return faults;
}

/** Every string of an answer with its path, but those in the fields for untrusted text. */
function ownWords(value, path = '', found = []) {
  if (typeof value === 'string') found.push([path, value.replace(identifier, '').replace(termsOfArt, '')]);
  else if (Array.isArray(value)) for (const each of value) ownWords(each, `${path}[]`, found);
  else if (value !== null && typeof value === 'object')
    for (const [key, each] of Object.entries(value))
      if (!untrustedFields.has(key)) ownWords(each, path === '' ? key : `${path}.${key}`, found);
  return found;
}
