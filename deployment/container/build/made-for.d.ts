export function writeMadeFor(blob: string, node: string): void;
