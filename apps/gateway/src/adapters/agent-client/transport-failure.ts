import type { IncomingHttpHeaders } from 'node:http';
import { AgentFailure } from '../../ports/agent-client.ts';

const unreachable: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'it refuses connections',
  ECONNRESET: 'it reset the connection',
  EPIPE: 'it closed the connection',
  UND_ERR_SOCKET: 'it closed the connection',
  ETIMEDOUT: 'no connection came about in time',
  UND_ERR_CONNECT_TIMEOUT: 'no connection came about in time',
  EHOSTUNREACH: 'there is no route to it',
  ENETUNREACH: 'there is no route to it',
  EHOSTDOWN: 'there is no route to it',
  EADDRNOTAVAIL: 'there is no route to it',
  ENOTFOUND: 'its name is not known',
  EAI_AGAIN: 'its name cannot be looked up',
  UND_ERR_CLOSED: 'it is not among the agents any more',
  UND_ERR_DESTROYED: 'it is not among the agents any more',
};

/** By Node's codes of X.509 verification. */
const certificates: Readonly<Record<string, string>> = {
  CERT_HAS_EXPIRED: 'it has expired',
  CERT_NOT_YET_VALID: 'it is not valid yet',
  CERT_REVOKED: 'it was revoked',
  CERT_UNTRUSTED: 'it comes from an unknown authority',
  CERT_SIGNATURE_FAILURE: 'its signature does not hold',
  DEPTH_ZERO_SELF_SIGNED_CERT: 'it comes from an unknown authority (self-signed)',
  SELF_SIGNED_CERT_IN_CHAIN: 'it comes from an unknown authority',
  UNABLE_TO_GET_ISSUER_CERT: 'it comes from an unknown authority',
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: 'it comes from an unknown authority',
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: 'it comes from an unknown authority',
  INVALID_CA: 'its authority may not sign certificates',
  INVALID_PURPOSE: 'it is not for servers',
  ERR_TLS_CERT_ALTNAME_INVALID: 'it is for another name or address',
};

/** What went wrong below HTTP. `hasBegun`: part of an answer had come. */
export function transportFailure(cause: unknown, hasBegun: boolean): AgentFailure {
  if (cause instanceof AgentFailure) return cause;
  const code = codeOf(cause);
  const certificate = certificates[code];
  if (certificate !== undefined)
    return new AgentFailure('certificate', `the agent's certificate is refused: ${certificate}`, { cause });
  if (hasBegun)
    return new AgentFailure('garbage', "the agent's answer was cut off", { isRetryable: true, cause });
  const why = unreachable[code];
  if (why !== undefined)
    return new AgentFailure('unreachable', `the agent cannot be reached: ${why}`, {
      isRetryable: true,
      cause,
    });
  if (code === 'EPROTO' || code.startsWith('ERR_SSL_'))
    return new AgentFailure('garbage', 'the agent does not speak TLS', { cause });
  return new AgentFailure('garbage', 'the agent does not speak HTTP', { cause });
}

/** Of an error, of what caused it, or of the first of several attempts. */
function codeOf(error: unknown, depth = 0): string {
  if (!(error instanceof Error) || depth > 4) return '';
  if ('code' in error && typeof error.code === 'string') return error.code;
  if (error instanceof AggregateError) return codeOf(error.errors[0], depth + 1);
  return codeOf(error.cause, depth + 1);
}

const overloaded: ReadonlySet<number> = new Set([429, 502, 503, 504]);

/** What a status alone tells; undefined for one that the protocol above has to judge. */
export function statusFailure(
  status: number,
  headers: IncomingHttpHeaders,
  now: number,
): AgentFailure | undefined {
  if (status >= 300 && status < 400)
    return new AgentFailure(
      'refused',
      `the agent redirects elsewhere (HTTP ${status}), which is not followed`,
    );
  if (status === 401)
    return new AgentFailure('unauthorized', 'the agent does not accept the token (HTTP 401)');
  if (status === 403) return new AgentFailure('unauthorized', 'the agent denies access (HTTP 403)');
  if (!overloaded.has(status)) return undefined;
  const retryAfterMilliseconds = retryAfter(headers['retry-after'], now);
  return new AgentFailure('overloaded', `the agent is overloaded or on its way out (HTTP ${status})`, {
    // A 4xx is about the request: to send it again is what a 429 asks not to do.
    isRetryable: status >= 500,
    ...(retryAfterMilliseconds === undefined ? {} : { retryAfterMilliseconds }),
  });
}

const longestRetryAfterMilliseconds = 3_600_000;

/** Seconds or a date. Source: RFC 9110, section 10.2.3. */
function retryAfter(header: string | undefined, now: number): number | undefined {
  if (header === undefined || header.length > 64) return undefined;
  const text = header.trim();
  const milliseconds = /^\d{1,9}$/.test(text) ? Number(text) * 1_000 : Date.parse(text) - now;
  return Number.isNaN(milliseconds)
    ? undefined
    : Math.min(Math.max(milliseconds, 0), longestRetryAfterMilliseconds);
}
