// What the public registries have of a version: npm, an OCI registry (image and chart), the MCP registry. Reading only, as anybody may.
import { createHash } from 'node:crypto';

/** Where things go; each can be another one for trials. */
export const defaultRegistries = {
  npm: 'https://registry.npmjs.org',
  oci: 'https://ghcr.io',
  mcp: 'https://registry.modelcontextprotocol.io',
};

const manifestTypes = [
  'application/vnd.oci.image.index.v1+json',
  'application/vnd.oci.image.manifest.v1+json',
  'application/vnd.docker.distribution.manifest.list.v2+json',
  'application/vnd.docker.distribution.manifest.v2+json',
].join(', ');

/**
 * A connection may have been closed while npm or helm ran, which is noticed by using it only. Nothing but reading is done here, so it is
 * done again.
 */
async function connected(url, headers, triesLeft = 2) {
  try {
    return await fetch(url, { headers, signal: AbortSignal.timeout(60_000) });
  } catch (error) {
    if (triesLeft === 0) throw new Error(`${url} gives no answer: ${error.cause?.message ?? error.message}`);
    return connected(url, headers, triesLeft - 1);
  }
}

async function get(url, headers = {}) {
  const response = await connected(url, headers);
  if (response.status === 404) return undefined;
  if (response.ok) return response;
  const error = new Error(`${url} answered HTTP ${response.status}`);
  error.response = response;
  throw error;
}

const getJson = async (...request) => (await get(...request))?.json();

/** The manifest of one version of an npm package; undefined when it is not there. */
export const npmVersion = (registry, name, version) =>
  getJson(`${registry}/${name.replace('/', '%2f')}/${encodeURIComponent(version)}`);

/** One version of a server in the MCP registry; undefined when it is not there. */
export async function mcpVersion(registry, name, version) {
  const path = `${encodeURIComponent(name)}/versions/${encodeURIComponent(version)}`;
  return (await getJson(`${registry}/v0.1/servers/${path}`))?.server;
}

/** Reads one repository of an OCI registry, with the token that the registry gives to anybody. */
function ociRepository(registry, repository) {
  let token;
  const read = async (path, accept) => {
    const request = () =>
      get(`${registry}/v2/${repository}/${path}`, {
        accept,
        ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
      });
    try {
      return await request();
    } catch (error) {
      const challenge = error.response?.headers.get('www-authenticate') ?? '';
      if (error.response?.status !== 401 || token !== undefined || !challenge.startsWith('Bearer '))
        throw error;
      token = await anonymousToken(challenge);
      return await request();
    }
  };
  const manifestResponse = (reference) => read(`manifests/${reference}`, manifestTypes);
  return {
    manifestResponse,
    manifest: async (reference) => (await manifestResponse(reference))?.json(),
    blob: (digest) => read(`blobs/${digest}`, '*/*'),
  };
}

// distribution.github.io/distribution/spec/auth/token
async function anonymousToken(challenge) {
  const fields = Object.fromEntries(
    [...challenge.matchAll(/(\w+)="([^"]*)"/g)].map(([, key, value]) => [key, value]),
  );
  const url = new URL(fields.realm);
  for (const key of ['service', 'scope'])
    if (fields[key] !== undefined) url.searchParams.set(key, fields[key]);
  const answer = await getJson(url);
  return answer?.token ?? answer?.access_token;
}

/** Labels of an image by platform, like `linux/amd64`; undefined when the tag is not there. */
export async function imageLabels(registry, repository, tag) {
  const source = ociRepository(registry, repository);
  const top = await source.manifest(tag);
  if (top === undefined) return undefined;
  // Attestations stand beside the images of an index, as platform "unknown".
  const entries = (top.manifests ?? []).filter(({ platform }) => platform?.os !== 'unknown');
  const images =
    top.manifests === undefined
      ? [top]
      : await Promise.all(entries.map(({ digest }) => source.manifest(digest)));
  const labels = new Map();
  for (const image of images) {
    const config = await (await source.blob(image.config.digest)).json();
    labels.set(`${config.os}/${config.architecture}`, config.config?.Labels ?? {});
  }
  return labels;
}

/** The chart that a tag stands for: the digests of its manifest, which is signed, and of its archive; undefined when it is not there. */
export async function publishedChart(registry, repository, version) {
  const source = ociRepository(registry, repository);
  const response = await source.manifestResponse(version);
  if (response === undefined) return undefined;
  const manifest = Buffer.from(await response.arrayBuffer());
  const { layers } = JSON.parse(manifest);
  const layer = layers.find(({ mediaType }) => mediaType.includes('helm.chart.content'));
  if (layer === undefined) throw new Error(`${repository}:${version} is not a chart`);
  return {
    digest: `sha256:${createHash('sha256').update(manifest).digest('hex')}`,
    archiveDigest: layer.digest,
    archive: async () => Buffer.from(await (await source.blob(layer.digest)).arrayBuffer()),
  };
}
