import { CST, isMap, isNode, isScalar, isSeq, Lexer, LineCounter, parseDocument, type YAMLMap } from 'yaml';
import { AgentListError, createAgentList, maximumAgentLabels, type StaticAgent } from './agent-list.ts';

/** More would not be read in a moment. A ConfigMap holds at most twice that. */
export const maximumFileBytes = 512 * 1024;
const maximumTokens = 200_000;
const maximumDepth = 8;

/**
 * Refuses text that would cost the parser a fortune, by its tokens alone: a million opening brackets end the process, a million faults
 * fill its memory.
 */
function refuseCostlyText(text: string): void {
  let tokens = 0;
  let open = 0;
  let inLine = 0;
  for (const token of new Lexer().lex(text)) {
    tokens += 1;
    const type = CST.tokenType(token);
    if (type === 'newline') inLine = 0;
    else if (type === 'flow-seq-start' || type === 'flow-map-start') open += 1;
    else if (type === 'flow-seq-end' || type === 'flow-map-end') open -= 1;
    else if (open === 0 && (type === 'seq-item-ind' || type === 'explicit-key-ind')) inLine += 1;
    else if (open === 0 && type === 'map-value-ind') inLine += 1;
    if (open < 0) throw new AgentListError('a bracket closes that none opened');
    if (open > maximumDepth || inLine > maximumDepth) throw new AgentListError('lists nest too deep');
    if (tokens > maximumTokens) throw new AgentListError('too many parts for a list of agents');
  }
}

/** The text of a scalar; null for everything else, an alias included. */
const textOf = (node: unknown): string | null =>
  isScalar(node) && typeof node.value === 'string' ? node.value : null;

/** Key and value of each pair. Throws our words for what a list of agents has no use for. */
function* fieldsOf(map: YAMLMap, most: number): Generator<readonly [string, unknown]> {
  if (map.items.length > most) throw new AgentListError(`more than ${most} fields`);
  const seen = new Set<string>();
  for (const { key, value } of map.items) {
    const name = textOf(key);
    if (name === null) throw new AgentListError('a field name is not text');
    if (seen.has(name)) throw new AgentListError('a field is given twice');
    seen.add(name);
    yield [name, value];
  }
}

function labelsOf(node: unknown): Record<string, string> {
  if (!isMap(node)) throw new AgentListError('labels must be names with text values');
  const labels: Record<string, string> = Object.create(null);
  for (const [name, value] of fieldsOf(node, maximumAgentLabels)) {
    const text = textOf(value);
    if (text === null) throw new AgentListError('a label value is not text');
    labels[name] = text;
  }
  return labels;
}

function entryOf(node: unknown): { name: string; url: string; labels: Record<string, string> } {
  if (!isMap(node)) throw new AgentListError('an entry has the fields name, url and, if wanted, labels');
  let name: string | null = null;
  let url: string | null = null;
  let labels: Record<string, string> = {};
  for (const [field, value] of fieldsOf(node, 16)) {
    if (field === 'name') name = textOf(value);
    else if (field === 'url') url = textOf(value);
    else if (field === 'labels') labels = labelsOf(value);
    else throw new AgentListError('only the fields name, url and labels are known');
  }
  if (name === null || name === '') throw new AgentListError('the name is missing or not text');
  if (url === null || url === '') throw new AgentListError('the URL is missing or not text');
  return { name, url, labels };
}

/**
 * Reads a list of `{name, url, labels?}` in JSON or YAML. Every value is text, so `yes` and `8` need no quotes; aliases, tags with a
 * meaning and a second document are not read.
 * @throws AgentListError naming the line and the entry, without a word out of the file.
 */
export function parseAgentsFile(text: string): readonly StaticAgent[] {
  if (text.length > maximumFileBytes) throw new AgentListError(`more than ${maximumFileBytes / 1024} KiB`);
  refuseCostlyText(text);
  const lineCounter = new LineCounter();
  const lineOf = (offset: number) => lineCounter.linePos(offset).line;
  // `failsafe`: only lists, maps and text. Duplicate keys are found here, since the parser's own search takes quadratic time.
  const document = parseDocument(text, {
    schema: 'failsafe',
    uniqueKeys: false,
    prettyErrors: false,
    logLevel: 'error',
    lineCounter,
  });
  const fault = document.errors[0];
  if (fault) throw new AgentListError(`line ${lineOf(fault.pos[0])}: neither valid YAML nor JSON`);
  const { contents } = document;
  if (contents === null || (isScalar(contents) && contents.value === '')) {
    throw new AgentListError('it is empty; write [] to say that there are no agents');
  }
  if (!isSeq(contents)) throw new AgentListError('line 1: a list of {name, url} is wanted');
  const list = createAgentList();
  for (const [index, item] of contents.items.entries()) {
    const offset = isNode(item) ? item.range?.[0] : undefined;
    const where = `entry ${index + 1}${offset === undefined ? '' : ` (line ${lineOf(offset)})`}`;
    let entry: ReturnType<typeof entryOf>;
    try {
      entry = entryOf(item);
    } catch (error) {
      throw error instanceof AgentListError ? new AgentListError(`${where}: ${error.message}`) : error;
    }
    list.add(where, entry.name, entry.url, entry.labels);
  }
  return list.agents;
}
