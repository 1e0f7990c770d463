import { createHash } from 'node:crypto';
import { createServer, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { z } from 'zod';

/**
 * An npm registry, an OCI registry and an MCP registry on loopback that keep what they are given, so that npm and helm publish for real.
 * Protocols: github.com/npm/registry (REGISTRY-API.md), github.com/opencontainers/distribution-spec (push and pull),
 * registry.modelcontextprotocol.io/docs (v0.1).
 */
export interface TrialRegistries extends AsyncDisposable {
  readonly url: string;
  /** What was stored, in order: `npm NAME@VERSION`, `oci REPOSITORY:TAG`, `mcp NAME@VERSION`. */
  readonly stored: string[];
  /** An image for these platforms with these labels, as a build would have pushed it. */
  addImage(repository: string, tag: string, platforms: string[], labels: Record<string, string>): void;
  /** Another integrity for a package that is there, as if other content had been published. */
  tamper(name: string): void;
}

const document = z.object({
  name: z.string(),
  versions: z.record(z.string(), z.object({ dist: z.object({ integrity: z.string() }).loose() }).loose()),
  'dist-tags': z.record(z.string(), z.string()).optional(),
});
type PackageDocument = z.infer<typeof document>;
const server = z.object({ name: z.string(), version: z.string() }).loose();
const sha256 = (content: Buffer) => `sha256:${createHash('sha256').update(content).digest('hex')}`;

async function bodyOf(request: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(z.instanceof(Buffer).parse(chunk));
  return Buffer.concat(chunks);
}

interface Answer {
  status: number;
  body?: Buffer;
  headers?: Record<string, string>;
}
const json = (value: unknown, status = 200): Answer => ({ status, body: Buffer.from(JSON.stringify(value)) });
const notFound = json({ error: 'not found' }, 404);

export async function startTrialRegistries(): Promise<TrialRegistries> {
  const packages = new Map<string, PackageDocument>();
  const servers = new Map<string, z.infer<typeof server>>();
  const blobs = new Map<string, Buffer>();
  const manifests = new Map<string, { type: string; body: Buffer }>();
  const stored: string[] = [];

  const npm = (method: string, path: string, body: Buffer): Answer => {
    const [name = '', version] = path.slice(1).split('/').map(decodeURIComponent);
    const there = packages.get(name);
    if (method === 'PUT') {
      const published = document.parse(JSON.parse(body.toString()));
      packages.set(name, published);
      stored.push(...Object.keys(published.versions).map((one) => `npm ${name}@${one}`));
      return json({ ok: true }, 201);
    }
    const found = version === undefined ? there : there?.versions[version];
    return found === undefined ? notFound : json(found);
  };

  const putManifest = (repository: string, reference: string, type: string, body: Buffer): string => {
    const digest = sha256(body);
    for (const key of [reference, digest]) manifests.set(`${repository}:${key}`, { type, body });
    return digest;
  };
  const putBlob = (body: Buffer): string => {
    const digest = sha256(body);
    blobs.set(digest, body);
    return digest;
  };

  const oci = (method: string, url: URL, type: string, body: Buffer): Answer => {
    const [, repository = '', kind = '', reference = ''] =
      /^\/v2\/(.+)\/(manifests|blobs)\/(.*)$/.exec(url.pathname) ?? [];
    if (url.pathname === '/v2/') return json({});
    if (kind === 'blobs' && method === 'POST')
      return { status: 202, headers: { location: `/v2/${repository}/blobs/uploads/one` } };
    if (kind === 'blobs' && method === 'PUT') {
      const digest = putBlob(body);
      if (digest !== url.searchParams.get('digest')) return json({ error: 'DIGEST_INVALID' }, 400);
      return {
        status: 201,
        headers: { location: `/v2/${repository}/blobs/${digest}`, 'docker-content-digest': digest },
      };
    }
    if (kind === 'manifests' && method === 'PUT') {
      stored.push(`oci ${repository}:${reference}`);
      return {
        status: 201,
        headers: { 'docker-content-digest': putManifest(repository, reference, type, body) },
      };
    }
    const blob = blobs.get(reference);
    if (kind === 'blobs') return blob === undefined ? notFound : { status: 200, body: blob };
    const manifest = manifests.get(`${repository}:${reference}`);
    if (manifest === undefined) return notFound;
    return {
      status: 200,
      body: manifest.body,
      headers: { 'content-type': manifest.type, 'docker-content-digest': sha256(manifest.body) },
    };
  };

  const mcp = (method: string, path: string, body: Buffer): Answer => {
    if (method === 'POST') {
      const entry = server.parse(JSON.parse(body.toString()));
      servers.set(`${entry.name}@${entry.version}`, entry);
      stored.push(`mcp ${entry.name}@${entry.version}`);
      return json({ server: entry });
    }
    const [name = '', , version = ''] = path.replace('/v0.1/servers/', '').split('/').map(decodeURIComponent);
    const entry = servers.get(`${name}@${version}`);
    return entry === undefined ? notFound : json({ server: entry });
  };

  const http = createServer((request, response) => {
    const answer = async (): Promise<Answer> => {
      const url = new URL(request.url ?? '/', 'http://localhost');
      const body = await bodyOf(request);
      const method = request.method ?? 'GET';
      if (url.pathname.startsWith('/v2/'))
        return oci(method, url, request.headers['content-type'] ?? '', body);
      if (url.pathname.startsWith('/v0.1/')) return mcp(method, url.pathname, body);
      return npm(method, url.pathname, body);
    };
    const reply = ({ status, body = Buffer.alloc(0), headers = {} }: Answer) => {
      response.writeHead(status, {
        'content-type': 'application/json',
        'content-length': body.length,
        ...headers,
      });
      response.end(request.method === 'HEAD' ? undefined : body);
    };
    answer().then(reply, (error: unknown) => reply(json({ error: String(error) }, 500)));
  });
  await new Promise<void>((listening) => http.listen(0, '127.0.0.1', listening));
  const { port } = http.address() as AddressInfo;

  return {
    url: `http://127.0.0.1:${port}`,
    stored,
    addImage(repository, tag, platforms, labels) {
      const type = 'application/vnd.oci.image.manifest.v1+json';
      const entries = platforms.map((platform) => {
        const [os, architecture] = platform.split('/');
        const config = Buffer.from(JSON.stringify({ os, architecture, config: { Labels: labels } }));
        const image = Buffer.from(
          JSON.stringify({ schemaVersion: 2, config: { digest: putBlob(config) }, layers: [] }),
        );
        return {
          digest: putManifest(repository, sha256(image), type, image),
          platform: { os, architecture },
        };
      });
      const index = Buffer.from(JSON.stringify({ schemaVersion: 2, manifests: entries }));
      putManifest(repository, tag, 'application/vnd.oci.image.index.v1+json', index);
    },
    tamper(name) {
      for (const version of Object.values(packages.get(name)?.versions ?? {}))
        version.dist.integrity = 'sha512-other';
    },
    async [Symbol.asyncDispose]() {
      http.closeAllConnections();
      await new Promise((closed) => http.close(closed));
    },
  };
}
