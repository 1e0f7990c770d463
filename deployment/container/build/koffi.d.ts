export function nativePackage(architecture: string): { readonly name: string; readonly file: string };
export function copyKoffi(from: string, to: string, architecture: string): readonly string[];
