import {
  type Clock,
  type Gap,
  type GapReason,
  GpuError,
  isGpuError,
  type ListReading,
  type Logger,
} from '@k8s-gpu-mcp/core';
import {
  type KubernetesApi,
  KubernetesError,
  type KubernetesErrorReason,
  type KubernetesObject,
  type ObjectPage,
  type ObjectQuery,
} from '../kubernetes-api.ts';
import { MalformedError } from './fields.ts';

const PAGE_SIZE = 500;
/** A server may give fewer objects in a page than it was asked for, but not without end. */
const MAXIMUM_PAGES = 400;
const DEFAULT_RETRY_MILLISECONDS = 1_000;
/** Who asks for more patience than this is not waited for. */
const MAXIMUM_RETRY_MILLISECONDS = 10_000;

/** What is asked for, in words that a role has: `list`, `pods`, `in all namespaces`. */
export interface Task {
  readonly verb: 'get' | 'list';
  /** Plural, with the group unless it is the core group: `resourceclaims.resource.k8s.io`. */
  readonly resource: string;
  /** Empty for objects without a namespace. */
  readonly where: string;
  /** Of the gaps. */
  readonly field: string;
}

export interface ListQuestion<T> extends Task {
  readonly query: ObjectQuery;
  /** @throws MalformedError */
  readonly read: (object: KubernetesObject) => T;
  /** Of objects; beyond it the list is cut. */
  readonly maximum: number;
}

const gapByReason: Readonly<Record<KubernetesErrorReason, readonly [GapReason, string]>> = {
  unauthorized: ['no-permission', 'the API server does not accept the credentials (401)'],
  forbidden: ['no-permission', 'the role lacks the right (403)'],
  timeout: ['timeout', 'the API server does not answer in time'],
  'not-found': ['error', 'the API server does not know this kind of object (404)'],
  expired: ['error', 'the list expired while it was read, twice (410)'],
  'too-many-requests': ['error', 'the API server is overloaded and asks to wait (429)'],
  'server-error': ['error', 'the API server fails (5xx)'],
  unreachable: ['error', 'the API server cannot be reached'],
  garbage: ['error', 'the answer is not one that an API server gives'],
  cancelled: ['error', 'the request was given up'],
  configuration: ['error', 'the credentials for the API server cannot be had'],
};

export function describeTask({ verb, resource, where }: Task): string {
  return where === '' ? `${verb} ${resource}` : `${verb} ${resource} ${where}`;
}

/** The error that the port owes its caller when `signal` has aborted. */
export function abortError(signal: AbortSignal): GpuError {
  const reason: unknown = signal.reason;
  if (isGpuError(reason)) return reason;
  const isTimeout = reason instanceof Error && reason.name === 'TimeoutError';
  return isTimeout
    ? new GpuError('TIMEOUT', 'asking the API server took longer than the deadline', { cause: reason })
    : new GpuError('CANCELLED', 'asking the API server was cancelled', { cause: reason });
}

/** Asks the API server and makes gaps of what it refuses; an overloaded one is asked once more, an expired list is begun once more. */
export class ClusterReader {
  readonly #api: KubernetesApi;
  readonly #clock: Clock;
  readonly #logger: Logger;

  constructor(api: KubernetesApi, clock: Clock, logger: Logger) {
    this.#api = api;
    this.#clock = clock;
    this.#logger = logger;
  }

  /**
   * Null when there is no such object.
   *
   * @throws KubernetesError; GpuError when `signal` aborts.
   */
  async get(path: string, signal: AbortSignal): Promise<KubernetesObject | null> {
    try {
      return await this.#patiently(() => this.#api.get(path, signal), signal);
    } catch (error) {
      if (error instanceof KubernetesError && error.reason === 'not-found') return null;
      throw error;
    }
  }

  /**
   * All pages, in the order of the server. Null items and a gap when a page could not be had; `not-found` is thrown on, as it may mean
   * another version of the API.
   *
   * @throws KubernetesError `not-found` only; GpuError when `signal` aborts, UNAVAILABLE.
   */
  async list<T>(question: ListQuestion<T>, signal: AbortSignal): Promise<ListReading<T>> {
    try {
      return await this.#pages(question, signal).catch((error: unknown) => {
        if (error instanceof KubernetesError && error.reason === 'expired')
          return this.#pages(question, signal);
        throw error;
      });
    } catch (error) {
      if (error instanceof KubernetesError && error.reason === 'not-found') throw error;
      return { items: null, isComplete: false, gaps: [this.gapOf(error, question, signal)] };
    }
  }

  /**
   * Why something could not be read.
   *
   * @throws GpuError when `signal` has aborted, and UNAVAILABLE when there is no server to ask.
   */
  gapOf(error: unknown, task: Task, signal: AbortSignal): Gap {
    if (signal.aborted) throw abortError(signal);
    if (isGpuError(error)) throw error;
    const { field } = task;
    const failed = `cannot ${describeTask(task)}`;
    if (error instanceof MalformedError)
      return { field, reason: 'error', detail: `${failed}: ${error.message}` };
    if (!(error instanceof KubernetesError)) {
      this.#logger.error('reading the cluster failed', { task: describeTask(task), error: String(error) });
      return { field, reason: 'error', detail: `${failed}: a defect of this program, its log has more` };
    }
    if (error.reason === 'configuration')
      throw new GpuError('UNAVAILABLE', 'there is no API server to ask: its credentials cannot be had', {
        hint: 'Check the kubeconfig, or the service account of the pod.',
        cause: error,
      });
    const [reason, words] = gapByReason[error.reason];
    this.#logger.debug('the API server refused', { task: describeTask(task), detail: error.serverMessage });
    return { field, reason, detail: `${failed}: ${words}` };
  }

  async #pages<T>(question: ListQuestion<T>, signal: AbortSignal): Promise<ListReading<T>> {
    const { query, read, maximum, resource, field } = question;
    const items: T[] = [];
    let malformed = 0;
    let continueToken: string | null = null;
    let isCut = false;
    for (let pages = 0; !isCut && (pages === 0 || continueToken !== null); pages += 1) {
      if (pages === MAXIMUM_PAGES) throw new KubernetesError('garbage', `a list of more than ${pages} pages`);
      const wanted: Parameters<KubernetesApi['list']>[1] =
        continueToken === null ? { limit: PAGE_SIZE } : { limit: PAGE_SIZE, continueToken };
      const page: ObjectPage = await this.#patiently(() => this.#api.list(query, wanted, signal), signal);
      for (const object of page.items) {
        if (items.length + malformed === maximum) {
          isCut = true;
          break;
        }
        try {
          items.push(read(object));
        } catch (error) {
          if (!(error instanceof MalformedError)) throw error;
          malformed += 1;
        }
      }
      continueToken = page.continueToken;
      isCut ||= continueToken !== null && items.length + malformed >= maximum;
    }
    const gaps: Gap[] = [];
    if (isCut)
      gaps.push({
        field,
        reason: 'not-observable',
        detail: `there are more than ${maximum} ${resource}: only so many were read`,
      });
    if (malformed > 0)
      gaps.push({
        field,
        reason: 'error',
        detail: `${malformed} ${resource} were left out: they do not have the form of one`,
      });
    return { items, isComplete: gaps.length === 0, gaps };
  }

  /** One 429 is waited out, as long as the server asks for and within `signal`. */
  async #patiently<T>(ask: () => Promise<T>, signal: AbortSignal): Promise<T> {
    if (signal.aborted) throw abortError(signal);
    try {
      return await ask();
    } catch (error) {
      if (signal.aborted) throw abortError(signal);
      if (!(error instanceof KubernetesError) || error.reason !== 'too-many-requests') throw error;
      const wait = error.retryAfterMilliseconds ?? DEFAULT_RETRY_MILLISECONDS;
      if (wait > MAXIMUM_RETRY_MILLISECONDS) throw error;
      await this.#sleep(wait, signal);
    }
    if (signal.aborted) throw abortError(signal);
    return await ask();
  }

  #sleep(milliseconds: number, signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const done = () => {
        cancel();
        signal.removeEventListener('abort', done);
        resolve();
      };
      const cancel = this.#clock.after(milliseconds, done);
      if (signal.aborted) done();
      else signal.addEventListener('abort', done, { once: true });
    });
  }
}
