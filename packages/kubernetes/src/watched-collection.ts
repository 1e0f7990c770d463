import type { KubernetesObject } from './kubernetes-api.ts';

/** A collection of the API, kept current in memory by list and watch. See `watchCollection`. */
export interface WatchedCollection {
  /** By namespace and name. */
  readonly items: readonly KubernetesObject[];
  /** Since when the server does not answer, so that `items` is the last known set; ISO 8601. Null while current. */
  readonly staleSince: string | null;
  /** Time of the last complete list or of the last event, ISO 8601; null before the first list. */
  readonly currentAt: string | null;
  /** Why it is stale, in words; null while current. */
  readonly problem: string | null;
  /** Resolves when the first list has ended, well or not, or `signal` aborts. Never rejects. */
  settled(signal: AbortSignal): Promise<void>;
  onChange(listener: () => void): () => void;
  close(): void;
}
