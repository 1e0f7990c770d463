import { GpuError, quarantine } from '@k8s-gpu-mcp/core';

type Labels = Readonly<Record<string, string>>;
/** Whether the labels meet every requirement of a selector. */
export type LabelSelector = (labels: Labels) => boolean;

const maximumLength = 4_096;
const maximumRequirements = 64;
const maximumValues = 256;
const labelName = /^[A-Za-z0-9](?:[-A-Za-z0-9_.]*[A-Za-z0-9])?$/;
const subdomain = /^[a-z0-9](?:[-a-z0-9.]*[a-z0-9])?$/;
const operators = new Set(['=', '==', '!=', 'in', 'notin', '<', '>']);

/**
 * The label selector grammar of Kubernetes (documentation "Labels and Selectors"; apimachinery pkg/labels): `key`, `!key`, `key=value`,
 * `key==value`, `key!=value`, `key in (a,b)`, `key notin (a,b)`, `key>1`, `key<1`, joined by commas that mean and. A key that is missing
 * meets `!=` and `notin`.
 * @throws GpuError INVALID_INPUT
 */
export function parseLabelSelector(text: string): LabelSelector {
  if (text.length > maximumLength) {
    throw invalid(`is longer than ${maximumLength} characters`, text);
  }
  const tokens = text.match(/[<>(),]|!=|==|=|!|[^\s<>(),=!]+/g) ?? [];
  const requirements: LabelSelector[] = [];
  let at = 0;
  for (;;) {
    if (requirements.length >= maximumRequirements) {
      throw invalid(`has more than ${maximumRequirements} requirements`, text);
    }
    requirements.push(requirement());
    if (at === tokens.length) break;
    if (tokens[at] !== ',') throw invalid(`has ${shown(tokens[at])} where a comma should be`, text);
    at += 1;
  }
  return (labels) => requirements.every((meets) => meets(labels));

  function requirement(): LabelSelector {
    const isAbsence = tokens[at] === '!';
    if (isAbsence) at += 1;
    const key = tokens[at] ?? '';
    if (!isLabelKey(key)) throw invalid(`has ${shown(key)} where a label key should be`, text);
    at += 1;
    if (isAbsence) return (labels) => !Object.hasOwn(labels, key);
    const operator = tokens[at];
    if (operator === undefined || operator === ',') return (labels) => Object.hasOwn(labels, key);
    if (!operators.has(operator)) {
      throw invalid(`has ${shown(operator)} where an operator should be`, text);
    }
    at += 1;
    if (operator === 'in' || operator === 'notin') {
      const values = valueSet();
      return (labels) =>
        Object.hasOwn(labels, key)
          ? values.has(labels[key] ?? '') === (operator === 'in')
          : operator === 'notin';
    }
    const wanted = value();
    if (operator === '<' || operator === '>') {
      const bound = integer(wanted);
      if (bound === undefined) throw invalid(`compares with ${shown(wanted)}, which is not an integer`, text);
      return (labels) => {
        const has = Object.hasOwn(labels, key) ? integer(labels[key] ?? '') : undefined;
        return has !== undefined && (operator === '<' ? has < bound : has > bound);
      };
    }
    return (labels) => (Object.hasOwn(labels, key) && labels[key] === wanted) === (operator !== '!=');
  }

  /** An absent value is the empty one: `key=`. */
  function value(): string {
    const next = tokens[at];
    if (next === undefined || next === ',' || next === ')') return '';
    if (next.length > 63 || !labelName.test(next)) {
      throw invalid(`has ${shown(next)} where a label value should be`, text);
    }
    at += 1;
    return next;
  }

  function valueSet(): ReadonlySet<string> {
    if (tokens[at] !== '(') throw invalid('lacks the parenthesis after in or notin', text);
    const values = new Set<string>();
    do {
      at += 1;
      values.add(value());
      if (values.size > maximumValues) throw invalid(`has more than ${maximumValues} values`, text);
    } while (tokens[at] === ',');
    if (tokens[at] !== ')') throw invalid('lacks a closing parenthesis', text);
    at += 1;
    return values;
  }
}

function isLabelKey(key: string): boolean {
  const slash = key.indexOf('/');
  const name = key.slice(slash + 1);
  if (name.length > 63 || !labelName.test(name)) return false;
  if (slash === -1) return true;
  const prefix = key.slice(0, slash);
  return prefix.length <= 253 && subdomain.test(prefix);
}

function integer(text: string): bigint | undefined {
  return /^-?\d{1,19}$/.test(text) ? BigInt(text) : undefined;
}

const shown = (token: string | undefined) =>
  token === undefined || token === '' ? 'nothing' : `"${quarantine(token, 63)}"`;

function invalid(problem: string, selector: string): GpuError {
  return new GpuError('INVALID_INPUT', `the node selector "${quarantine(selector, 120)}" ${problem}`, {
    hint: 'Write labels as Kubernetes does: gpu=h100,zone!=a or key in (a,b) or key or !key.',
  });
}
