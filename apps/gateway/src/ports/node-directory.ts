/** One agent that can be asked, as its directory knows it. */
export interface AgentNode {
  /** Of the node, unique in the directory. Untrusted as text, safe as a key. */
  readonly name: string;
  /** MCP endpoint (`http://10.0.0.7:8080/mcp`); null while there is nothing to ask yet. */
  readonly url: string | null;
  /** Of the Kubernetes node, or given with a static entry. */
  readonly labels: Readonly<Record<string, string>>;
  /** Null when the agent can be asked, else why not: `the pod has no address yet`. */
  readonly notReadyBecause: string | null;
  /** Changes when another process answers at this node: the pod's uid, or the URL. A new instance begins with a closed circuit. */
  readonly instance: string;
  /** Whether the bearer token may be sent there: true only for pods of the expected DaemonSet, and for static entries. */
  readonly mayReceiveToken: boolean;
}

export interface NodeDirectorySnapshot {
  /** By name. */
  readonly nodes: readonly AgentNode[];
  /** ISO 8601; null before the first successful read. */
  readonly readAt: string | null;
  /** Since when the source does not answer and `nodes` is the last known set, ISO 8601; null while it is current. */
  readonly staleSince: string | null;
  /** Why it is stale, or empty, in words; null when there is nothing to say. */
  readonly problem: string | null;
}

/** Where the agents are. Kept current in the background; reading it costs nothing. */
export interface NodeDirectory {
  /** Short name for answers and logs: `kubernetes`, `static`. */
  readonly kind: string;
  snapshot(): NodeDirectorySnapshot;
  /** Resolves when the first read has ended, well or not, or `signal` aborts. Never rejects. */
  settled(signal: AbortSignal): Promise<void>;
  /** Calls `listener` after every change; the result ends that. */
  onChange(listener: () => void): () => void;
  close(): Promise<void>;
}
