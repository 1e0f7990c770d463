export interface PackedPackage {
  readonly name: string;
  readonly version: string;
  readonly file: string;
  readonly integrity: string;
}
export function packPackages(root: string, staged: string, out: string): readonly PackedPackage[];
