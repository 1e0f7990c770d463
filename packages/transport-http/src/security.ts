import { hostname, networkInterfaces } from 'node:os';
import { type HttpAppOptions, type Logger, silentLogger } from './options.ts';
import { TokenFile } from './token-file.ts';

const HOST_HEADER = /^(\[[0-9a-f:.]+\]|[a-z0-9](?:[a-z0-9._-]*[a-z0-9])?)\.?(?::\d{1,5})?$/i;
const LOOPBACK_NAMES = ['localhost', '127.0.0.1', '[::1]'];
/** Names that only a cluster's own DNS can answer, so a web page cannot point one of them elsewhere. */
const CLUSTER_SERVICE_NAME = /^[a-z0-9-]+(?:\.[a-z0-9-]+)*\.svc(?:\.cluster\.local)?$/;

/** The host of a Host header or an address, lower case, without port, IPv6 in brackets and shortest form. */
export function normalizeHost(value: string): string | undefined {
  const bare =
    value.includes(':') && !value.startsWith('[') && value.split(':').length > 2 ? `[${value}]` : value;
  const host = HOST_HEADER.exec(bare)?.[1]?.toLowerCase();
  if (host === undefined || !host.startsWith('[')) return host;
  try {
    return new URL(`http://${host}`).hostname;
  } catch {
    return undefined;
  }
}

/** True for addresses that only this machine can reach. */
export function isLoopbackAddress(address: string): boolean {
  const host = normalizeHost(address);
  if (host === undefined) return false;
  return (
    host === 'localhost' ||
    host === '[::1]' ||
    /^127(?:\.\d{1,3}){3}$/.test(host) ||
    /^\[::ffff:7f[0-9a-f]{2}:[0-9a-f]{1,4}\]$/.test(host)
  );
}

export type NetworkAddresses = () => readonly string[];

const ownAddresses: NetworkAddresses = () =>
  Object.values(networkInterfaces()).flatMap((entries) => (entries ?? []).map((entry) => entry.address));

/**
 * Protection against DNS rebinding: a Host must be a loopback name, the bound address, an address of one of this host's
 * interfaces, this host's name, a cluster Service name or on the list. Other IP literals do not pass.
 */
export class HostCheck {
  readonly #names: ReadonlySet<string>;
  readonly #networkAddresses: NetworkAddresses;

  constructor(
    options: Pick<HttpAppOptions, 'allowedHosts' | 'boundAddress'>,
    networkAddresses: NetworkAddresses = ownAddresses,
  ) {
    const listed = [...(options.allowedHosts ?? []), options.boundAddress ?? '', hostname()];
    this.#names = new Set([...LOOPBACK_NAMES, ...listed.flatMap((name) => normalizeHost(name) ?? [])]);
    this.#networkAddresses = networkAddresses;
  }

  allows(hostHeader: string | undefined): boolean {
    const host = hostHeader === undefined ? undefined : normalizeHost(hostHeader);
    if (host === undefined) return false;
    if (this.#names.has(host) || CLUSTER_SERVICE_NAME.test(host)) return true;
    // Read each time: a pod's or a VPN's address can appear after start.
    return (
      /^(?:\[|[\d.]+$)/.test(host) && this.#networkAddresses().some((own) => normalizeHost(own) === host)
    );
  }
}

/** No Origin (not a browser) passes; loopback origins and listed ones pass; everything else, `null` included, does not. */
export class OriginCheck {
  readonly #allowed: ReadonlySet<string>;

  constructor(allowedOrigins: readonly string[] = []) {
    this.#allowed = new Set(allowedOrigins.map((entry) => entry.trim().toLowerCase().replace(/\/$/, '')));
  }

  allows(originHeader: string | undefined): boolean {
    if (originHeader === undefined) return true;
    let origin: URL;
    try {
      origin = new URL(originHeader);
    } catch {
      return false;
    }
    if (origin.protocol !== 'http:' && origin.protocol !== 'https:')
      return this.#allowed.has(originHeader.toLowerCase());
    return (
      isLoopbackAddress(origin.hostname) ||
      this.#allowed.has(origin.origin) ||
      this.#allowed.has(origin.hostname)
    );
  }
}

export type Authentication =
  | { readonly kind: 'authenticated'; readonly principal: string }
  | { readonly kind: 'missing' | 'invalid' | 'unavailable' };

const ANONYMOUS = 'anonymous';

/** Who is calling, by bearer token. Without token files everyone is `anonymous` and let in. */
export class Authenticator {
  readonly #tokens: readonly { readonly principal: string; readonly token: TokenFile }[];

  constructor(options: Pick<HttpAppOptions, 'tokenFiles'>, logger: Logger = silentLogger) {
    this.#tokens = (options.tokenFiles ?? []).map(({ principal, file }) => ({
      principal,
      token: new TokenFile(file, logger),
    }));
  }

  async authenticate(authorization: string | undefined): Promise<Authentication> {
    if (this.#tokens.length === 0) return { kind: 'authenticated', principal: ANONYMOUS };
    const presented = /^Bearer +(\S+) *$/i.exec(authorization ?? '')?.[1];
    // All files are checked whatever the outcome, so that timing does not tell which token was tried.
    const checks = await Promise.all(
      this.#tokens.map(async ({ principal, token }) => ({
        principal,
        check: await token.check(presented ?? ''),
      })),
    );
    const match = presented === undefined ? undefined : checks.find(({ check }) => check === 'match');
    if (match !== undefined) return { kind: 'authenticated', principal: match.principal };
    if (checks.every(({ check }) => check === 'unavailable')) return { kind: 'unavailable' };
    return { kind: authorization === undefined ? 'missing' : 'invalid' };
  }

  /** Token files that cannot be used at the moment, for readiness. */
  async problems(): Promise<string[]> {
    const problems = await Promise.all(this.#tokens.map(({ token }) => token.problem()));
    return problems.flatMap((problem) => problem ?? []);
  }
}
