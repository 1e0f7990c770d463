export type SmiTree = Readonly<Record<string, unknown>>;
export function parseQuery(text: string): { readonly node: SmiTree; readonly gpus: readonly SmiTree[] };
export function textAt(tree: SmiTree, path: string): string | undefined;
export function firstTextAt(tree: SmiTree, paths: string | readonly string[]): string | undefined;
export function isAbsent(text: string | undefined): boolean;
export function parseCsv(text: string): readonly Readonly<Record<string, string | undefined>>[];
export function parseTopology(
  text: string,
): readonly { readonly index: number; readonly cells: Readonly<Record<string, string>> }[];
