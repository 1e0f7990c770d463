// A figure is a ratio measured in one run: what we need against what a peer, or the limit, needs for the same.

const sorted = (values) => values.toSorted((a, b) => a - b);

/** Linear between the two nearest ranks. */
export function quantile(values, part) {
  const ranked = sorted(values);
  const at = (ranked.length - 1) * part;
  const low = ranked[Math.floor(at)];
  return low + (ranked[Math.ceil(at)] - low) * (at - Math.floor(at));
}
export const median = (values) => quantile(values, 0.5);

/** Fewer rounds than these say nothing, and a half of all rounds that lies further apart than this part of the median neither. */
export const fewestRounds = 5;
export const widestSpread = 0.5;

/**
 * @typedef {object} Figure
 * @property {string} name what is divided by what: `image: spawn to initialize / Go kubernetes-mcp-server`
 * @property {number | undefined} ratio median of the ratios of the rounds; undefined where it is refused or was not measured
 * @property {[number, number] | undefined} spread first and third quartile
 * @property {number} rounds
 * @property {number | undefined} must what we want to show, and promise; undefined where it is told only
 * @property {number | undefined} stretch what would be better still
 * @property {number | undefined} guard the wide bound that only a regression crosses; `must` where there is none of its own
 * @property {'at most' | 'at least'} wanted on which side of `must` and `guard` it has to be
 * @property {boolean} isMet `must` is kept, or there is none
 * @property {boolean} isRegression the better quartile is beyond `guard` too: noise is no excuse
 * @property {string | undefined} refused why there is no ratio
 * @property {string} detail absolute values and what else helps to judge, in words
 */

/**
 * Of rounds that ran ours and theirs one right after the other. `pairs`: [ours, theirs] of each round.
 * @returns {Figure}
 */
export function figure({ name, pairs, must, stretch, guard = must, wanted = 'at most', detail = '' }) {
  const ratios = pairs.map(([ours, theirs]) => ours / theirs);
  const base = { name, rounds: ratios.length, must, stretch, guard, wanted, detail };
  if (ratios.length < fewestRounds)
    return notMeasured(base, `${ratios.length} rounds, fewer than ${fewestRounds}`);
  const unusable = ratios.findIndex((ratio) => !Number.isFinite(ratio) || ratio <= 0);
  if (unusable !== -1)
    return notMeasured(base, `round ${unusable + 1} is ${pairs[unusable].join(' / ')}, which is no ratio`);
  const spread = [quantile(ratios, 0.25), quantile(ratios, 0.75)];
  const ratio = median(ratios);
  const isBeyond = (value, bound) =>
    bound !== undefined && (wanted === 'at most' ? value > bound : value < bound);
  const isRegression = isBeyond(wanted === 'at most' ? spread[0] : spread[1], guard);
  const relativeSpread = (spread[1] - spread[0]) / ratio;
  if (relativeSpread > widestSpread)
    return {
      ...notMeasured(base, `too noisy: half of the rounds lie ${Math.round(relativeSpread * 100)} % apart`),
      isRegression,
      spread,
    };
  return { ...base, ratio, spread, isMet: !isBeyond(ratio, must), isRegression, refused: undefined };
}

/** Of a quantity that does not vary, such as a size in bytes. */
export const exactFigure = ({ ours, theirs, ...rest }) =>
  figure({ ...rest, pairs: Array.from({ length: fewestRounds }, () => [ours, theirs]) });

/** A figure that could not be had on this machine. It is no regression, and it is not met. */
export const notMeasured = (
  { name, must, rounds = 0, stretch = undefined, guard = must, wanted = 'at most', detail = '' },
  refused,
) => ({
  ...{ name, must, stretch, guard, wanted, detail, rounds },
  ...{ ratio: undefined, spread: undefined, isMet: false, isRegression: false, refused },
});
