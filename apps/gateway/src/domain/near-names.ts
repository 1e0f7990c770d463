/**
 * How many insertions, deletions and replacements turn one text into the other, as long as that is at most `limit`; else undefined.
 * Works on a band round the diagonal: time grows with length times limit.
 */
export function boundedEditDistance(left: string, right: string, limit: number): number | undefined {
  if (Math.abs(left.length - right.length) > limit) return undefined;
  const far = limit + 1;
  let previous = Array.from({ length: right.length + 1 }, (_, column) => Math.min(column, far));
  for (let row = 1; row <= left.length; row += 1) {
    const current = new Array<number>(right.length + 1).fill(far);
    if (row <= limit) current[0] = row;
    const from = Math.max(1, row - limit);
    const to = Math.min(right.length, row + limit);
    let best = current[0] ?? far;
    for (let column = from; column <= to; column += 1) {
      const replaced = (previous[column - 1] ?? far) + (left[row - 1] === right[column - 1] ? 0 : 1);
      const distance = Math.min(
        replaced,
        (previous[column] ?? far) + 1,
        (current[column - 1] ?? far) + 1,
        far,
      );
      current[column] = distance;
      best = Math.min(best, distance);
    }
    if (best > limit) return undefined;
    previous = current;
  }
  const distance = previous[right.length] ?? far;
  return distance > limit ? undefined : distance;
}

/** At most `maximum` of `names` that somebody who wrote `asked` may have meant, best first. */
export function nearNames(asked: string, names: readonly string[], maximum: number): readonly string[] {
  if (asked.length === 0 || asked.length > 253) return [];
  const wanted = asked.toLowerCase();
  const limit = Math.min(3, Math.max(1, Math.floor(wanted.length / 3)));
  const near: { name: string; distance: number }[] = [];
  for (const name of names) {
    const other = name.slice(0, 253).toLowerCase();
    // The short name for the full one, or the other way round.
    const isShortened = other.startsWith(`${wanted}.`) || wanted.startsWith(`${other}.`);
    const distance = isShortened ? 0 : boundedEditDistance(wanted, other, limit);
    if (distance !== undefined) near.push({ name, distance });
  }
  return near
    .sort((a, b) => a.distance - b.distance || (a.name < b.name ? -1 : 1))
    .slice(0, maximum)
    .map(({ name }) => name);
}
