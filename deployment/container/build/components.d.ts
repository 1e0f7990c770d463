export interface Component {
  readonly name: string;
  readonly version: string;
  readonly licence: string;
  readonly text: string;
  readonly integrity?: string;
}
export function packageFolder(file: string): string;
export function componentsOf(root: string, files: readonly string[]): readonly Component[];
