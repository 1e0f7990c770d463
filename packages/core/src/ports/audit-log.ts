/** One attempt to change something, refused or done. */
export interface AuditRecord {
  /** ISO 8601. */
  readonly at: string;
  /** Who asked: the name of the token, or of the local session. */
  readonly caller: string;
  readonly tool: string;
  readonly node: string;
  readonly phase: 'plan' | 'confirm' | 'act' | 'verify';
  readonly outcome: 'planned' | 'refused' | 'declined' | 'done' | 'failed';
  readonly planId?: string;
  /** What the plan is about: pid and start time, or the GPUs. */
  readonly target: Readonly<Record<string, unknown>>;
  readonly detail: string;
}

/** The port to the record of what was done and who asked. */
export interface AuditLog {
  /** Resolves once it is written; rejects when it cannot be, and then nothing must be done. */
  record(entry: AuditRecord): Promise<void>;
}
