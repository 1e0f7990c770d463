import { GpuError } from '../../errors.ts';
import type { AuditLog, AuditRecord } from '../../ports/audit-log.ts';
import type { Toolkit } from '../toolkit.ts';

type Outcome = AuditRecord['outcome'];

const maximumDetailLength = 500;

/** The audit trail of one call. */
export class Attempt {
  phase: AuditRecord['phase'] = 'plan';
  target: AuditRecord['target'];
  planId: string | undefined;
  /** False once a record could not be written. */
  recorded = true;
  readonly #toolkit: Toolkit;
  readonly #auditLog: AuditLog;
  readonly #tool: string;
  readonly #caller: string;

  constructor(
    toolkit: Toolkit,
    auditLog: AuditLog,
    who: { readonly tool: string; readonly caller: string; readonly target: AuditRecord['target'] },
  ) {
    this.#toolkit = toolkit;
    this.#auditLog = auditLog;
    this.#tool = who.tool;
    this.#caller = who.caller;
    this.target = who.target;
  }

  /** @throws GpuError UNAVAILABLE when it cannot be written; then nothing may be done. */
  async record(outcome: Outcome, detail: string): Promise<void> {
    if (await this.recordAfterwards(outcome, detail)) return;
    throw new GpuError(
      'UNAVAILABLE',
      `The audit record of ${this.#tool} could not be written, so nothing was done.`,
      {
        hint: 'Whoever runs the server must make the audit file writable (--audit-file); its log has the error.',
      },
    );
  }

  /** For what has been done already: tells whether it could be written. */
  async recordAfterwards(outcome: Outcome, detail: string): Promise<boolean> {
    const { nodeName, clock, logger } = this.#toolkit;
    try {
      await this.#auditLog.record({
        at: new Date(clock.now()).toISOString(),
        caller: this.#caller,
        tool: this.#tool,
        node: nodeName,
        phase: this.phase,
        outcome,
        ...(this.planId === undefined ? {} : { planId: this.planId }),
        target: this.target,
        detail: detail.slice(0, maximumDetailLength),
      });
      return true;
    } catch (error) {
      this.recorded = false;
      logger.error('an audit record could not be written', { tool: this.#tool, phase: this.phase, error });
      return false;
    }
  }
}
