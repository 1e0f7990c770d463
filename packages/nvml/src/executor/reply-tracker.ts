import type { ProgressFile } from '../protocol/progress-file.ts';
import { type Reply, replySplitter } from '../protocol/protocol.ts';

/** How often the parent looks how far a request is that has no answer yet. */
const progressMilliseconds = 100;

/**
 * The replies of one helper, in order and each once, whichever way they come: sent, or found in the progress file by looking, where the
 * helper leaves what it has not sent yet and notes what it does. Its last notes count when it has died, too.
 */
export class ReplyTracker {
  readonly #file: ProgressFile | undefined;
  readonly #onReply: (reply: Reply) => void;
  /** In the order in which they are worked on. */
  readonly #unanswered: number[] = [];
  #timer: NodeJS.Timeout | undefined;
  #seen: { readonly at: number; readonly stage: string } | undefined;

  constructor(file: ProgressFile | undefined, onReply: (reply: Reply) => void) {
    this.#file = file;
    this.#onReply = onReply;
  }

  /** True when nothing else is unanswered. */
  sent(id: number): boolean {
    this.#unanswered.push(id);
    this.#timer ??= setInterval(() => this.#look(), progressMilliseconds).unref();
    return this.#unanswered.length === 1;
  }

  /** Another one than the next was found before it was sent, or is found while those before it are still on their way. */
  receive(reply: Reply): void {
    if (reply.id !== this.#unanswered[0]) return;
    if (!('stage' in reply)) {
      this.#unanswered.shift();
      this.#seen = undefined;
      if (this.#unanswered.length === 0) this.#stopLooking();
    }
    this.#onReply(reply);
  }

  /** The process is gone. */
  end(): void {
    this.#look();
    this.#stopLooking();
    this.#file?.close();
  }

  #look(): void {
    const note = this.#file?.read();
    if (note === undefined || !this.#unanswered.includes(note.id)) return;
    replySplitter((reply) => this.receive(reply))(note.held);
    const { id, stage, at } = note;
    if (at === this.#seen?.at && stage === this.#seen.stage) return;
    this.#seen = { stage, at };
    this.receive({ id, stage, at });
  }

  #stopLooking(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
  }
}
