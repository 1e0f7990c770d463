export declare const agentFlags: readonly string[];
