/** OpenSSL's and Node's words for a certificate that cannot be traced to a known authority. */
const untrusted: ReadonlySet<unknown> = new Set([
  'DEPTH_ZERO_SELF_SIGNED_CERT',
  'SELF_SIGNED_CERT_IN_CHAIN',
  'UNABLE_TO_GET_ISSUER_CERT',
  'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
  'CERT_UNTRUSTED',
]);
const outOfTime: ReadonlySet<unknown> = new Set(['CERT_HAS_EXPIRED', 'CERT_NOT_YET_VALID']);
const noTlsThere: ReadonlySet<unknown> = new Set([
  'ERR_SSL_WRONG_VERSION_NUMBER',
  'ERR_SSL_PACKET_LENGTH_TOO_LONG',
]);

/** What is wrong with the TLS of the gateway, and what to do; undefined for any other error. */
export function explainTls(error: unknown, url: URL, serverName: string | undefined): string | undefined {
  const code = codeOf(error);
  const name = serverName ?? url.hostname;
  if (untrusted.has(code))
    return `The certificate of the gateway (${name}) is not of a known authority (${code}): give its authority with --gateway-ca.`;
  if (outOfTime.has(code))
    return `The certificate of the gateway (${name}) has expired or is not valid yet (${code}): renew it.`;
  if (code === 'ERR_TLS_CERT_ALTNAME_INVALID')
    return `The certificate of the gateway is for another name than ${name} (${code}): it is another server, or its certificate lacks the name.`;
  if (noTlsThere.has(code))
    return `${url.origin} does not speak TLS (${code}): http expected instead of https, or another port.`;
  return undefined;
}

/** Of what broke a request of fetch. */
export function codeOf(error: unknown): unknown {
  const cause = error instanceof Error ? error.cause : undefined;
  if (typeof cause !== 'object' || cause === null) return undefined;
  // A name with several addresses fails with an AggregateError that carries the code of the first.
  return 'code' in cause ? cause.code : undefined;
}
