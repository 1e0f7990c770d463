/** What a plan is bound to, by name. Lists are spread over names: `holder 4711`, `GPU 3`. */
export type Facts = Readonly<Record<string, string | number | boolean | null>>;

/**
 * What became different, one phrase each; empty when nothing did. The old and new text of a fact is left out, as it may be the
 * machine's (a command line) and these phrases are our own.
 */
export function differences(before: Facts, after: Facts): readonly string[] {
  const names = [...new Set([...Object.keys(before), ...Object.keys(after)])];
  return names.flatMap((name) => {
    const was = before[name];
    const is = after[name];
    if (was === is) return [];
    if (was === undefined) return [`${name} is new`];
    if (is === undefined) return [`${name} is gone`];
    if (typeof was === 'string' || typeof is === 'string') return [`${name} is another`];
    return [`${name} was ${was}, is ${is}`];
  });
}
