import { type Logger, quarantine, type ToolContext } from '@k8s-gpu-mcp/core';

type Progress = NonNullable<ToolContext['progress']>;

const maximumNotes = 20;
const maximumForwarded = 100;

/**
 * Progress of one question: a bounded number of notes, each further than the one before, whatever the agents send, and none after the end.
 */
export class ProgressNotes {
  readonly #progress: Progress;
  readonly #total: number;
  readonly #logger: Logger;
  #ended = 0;
  #noted = 0;
  #forwarded = 0;
  #lastForwarded = Number.NEGATIVE_INFINITY;

  constructor(progress: Progress, total: number, logger: Logger) {
    this.#progress = progress;
    this.#total = total;
    this.#logger = logger;
  }

  nodeEnded(): void {
    this.#ended += 1;
    const step = Math.ceil(this.#total / maximumNotes);
    if (this.#ended < this.#total && this.#ended - this.#noted < step) return;
    this.#noted = this.#ended;
    if (this.#forwarded > 0) return;
    this.#note(this.#ended, this.#total, `${this.#ended} of ${this.#total} nodes`);
  }

  /** Of the agent, passed on when there is only one. */
  forward(done: number, total: number, message: string | undefined): void {
    if (this.#ended > 0 || this.#forwarded >= maximumForwarded || !(done > this.#lastForwarded)) return;
    this.#forwarded += 1;
    this.#lastForwarded = done;
    this.#note(done, total, message === undefined ? undefined : quarantine(message, 200));
  }

  #note(done: number, total: number, message: string | undefined): void {
    try {
      if (message === undefined) this.#progress(done, total);
      else this.#progress(done, total, message);
    } catch (error) {
      this.#logger.debug('progress could not be reported', { error: String(error) });
    }
  }
}
