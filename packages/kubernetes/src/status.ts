import { KubernetesError, type KubernetesErrorReason } from './kubernetes-api.ts';
import { isRecord } from './read-object.ts';

const MAXIMUM_RETRY_AFTER_MILLISECONDS = 600_000;
const MAXIMUM_SERVER_MESSAGE_CHARACTERS = 300;

/** By HTTP status, or the `code` of a Status object, which is the same. Source: Kubernetes API conventions, "Response Status Kind". */
const reasonsByStatus: Readonly<Record<number, readonly [KubernetesErrorReason, string]>> = {
  401: ['unauthorized', 'the API server does not accept the credentials'],
  403: ['forbidden', 'the credentials lack the right'],
  404: ['not-found', 'the API server has no such object or kind'],
  410: ['expired', 'the API server no longer has that version'],
  429: ['too-many-requests', 'the API server is asked too much'],
};

/** One line of printable characters, of bounded length. */
export function cleanServerText(text: unknown): string | null {
  if (typeof text !== 'string' || text === '') return null;
  return text.slice(0, MAXIMUM_SERVER_MESSAGE_CHARACTERS).replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]/gu, ' ');
}

/** `Retry-After` as seconds or as an HTTP date (RFC 9110, 10.2.3), bounded. */
export function readRetryAfter(header: string | undefined, nowMilliseconds: number): number | undefined {
  if (header === undefined) return undefined;
  const text = header.slice(0, 100).trim();
  const milliseconds = /^\d{1,9}$/.test(text) ? Number(text) * 1_000 : Date.parse(text) - nowMilliseconds;
  if (!Number.isFinite(milliseconds)) return undefined;
  return Math.min(Math.max(milliseconds, 0), MAXIMUM_RETRY_AFTER_MILLISECONDS);
}

/** The error for a status that is not 200. `body`: a Status object, or whatever came instead of one. `task`: ours: `list /api/v1/pods`. */
export function errorForStatus(
  status: number,
  body: unknown,
  task: string,
  retryAfterMilliseconds?: number | undefined,
): KubernetesError {
  const [reason, words] =
    reasonsByStatus[status] ??
    (status >= 500
      ? (['server-error', 'the API server failed'] as const)
      : (['garbage', 'not an answer that an API server gives'] as const));
  const details = isRecord(body) && isRecord(body['details']) ? body['details'] : {};
  const seconds = details['retryAfterSeconds'];
  const asked =
    typeof seconds === 'number' && seconds >= 0
      ? Math.min(seconds * 1_000, MAXIMUM_RETRY_AFTER_MILLISECONDS)
      : undefined;
  return new KubernetesError(reason, `cannot ${task}: ${words} (${status})`, {
    status,
    retryAfterMilliseconds: retryAfterMilliseconds ?? asked,
    serverMessage: isRecord(body) ? cleanServerText(body['message']) : null,
  });
}
