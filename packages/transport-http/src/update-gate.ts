/** Notifications that may wait for a client to read them. */
const MAX_UNREAD = 64;

/**
 * Keeps a client that does not read its stream from filling memory with changes: past some unread ones each resource waits once, and is told
 * when there is room.
 */
export class UpdateGate {
  readonly #send: (uri: string) => void;
  readonly #held = new Set<string>();
  #unread = 0;

  constructor(send: (uri: string) => void) {
    this.#send = send;
  }

  tell(uri: string): void {
    if (this.#unread >= MAX_UNREAD) {
      this.#held.add(uri);
      return;
    }
    this.#unread += 1;
    this.#send(uri);
  }

  /** The client has taken a piece of its stream. */
  taken(): void {
    this.#unread = Math.max(0, this.#unread - 1);
    const [next] = this.#held;
    if (next === undefined) return;
    this.#held.delete(next);
    this.tell(next);
  }
}

export interface StreamWatch {
  /** A piece was taken. */
  readonly taken: () => void;
  /** Called once, when the stream has ended or was given up. */
  readonly ended: () => void;
}

/** The same response; whoever watches hears how its body is read. */
export function watchStream(
  response: Response,
  body: ReadableStream<Uint8Array>,
  { taken, ended }: StreamWatch,
): Response {
  const reader = body.getReader();
  let open = true;
  const end = () => {
    if (open) ended();
    open = false;
  };
  const watched = new ReadableStream<Uint8Array>({
    pull: async (controller) => {
      const { done, value } = await reader.read().catch((error: unknown) => {
        end();
        throw error;
      });
      if (!done) {
        controller.enqueue(value);
        taken();
        return;
      }
      end();
      controller.close();
    },
    cancel: async (reason) => {
      end();
      await reader.cancel(reason);
    },
  });
  return new Response(watched, { status: response.status, headers: response.headers });
}
