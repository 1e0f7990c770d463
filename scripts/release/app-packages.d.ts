export function stageApps(root: string, folder: string): Promise<void>;
export function appPackageProblems(folder: string, paths: readonly string[]): readonly string[];
