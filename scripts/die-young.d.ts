export declare function withoutAssignedFunctions(source: string): string;
export declare function withSharedAccessors(source: string): string;
