// The rules that an entry of the MCP registry must keep, and what ties ours to the rest of the release.
// From the schema 2025-12-11 (https://static.modelcontextprotocol.io/schemas/2025-12-11/server.schema.json) and the registry's own demands
// (https://github.com/modelcontextprotocol/registry, docs/reference/server-json and docs/modelcontextprotocol-io/package-types.mdx).
// The published schema lets unknown fields pass; here they are refused, because a misspelt field would be lost without a word.
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import Ajv from 'ajv';
import { containerFile, publishable } from './workspace.mjs';

export const schemaAddress = 'https://static.modelcontextprotocol.io/schemas/2025-12-11/server.schema.json';
export const nameLabel = 'io.modelcontextprotocol.server.name';

const text = { type: 'string', minLength: 1 };
const address = { type: 'string', pattern: '^https://[^\\s]+$' };
const strict = (required, properties) => ({
  type: 'object',
  required,
  properties,
  additionalProperties: false,
});

const input = {
  description: text,
  isRequired: { type: 'boolean' },
  isSecret: { type: 'boolean' },
  format: { enum: ['string', 'number', 'boolean', 'filepath'] },
  value: { type: 'string' },
  default: { type: 'string' },
  placeholder: { type: 'string' },
  choices: { type: 'array', items: text },
};
const argument = {
  anyOf: [
    strict(['type', 'name'], {
      ...input,
      type: { const: 'named' },
      name: text,
      isRepeated: { type: 'boolean' },
    }),
    {
      ...strict(['type'], {
        ...input,
        type: { const: 'positional' },
        valueHint: text,
        isRepeated: { type: 'boolean' },
      }),
      anyOf: [{ required: ['valueHint'] }, { required: ['value'] }],
    },
  ],
};
// A specific version: neither "latest" nor a range.
const version = { type: 'string', minLength: 1, maxLength: 255, not: { pattern: '^latest$|[\\^~<>=*x ]' } };
const packageBase = {
  identifier: text,
  runtimeHint: { enum: ['npx', 'uvx', 'docker', 'dnx'] },
  runtimeArguments: { type: 'array', items: argument },
  packageArguments: { type: 'array', items: argument },
  environmentVariables: { type: 'array', items: strict(['name'], { ...input, name: text }) },
  transport: strict(['type'], { type: { const: 'stdio' } }),
};
const packages = {
  npm: strict(['registryType', 'identifier', 'version', 'transport'], {
    ...packageBase,
    registryType: { const: 'npm' },
    registryBaseUrl: { const: 'https://registry.npmjs.org' },
    version,
  }),
  // The tag is the version: an image must not carry the field beside it. Only these registries are accepted; ours is one of them.
  oci: strict(['registryType', 'identifier', 'transport'], {
    ...packageBase,
    registryType: { const: 'oci' },
    identifier: {
      type: 'string',
      pattern: '^ghcr\\.io/[a-z0-9._/-]+:[A-Za-z0-9._-]+$',
      not: { pattern: ':latest$' },
    },
  }),
  mcpb: strict(['registryType', 'identifier', 'fileSha256', 'transport'], {
    ...packageBase,
    registryType: { const: 'mcpb' },
    identifier: { type: 'string', pattern: '^https://github\\.com/[^\\s]*mcp[^\\s]*$' },
    fileSha256: { type: 'string', pattern: '^[a-f0-9]{64}$' },
  }),
};
const schema = strict(['$schema', 'name', 'description', 'version', 'packages'], {
  $schema: { const: schemaAddress },
  name: {
    type: 'string',
    minLength: 3,
    maxLength: 200,
    pattern: '^[a-zA-Z0-9.-]+/[a-zA-Z0-9._-]+$',
  },
  title: { type: 'string', minLength: 1, maxLength: 100 },
  description: { type: 'string', minLength: 1, maxLength: 100 },
  version,
  websiteUrl: address,
  repository: strict(['url', 'source'], { url: address, source: { const: 'github' }, subfolder: text }),
  packages: {
    type: 'array',
    minItems: 1,
    items: {
      type: 'object',
      required: ['registryType'],
      discriminator: { propertyName: 'registryType' },
      oneOf: Object.values(packages),
    },
  },
});
const isValid = new Ajv({ allErrors: true, discriminator: true }).compile(schema);

/** What is wrong with this entry, in words; `root` is the repository that it must agree with. */
export function serverJsonProblems(root, server) {
  if (!isValid(server))
    return isValid.errors.map(
      (error) => `server.json${error.instancePath}: ${error.message} ${JSON.stringify(error.params)}`,
    );

  const problems = [];
  const manifests = new Map(publishable(root).map(({ manifest }) => [manifest.name, manifest]));
  const documented = readFileSync(join(root, 'docs', 'configuration.md'), 'utf8');
  for (const entry of server.packages) {
    if (entry.runtimeArguments !== undefined && entry.runtimeHint === undefined)
      problems.push(`server.json, ${entry.identifier}: runtimeArguments need a runtimeHint`);
    // Ownership of an npm package is the field mcpName of what is published.
    if (entry.registryType === 'npm') {
      const mcpName = manifests.get(entry.identifier)?.mcpName;
      if (mcpName !== server.name)
        problems.push(`${entry.identifier}: mcpName in package.json is ${mcpName}, not ${server.name}`);
    }
    for (const { name } of entry.environmentVariables ?? [])
      if (!documented.includes(`\`${name}\``))
        problems.push(`server.json, ${entry.identifier}: no program reads ${name}`);
  }

  // Ownership of an image is this label.
  const container = join(root, containerFile);
  if (existsSync(container)) {
    const label = new RegExp(`${nameLabel.replaceAll('.', '\\.')}"?=["']?([^"'\\s]+)`);
    const found = label.exec(readFileSync(container, 'utf8'))?.[1];
    if (found !== server.name)
      problems.push(`${containerFile}: label ${nameLabel} is ${found}, not ${server.name}`);
  }
  return problems;
}
