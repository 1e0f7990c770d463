import type { Clock } from '@k8s-gpu-mcp/core';
import type { AgentNode, NodeDirectory } from '../ports/node-directory.ts';

export interface ReplacementLimits {
  /** How long the directory may need to notice what the failed call noticed. */
  readonly noticeMilliseconds: number;
  /** How long a node that the directory sees restarting may need until its new agent can be asked. */
  readonly restartMilliseconds: number;
}

/** The directory as one question sees it: by name, always current, with a wait for the successor of an agent. */
export class DirectoryView {
  readonly #directory: NodeDirectory;
  readonly #clock: Clock;
  readonly #stopListening: () => void;
  readonly #waiting = new Set<() => void>();
  #nodes: readonly AgentNode[] | undefined;
  #byName: ReadonlyMap<string, AgentNode> = new Map();

  constructor(directory: NodeDirectory, clock: Clock) {
    this.#directory = directory;
    this.#clock = clock;
    this.#stopListening = directory.onChange(() => {
      for (const look of [...this.#waiting]) look();
    });
  }

  /** Since when the directory is out of date, ISO 8601. */
  get staleSince(): string | null {
    return this.#directory.snapshot().staleSince;
  }

  get problem(): string | null {
    return this.#directory.snapshot().problem;
  }

  find(name: string): AgentNode | undefined {
    const { nodes } = this.#directory.snapshot();
    if (nodes !== this.#nodes) {
      this.#nodes = nodes;
      this.#byName = new Map(nodes.map((node) => [node.name, node]));
    }
    return this.#byName.get(name);
  }

  /** Whether the directory still shows this very instance. A directory that is out of date cannot know better. */
  isThere(node: AgentNode): boolean {
    return this.staleSince !== null || this.find(node.name)?.instance === node.instance;
  }

  /**
   * The agent that answers for this node after `node` failed: a new instance, or the same one after it was seen not ready. Undefined when
   * there is none in time, or `signal` aborts.
   */
  successorOf(
    node: AgentNode,
    limits: ReplacementLimits,
    signal: AbortSignal,
  ): Promise<AgentNode | undefined> {
    return new Promise((resolve) => {
      let isRestarting = false;
      let stopTimer = () => {};
      const end = (successor?: AgentNode) => {
        stopTimer();
        this.#waiting.delete(look);
        signal.removeEventListener('abort', giveUp);
        resolve(successor);
      };
      const giveUp = () => end();
      const waitFor = (milliseconds: number) => {
        stopTimer();
        stopTimer = this.#clock.after(milliseconds, giveUp);
      };
      const look = () => {
        const current = this.find(node.name);
        const isReady = current !== undefined && current.url !== null && current.notReadyBecause === null;
        if (isReady && (isRestarting || current.instance !== node.instance)) end(current);
        else if (this.staleSince !== null) giveUp();
        else if (!isReady && !isRestarting) {
          isRestarting = true;
          waitFor(limits.restartMilliseconds);
        }
      };
      this.#waiting.add(look);
      signal.addEventListener('abort', giveUp, { once: true });
      waitFor(limits.noticeMilliseconds);
      if (signal.aborted) giveUp();
      else look();
    });
  }

  close(): void {
    this.#stopListening();
  }
}
