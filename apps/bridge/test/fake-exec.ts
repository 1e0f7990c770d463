import { type ChildProcess, spawn } from 'node:child_process';

/** What is used of a WebSocket of the `ws` package, which has no types of its own. */
export interface WebSocket {
  readonly protocol: string;
  on(event: 'message', listener: (data: Buffer) => void): unknown;
  on(event: 'close' | 'error', listener: () => void): unknown;
  send(data: Buffer): void;
  close(code?: number): void;
  terminate(): void;
}

/** What a container does with a command: a program on this machine, or the runtime's words for why it cannot be run. */
export type FakeExec = (command: readonly string[]) => readonly string[] | FakeExecFailure;
export interface FakeExecFailure {
  readonly exitCode?: number;
  readonly message: string;
}

/** Ends the stdin of every program when the connection goes, as a kubelet does, and never kills one. */
export class FakeExecs {
  /** Those that run, and those that have run. */
  readonly programs: ChildProcess[] = [];
  readonly #sockets = new Set<WebSocket>();

  /** Protocol v4 and v5: a channel byte before each frame, 0 stdin, 1 stdout, 2 stderr, 3 status; v5 adds 255 to close one. */
  join(webSocket: WebSocket, exec: FakeExec, command: readonly string[]): void {
    this.#sockets.add(webSocket);
    webSocket.on('close', () => this.#sockets.delete(webSocket));
    const send = (channel: number, data: Buffer) =>
      webSocket.send(Buffer.concat([Buffer.from([channel]), data]));
    const end = (status: unknown) => {
      send(3, Buffer.from(JSON.stringify(status)));
      webSocket.close(1000);
    };
    // A real one opens each channel with an empty frame.
    for (const channel of [1, 2, 3]) send(channel, Buffer.alloc(0));
    const program = exec(command);
    if ('message' in program) {
      end(failure(program));
      return;
    }
    const [file = '', ...args] = program;
    const child = spawn(file, args, { env: environment(), stdio: ['pipe', 'pipe', 'pipe'] });
    this.programs.push(child);
    child.stdin.on('error', () => {});
    child.stdout.on('data', (data: Buffer) => send(1, data));
    child.stderr.on('data', (data: Buffer) => send(2, data));
    child.on('close', (code, signal) => {
      const exitCode = code ?? (signal === 'SIGKILL' ? 137 : 143);
      end(
        exitCode === 0
          ? { metadata: {}, status: 'Success' }
          : failure({ exitCode, message: `command terminated with exit code ${exitCode}` }),
      );
    });
    webSocket.on('message', (frame) => {
      if (frame[0] === 0) child.stdin.write(frame.subarray(1));
      else if (frame[0] === 255 && frame[1] === 0 && webSocket.protocol === 'v5.channel.k8s.io')
        child.stdin.end();
    });
    webSocket.on('close', () => child.stdin.end());
  }

  running(): ChildProcess[] {
    return this.programs.filter(({ exitCode, signalCode }) => exitCode === null && signalCode === null);
  }

  /** Cuts every exec as a dying API server or network does. */
  cut(): void {
    for (const each of this.#sockets) each.terminate();
  }

  /** Kills every program as a deleted pod does. */
  killPods(): void {
    for (const each of this.running()) each.kill('SIGKILL');
  }
}

/** As `remotecommand` of a kubelet writes it. */
function failure({ exitCode, message }: FakeExecFailure): unknown {
  return exitCode === undefined
    ? { metadata: {}, status: 'Failure', message, reason: 'InternalError', code: 500 }
    : {
        metadata: {},
        status: 'Failure',
        message,
        reason: 'NonZeroExitCode',
        details: { causes: [{ reason: 'ExitCode', message: String(exitCode) }] },
      };
}

const environment = () =>
  Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith('K8S_GPU_MCP_')));
