/** An agent that an operator named, checked. */
export interface StaticAgent {
  readonly name: string;
  /** Complete: `http://10.0.0.7:8080/mcp`. */
  readonly url: string;
  readonly labels: Readonly<Record<string, string>>;
}

/** What is wrong with a list of agents, in our words: which entry, and which rule. It repeats nothing out of the list. */
export class AgentListError extends Error {
  override readonly name = 'AgentListError';
}

/** As many nodes as the largest cluster that Kubernetes supports. */
export const maximumStaticAgents = 5_000;
export const maximumAgentLabels = 256;

/** Length of a DNS name. The first character keeps `__proto__` and the like out of the keys. */
const nodeName = /^[A-Za-z0-9][A-Za-z0-9._-]{0,252}$/;
/** Kubernetes: an optional prefix of 253 characters, a slash, a name of 63. */
const labelKey = /^[A-Za-z0-9][A-Za-z0-9._/-]{0,316}$/;
const labelValue = /^[A-Za-z0-9._-]{0,63}$/;
const visibleAscii = /^[\x21-\x7e]{1,2048}$/;

/** Returns the URL to ask, or the broken rule. A URL without a path is completed to `/mcp`. */
function agentUrl(text: string): { readonly url: string } | { readonly problem: string } {
  if (!/^https?:\/\//i.test(text)) return { problem: 'the URL must begin with http:// or https://' };
  if (!visibleAscii.test(text) || text.includes('\\') || !URL.canParse(text)) {
    return { problem: 'the URL is not valid' };
  }
  const url = new URL(text);
  if (url.username !== '' || url.password !== '') {
    return { problem: 'the URL must not carry a user name or password' };
  }
  if (text.includes('?') || text.includes('#')) {
    return { problem: 'the URL must not have a query or a fragment' };
  }
  if (url.pathname === '/') url.pathname = '/mcp';
  return { url: url.href };
}

function brokenLabels(labels: Readonly<Record<string, string>>): string | null {
  const entries = Object.entries(labels);
  if (entries.length > maximumAgentLabels) return `more than ${maximumAgentLabels} labels`;
  for (const [key, value] of entries) {
    if (!labelKey.test(key)) return 'a label has a key that is not valid';
    if (!labelValue.test(value)) return 'a label has a value that is not valid';
  }
  return null;
}

/** Takes agents one by one, so that a fault can be put down to the entry it is in. */
export interface AgentListBuilder {
  readonly agents: readonly StaticAgent[];
  /**
   * @param where names the entry: `entry 3 (line 7)`.
   * @throws AgentListError when the entry breaks a rule or repeats another one's name or URL.
   */
  add(where: string, name: string, url: string, labels?: Readonly<Record<string, string>>): void;
}

export function createAgentList(): AgentListBuilder {
  const agents: StaticAgent[] = [];
  const names = new Map<string, string>();
  const urls = new Map<string, string>();
  return {
    agents,
    add(where, name, url, labels = {}) {
      const refuse = (problem: string) => new AgentListError(`${where}: ${problem}`);
      if (agents.length === maximumStaticAgents) throw refuse(`more than ${maximumStaticAgents} agents`);
      if (!nodeName.test(name)) {
        throw refuse('the name must be 1 to 253 letters, digits, dots, dashes or underscores');
      }
      const checked = agentUrl(url);
      if ('problem' in checked) throw refuse(checked.problem);
      const labelProblem = brokenLabels(labels);
      if (labelProblem !== null) throw refuse(labelProblem);
      const sameName = names.get(name);
      if (sameName !== undefined) throw refuse(`the name is that of ${sameName}`);
      const sameUrl = urls.get(checked.url);
      if (sameUrl !== undefined) throw refuse(`the URL is that of ${sameUrl}`);
      names.set(name, where);
      urls.set(checked.url, where);
      const ownLabels: Record<string, string> = Object.create(null);
      agents.push({ name, url: checked.url, labels: Object.freeze(Object.assign(ownLabels, labels)) });
    },
  };
}

/**
 * `NAME=URL,NAME=URL`, the value of one `--agents` flag. `previous` is what earlier flags gave, so that a repeated flag adds to it.
 * @throws AgentListError
 */
export function parseAgentList(text: string, previous: readonly StaticAgent[] = []): readonly StaticAgent[] {
  const list = createAgentList();
  let number = 0;
  for (const { name, url, labels } of previous) list.add(`entry ${++number}`, name, url, labels);
  const parts = text.split(',', maximumStaticAgents + 1);
  for (const [index, part] of parts.entries()) {
    const entry = part.trim();
    if (entry === '' && index === parts.length - 1 && index > 0) break;
    const where = `entry ${++number}`;
    const equals = entry.indexOf('=');
    if (equals === -1) throw new AgentListError(`${where}: write NAME=URL`);
    list.add(where, entry.slice(0, equals).trim(), entry.slice(equals + 1).trim());
  }
  return list.agents;
}
