const shutdownSignals = ['SIGTERM', 'SIGINT'] as const;

export interface Shutdown {
  /** Resolves at the first signal. */
  readonly isAsked: Promise<NodeJS.Signals>;
  /** Resolves at the second signal, which means now. */
  readonly isUrgent: Promise<void>;
  unwatch(): void;
}

/** Signals, and the end of `input`, tell the operations to come to an end; the transport, which sees the same, waits for them. */
export function watchForShutdown(
  operations: { stop(): void },
  input: NodeJS.ReadableStream | undefined,
): Shutdown {
  let ask: (signal: NodeJS.Signals) => void = () => {};
  let urge = () => {};
  let signalCount = 0;
  const isAsked = new Promise<NodeJS.Signals>((resolve) => {
    ask = resolve;
  });
  const isUrgent = new Promise<void>((resolve) => {
    urge = resolve;
  });
  const onSignal = (signal: NodeJS.Signals) => {
    signalCount += 1;
    if (signalCount > 1) urge();
    operations.stop();
    ask(signal);
  };
  const onEnd = () => operations.stop();
  for (const signal of shutdownSignals) process.on(signal, onSignal);
  input?.on('end', onEnd);
  return {
    isAsked,
    isUrgent,
    unwatch() {
      for (const signal of shutdownSignals) process.off(signal, onSignal);
      input?.off('end', onEnd);
    },
  };
}
