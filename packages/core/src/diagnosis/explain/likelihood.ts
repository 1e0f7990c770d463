import type { Cause } from '../../domain/diagnosis.ts';
import { bySpecificity, causeCatalogue } from './cause-catalogue.ts';
import { nodeSubject, type Sign, type Subject, subjectKey } from './sign.ts';

/** The vendor's words about one hypothesis, together, count for no more than this. */
const authoritativeLimit = 60;
/** Everything else together, for signs are seldom independent of each other; and beside the vendor's word. */
const otherLimit = 30;
const besideAuthoritativeLimit = 10;
/** What speaks against one hypothesis. */
const againstLimit = 12;
/** A hostile log can name any number of devices. */
const maximumHypotheses = 32;

/** A cause of a GPU (or of the node), with all that was seen for and against it. */
export interface WeighedHypothesis {
  readonly cause: Cause;
  /** Every subject with a sign for it; several only where the cause is shared. */
  readonly subjects: readonly Subject[];
  /** Strongest first; one for each indicator and subject. */
  readonly supports: readonly Sign[];
  readonly contradicts: readonly Sign[];
  readonly isAuthoritative: boolean;
  readonly isHearsay: boolean;
  /** Decibans. */
  readonly score: number;
  /** Whole; all together 100. */
  readonly likelihoodPercent: number;
}

/**
 * Signs to likelihoods. Each hypothesis starts from the prior of its cause; each indicator adds its decibans once, within limits; the scores
 * of all hypotheses, `unknown` among them, are made shares that add up to 100. The order of the signs does not matter.
 */
export function weigh(signs: readonly Sign[]): readonly WeighedHypothesis[] {
  const groups = new Map<string, Sign[]>();
  for (const sign of signs) {
    const key = `${sign.cause} ${causeCatalogue[sign.cause].scope === 'shared' ? '' : subjectKey(sign.subject)}`;
    const group = groups.get(key);
    if (group) group.push(sign);
    else groups.set(key, [sign]);
  }
  const known = [...groups.values()]
    .filter((group) => group.some(({ decibans }) => decibans > 0))
    .map(scored)
    .sort(byScore)
    .slice(0, maximumHypotheses - 1);
  const all = [...known, unknownHypothesis].sort(byScore);
  const percents = percentagesOf(all.map(({ score }) => score));
  return all.map((hypothesis, position) => ({
    ...hypothesis,
    likelihoodPercent: percents[position] ?? 0,
  }));
}

const unknownHypothesis: WeighedHypothesis = {
  cause: 'unknown',
  subjects: [nodeSubject],
  supports: [],
  contradicts: [],
  isAuthoritative: false,
  isHearsay: false,
  score: causeCatalogue.unknown.priorDecibans,
  likelihoodPercent: 0,
};

function scored(group: readonly Sign[]): WeighedHypothesis {
  const [{ cause } = { cause: 'unknown' as const }] = group;
  const ordered = group.toSorted(byWeight);
  const supports = ordered.filter(({ decibans }) => decibans > 0);
  const contradicts = ordered.filter(({ decibans }) => decibans < 0).reverse();
  const authoritative = sumOf(supports.filter((sign) => sign.authoritative));
  const other = sumOf(supports.filter((sign) => !sign.authoritative));
  const against = -sumOf(contradicts);
  const support =
    authoritative > 0
      ? Math.min(authoritative, authoritativeLimit) + Math.min(other, besideAuthoritativeLimit)
      : Math.min(other, otherLimit);
  return {
    cause,
    subjects: subjectsOf(supports),
    supports,
    contradicts,
    isAuthoritative: authoritative > 0,
    isHearsay: supports.every((sign) => sign.hearsay === true),
    score: causeCatalogue[cause].priorDecibans + support - Math.min(against, againstLimit),
    likelihoodPercent: 0,
  };
}

/** Each indicator once, with its strongest sign. */
function sumOf(signs: readonly Sign[]): number {
  const strongest = new Map<string, number>();
  for (const { indicator, decibans } of signs) {
    const before = strongest.get(indicator) ?? 0;
    strongest.set(indicator, Math.abs(decibans) > Math.abs(before) ? decibans : before);
  }
  return [...strongest.values()].reduce((sum, decibans) => sum + decibans, 0);
}

function subjectsOf(signs: readonly Sign[]): readonly Subject[] {
  const subjects = new Map(signs.map(({ subject }) => [subjectKey(subject), subject]));
  return [...subjects.values()].sort(bySubject);
}

const textOrder = (a: string, b: string) => (a < b ? -1 : a > b ? 1 : 0);

const bySubject = (a: Subject, b: Subject) =>
  (a.gpu ?? Number.POSITIVE_INFINITY) === (b.gpu ?? Number.POSITIVE_INFINITY)
    ? textOrder(subjectKey(a), subjectKey(b))
    : (a.gpu ?? Number.POSITIVE_INFINITY) - (b.gpu ?? Number.POSITIVE_INFINITY);

/** A total order, so that the order in which signs came does not show. */
const byWeight = (a: Sign, b: Sign) =>
  b.decibans - a.decibans ||
  (b.at ?? 0) - (a.at ?? 0) ||
  textOrder(a.indicator, b.indicator) ||
  bySubject(a.subject, b.subject) ||
  textOrder(JSON.stringify(a.evidence), JSON.stringify(b.evidence));

/** Likeliest first; of equals the vendor's word, then the cause that says most. */
const byScore = (a: WeighedHypothesis, b: WeighedHypothesis) =>
  b.score - a.score ||
  Number(b.isAuthoritative) - Number(a.isAuthoritative) ||
  bySpecificity.indexOf(a.cause) - bySpecificity.indexOf(b.cause) ||
  bySubject(a.subjects[0] ?? nodeSubject, b.subjects[0] ?? nodeSubject);

/** Scores in decibans to whole percentages that add up to 100: largest remainder, the first of equals. */
export function percentagesOf(scores: readonly number[]): readonly number[] {
  const highest = Math.max(...scores);
  const weights = scores.map((score) => 10 ** ((score - highest) / 10));
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  const exact = weights.map((weight) => (weight / total) * 100);
  const whole = exact.map(Math.floor);
  const missing = 100 - whole.reduce((sum, percent) => sum + percent, 0);
  const remainders = exact
    .map((percent, position) => ({ position, rest: percent - Math.floor(percent) }))
    .sort((a, b) => b.rest - a.rest || a.position - b.position);
  for (const { position } of remainders.slice(0, missing)) whole[position] = (whole[position] ?? 0) + 1;
  return whole;
}
