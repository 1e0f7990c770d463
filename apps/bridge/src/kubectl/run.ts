import {
  createTerminal,
  exitCodeOf,
  exitCodeOfError,
  exitCodes,
  OutputClosedError,
  parseCommandLine,
  type Terminal,
  UsageError,
} from '@k8s-gpu-mcp/command-line';
import {
  gpuErrorCodes,
  quarantine,
  type StructuredContent,
  silentLogger,
  systemClock,
} from '@k8s-gpu-mcp/core';
import { chooseRoute, hasOwnToken, openCluster, plainTokenWarning } from '../choose-route.ts';
import { GatewayLink } from '../gateway-link.ts';
import { RouteError } from '../gateway-route.ts';
import { tokenSource } from '../token.ts';
import { bridgeVersion } from '../version.ts';
import { resolveConfig } from './config.ts';
import { InterruptedError, openSession, ToolFailure, UnavailableError } from './gateway-session.ts';
import { type PluginOptions, program, type QuestionName } from './options.ts';
import { createProgressLine } from './progress-line.ts';
import { type Ask, askNodes, failureArguments, isClusterAnswer, nodeArgument } from './questions.ts';
import { type ClusterView, healthView, inventoryView, renderCluster, xidView } from './render/cluster.ts';
import { renderDiagnosis } from './render/diagnosis.ts';
import { renderNodeHealth, renderNodeIncidents, renderNodeInventory } from './render/node.ts';
import { renderTopOfCluster, renderTopOfNode } from './render/top.ts';
import { parseSubject } from './subject.ts';
import { sayToolFailure } from './tool-failure-words.ts';
import { askTop } from './top.ts';

const programName = program.name;
const interrupted = 130;
const maximumMessageBytes = 16 * 1024 * 1024;
const closeMilliseconds = 500;

/** The process as the program sees it, so that a test can bring its own. */
export interface PluginHost {
  readonly stdout: NodeJS.WriteStream;
  readonly stderr: NodeJS.WriteStream;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Aborted when the person has had enough. */
  readonly interruption: AbortSignal;
}

/** Runs one command line to its exit code. Never rejects: what goes wrong is one line on stderr. */
export async function run(argv: readonly string[], host: PluginHost): Promise<number> {
  host.stderr.on('error', () => {});
  const note = (line: string) => host.stderr.write(`${programName}: ${quarantine(line, 2_000)}\n`);
  let lacksNamespace = false;
  try {
    const commandLine = parseCommandLine(program, argv);
    const terminal = createTerminal(host.stdout, host.env);
    if (commandLine.kind === 'help') {
      await terminal.write(commandLine.text);
      return exitCodes.success;
    }
    const { command, operands, flags } = commandLine;
    const options = resolveConfig(command, flags, host.env);
    lacksNamespace = command === 'diagnose' && options.namespace === undefined;
    if (command === 'version') {
      await terminal.write(`${programName} ${bridgeVersion()}\n`);
      return exitCodes.success;
    }
    const warning = plainTokenWarning(options);
    if (warning !== undefined) note(`warning: ${warning}`);
    return await answer(await questionOf(command, operands, options), options, host, terminal);
  } catch (error) {
    if (error instanceof OutputClosedError) return exitCodes.success;
    if (error instanceof InterruptedError) return interrupted;
    if (error instanceof ToolFailure) {
      note(sayToolFailure(error.message, lacksNamespace));
      return error.code !== undefined && Object.hasOwn(gpuErrorCodes, error.code)
        ? exitCodeOfError(error.code as keyof typeof gpuErrorCodes)
        : exitCodeOf({ verdict: 'unknown' });
    }
    const isUsage = error instanceof UsageError;
    const isUnavailable = error instanceof UnavailableError || error instanceof RouteError;
    const message = error instanceof Error ? error.message : String(error);
    note(isUsage || isUnavailable ? message : `internal error: ${message}`);
    if (isUsage) return exitCodes.usage;
    return isUnavailable ? exitCodeOf({ verdict: 'unknown' }) : exitCodes.internal;
  }
}

interface Question {
  ask(ask: Ask, onNode: (done: number, total: number) => void): Promise<StructuredContent>;
  render(answer: StructuredContent, terminal: Terminal): string;
}

/** @throws UsageError before anything is asked. */
async function questionOf(
  command: QuestionName,
  operands: readonly string[],
  options: PluginOptions,
): Promise<Question> {
  const { limit, since } = options;
  const from = since === undefined ? {} : { since };
  const nodes = nodeArgument(operands);
  const listed = (
    tool: string,
    given: StructuredContent,
    view: ClusterView,
    renderNode: Question['render'],
  ): Question => ({
    ask: (ask) => askNodes(ask, tool, { ...given, ...nodes }, limit),
    render: (content, terminal) =>
      isClusterAnswer(content) ? renderCluster(content, view, terminal) : renderNode(content, terminal),
  });
  switch (command) {
    case 'health':
      return listed('get_gpu_health', {}, healthView, renderNodeHealth);
    case 'inventory':
      return listed('get_gpu_inventory', {}, inventoryView, renderNodeInventory);
    case 'xid':
      return listed('analyze_xid_errors', from, xidView, renderNodeIncidents);
    case 'top':
      return {
        ask: (ask, onNode) => askTop(ask, nodes, limit, onNode),
        render: (content, terminal) =>
          isClusterAnswer(content)
            ? renderTopOfCluster(content, terminal)
            : renderTopOfNode(content, terminal),
      };
    case 'diagnose': {
      const subject = parseSubject(operands);
      const namespace =
        subject.kind === 'node' ? '' : (options.namespace ?? (await contextNamespace(options)));
      const given = failureArguments(subject, namespace, since);
      return { ask: (ask) => ask('explain_failure', given), render: renderDiagnosis };
    }
  }
}

/** As kubectl has it: of the context, else `default`. With a gateway's URL no kubeconfig is needed. */
async function contextNamespace(options: PluginOptions): Promise<string> {
  try {
    return (await openCluster(options)).namespace;
  } catch (error) {
    const isNamed = options.kubeconfig !== undefined || options.context !== undefined;
    if (options.gatewayUrl !== undefined && !isNamed) return 'default';
    throw new UnavailableError(error instanceof Error ? error.message : String(error), { cause: error });
  }
}

async function answer(
  question: Question,
  options: PluginOptions,
  host: PluginHost,
  terminal: Terminal,
): Promise<number> {
  const ending = new AbortController();
  const stop = () => ending.abort(new InterruptedError('interrupted'));
  if (host.interruption.aborted) stop();
  else host.interruption.addEventListener('abort', stop, { once: true });
  const seconds = options.deadline / 1_000;
  const cancelDeadline = systemClock.after(options.deadline, () =>
    ending.abort(
      new UnavailableError(`No answer within ${seconds} s: give a longer --deadline, or fewer nodes.`),
    ),
  );
  const progress = createProgressLine(host.stderr, options.progress);
  const link = new GatewayLink({
    route: chooseRoute(
      options,
      {
        namespace: options.gatewayNamespace,
        service: options.service,
        servicePort: options.servicePort,
      },
      { logger: silentLogger, clock: systemClock },
    ),
    token: tokenSource(options),
    maxMessageBytes: maximumMessageBytes,
    clock: systemClock,
    logger: silentLogger,
  });
  let content: StructuredContent;
  try {
    const { signal } = ending;
    const asking = async () => {
      const session = await openSession({
        link,
        hasToken: hasOwnToken(options),
        version: bridgeVersion(),
        timeoutMilliseconds: options.deadline,
        signal,
      });
      const ask: Ask = (tool, given, more = {}) =>
        session.ask(tool, given, { signal, onProgress: progress.note, ...more });
      try {
        return await question.ask(ask, (done, total) => progress.note({ done, total, message: undefined }));
      } finally {
        await within(closeMilliseconds, session.close());
      }
    };
    content = await unlessAborted(asking(), signal);
  } finally {
    cancelDeadline();
    host.interruption.removeEventListener('abort', stop);
    progress.clear();
    await within(closeMilliseconds, link.close());
  }
  await terminal.write(options.json ? `${safeJson(content)}\n` : question.render(content, terminal));
  return options.anyVerdict && hasAnswerOfNode(content) ? exitCodes.success : exitCodeOf(content);
}

/** An answer of one node is its own; one of the cluster counts the nodes by how they fared. */
function hasAnswerOfNode(content: Readonly<Record<string, unknown>>): boolean {
  const counts = content['statusCounts'];
  if (typeof counts !== 'object' || counts === null) return typeof content['node'] === 'string';
  return 'ok' in counts && typeof counts.ok === 'number' && counts.ok > 0;
}

/** The same values; what a terminal could take for a command, or a reader could not see, is written as an escape. */
const safeJson = (value: unknown): string =>
  JSON.stringify(value, null, 2).replaceAll(
    /[\u007f-\u009f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );

/** What ignores the signal is left behind after a grace in which the gateway can be told that the call is cancelled. */
function unlessAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const stop = () => systemClock.after(closeMilliseconds, () => reject(signal.reason));
    if (signal.aborted) stop();
    else signal.addEventListener('abort', stop, { once: true });
    work.then(resolve, reject).finally(() => signal.removeEventListener('abort', stop));
  });
}

function within(milliseconds: number, work: Promise<unknown>): Promise<void> {
  return new Promise((resolve) => {
    const cancel = systemClock.after(milliseconds, resolve);
    void work
      .catch(() => {})
      .finally(() => {
        cancel();
        resolve();
      });
  });
}
