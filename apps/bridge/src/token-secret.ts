import type { Logger } from '@k8s-gpu-mcp/core';
import type { ClusterAccess } from './cluster-access.ts';
import { ClusterError } from './cluster-error.ts';
import { type GatewayService, tokenSecretAnnotation } from './find-gateway.ts';
import type { RouteToken } from './gateway-route.ts';
import { fieldOf, itemsOf, nameOf } from './kubernetes-object.ts';

const secretSelector = 'app.kubernetes.io/name=k8s-gpu-mcp-server,app.kubernetes.io/component=gateway-token';
const usualKey = 'token';
/** `NAME` or `NAME/KEY`, as Kubernetes names Secrets and their keys. */
const secretReference = /^[a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?(?:\/[\w-][\w.-]{0,252})?$/;
const maxTokenBytes = 16_384;
/** What an HTTP header can carry (RFC 6750, section 2.1, allows less; an unprintable byte would break the request). */
const headerText = /^[\x21-\x7e]+$/;

export interface TokenSecretOptions {
  readonly cluster: ClusterAccess;
  readonly service: GatewayService;
  readonly signal: AbortSignal;
  readonly logger: Logger;
}

/**
 * The bearer token that the release keeps in a Secret beside the gateway. It is read when the Service names the Secret,
 * or when the gateway has refused a request; then it is read again. The token is never logged.
 */
export async function secretToken(options: TokenSecretOptions): Promise<RouteToken> {
  const source = new SecretToken(options);
  if (options.service.tokenSecret !== undefined) await source.renew();
  return source;
}

class SecretToken implements RouteToken {
  readonly #options: TokenSecretOptions;
  #token: string | undefined;
  #problem: string | undefined;
  #reading: Promise<boolean> | undefined;

  constructor(options: TokenSecretOptions) {
    this.#options = options;
  }

  current(): string | undefined {
    return this.#token;
  }

  problem(): string | undefined {
    return this.#problem;
  }

  /** Requests that are refused together read it once. */
  renew(): Promise<boolean> {
    this.#reading ??= this.#renew().finally(() => {
      this.#reading = undefined;
    });
    return this.#reading;
  }

  async #renew(): Promise<boolean> {
    const before = this.#token;
    try {
      this.#token = await this.#read();
      this.#problem = undefined;
    } catch (error) {
      this.#token = undefined;
      this.#problem = error instanceof Error ? error.message : String(error);
      this.#options.logger.warn('no token from the cluster', { reason: this.#problem });
    }
    return this.#token !== undefined && this.#token !== before;
  }

  async #read(): Promise<string> {
    const { namespace, tokenSecret } = this.#options.service;
    const secrets = `/api/v1/namespaces/${encodeURIComponent(namespace)}/secrets`;
    if (tokenSecret !== undefined) {
      if (!secretReference.test(tokenSecret))
        throw new Error(
          `The annotation ${tokenSecretAnnotation} of the gateway's Service names no Secret: give the token with --token-file.`,
        );
      const [name = '', key = usualKey] = tokenSecret.split('/', 2);
      const where = `Secret ${namespace}/${name}`;
      const secret = await this.#get(`${secrets}/${encodeURIComponent(name)}`, `get ${where}`);
      return tokenOf(secret, key, where);
    }
    const labelled = `${secrets}?labelSelector=${encodeURIComponent(secretSelector)}&limit=2`;
    const found = itemsOf(await this.#get(labelled, `list Secrets in namespace "${namespace}"`));
    const [only] = found;
    if (only === undefined || found.length > 1)
      throw new Error(
        `${found.length === 0 ? 'No Secret' : 'More than one Secret'} in namespace "${namespace}" is labelled ${secretSelector}: give the token with --token-file, or name its Secret in the annotation ${tokenSecretAnnotation} of the gateway's Service.`,
      );
    return tokenOf(only, usualKey, `Secret ${namespace}/${nameOf(only)}`);
  }

  async #get(path: string, what: string): Promise<unknown> {
    try {
      return await this.#options.cluster.get(path, this.#options.signal);
    } catch (error) {
      if (!(error instanceof ClusterError)) throw error;
      if (error.reason === 'forbidden')
        throw new Error(
          `You may not ${what}: give the token with --token-file, or get the right to read that Secret.`,
        );
      if (error.reason === 'not-found')
        throw new Error(`You asked to ${what}, which does not exist: give the token with --token-file.`);
      throw new Error(`It was not possible to ${what}: ${error.message}`);
    }
  }
}

/** A Secret's data is base64 (Kubernetes API, Secret v1). */
function tokenOf(secret: unknown, key: string, where: string): string {
  const encoded = fieldOf(fieldOf(secret, 'data'), key);
  if (typeof encoded !== 'string')
    throw new Error(`${where} has no key "${key}": give the token with --token-file.`);
  const token =
    encoded.length > 2 * maxTokenBytes ? '' : Buffer.from(encoded, 'base64').toString('utf8').trim();
  if (!headerText.test(token))
    throw new Error(`What ${where} has as "${key}" is no token: give one with --token-file.`);
  return token;
}
