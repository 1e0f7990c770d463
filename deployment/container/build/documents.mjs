// The two documents about what is inside: a bill of materials (CycloneDX 1.6, https://cyclonedx.org/docs/1.6/json/) and the licences.

/** https://github.com/package-url/purl-spec: the scope is percent-encoded. */
const npmUrl = ({ name, version }) => `pkg:npm/${name.replace('@', '%40')}@${version}`;

function hashesOf(integrity) {
  if (integrity === undefined) return {};
  const [algorithm, digest] = integrity.split('-', 2);
  if (algorithm !== 'sha512') throw new Error(`checksum of an unknown kind: ${integrity}`);
  return { hashes: [{ alg: 'SHA-512', content: Buffer.from(digest, 'base64').toString('hex') }] };
}

/** No time and no serial number: the same sources give the same file. */
export function billOfMaterials({ name, version, components }) {
  return {
    $schema: 'http://cyclonedx.org/schema/bom-1.6.schema.json',
    bomFormat: 'CycloneDX',
    specVersion: '1.6',
    version: 1,
    metadata: {
      component: {
        type: 'container',
        'bom-ref': name,
        name,
        version,
        description: 'What this image adds to its base image; the base has a bill of its own.',
      },
    },
    components: components.map((component) => {
      const url = component.url ?? npmUrl(component);
      return {
        type: 'library',
        'bom-ref': url,
        name: component.name,
        version: component.version,
        purl: url,
        licenses: [{ license: { id: component.licence } }],
        ...hashesOf(component.integrity),
      };
    }),
  };
}

/** Every text once, under the names of all that it is for. */
export function licences(components) {
  const namesByText = new Map();
  for (const { name, version, licence, text } of components) {
    const names = namesByText.get(text) ?? [];
    namesByText.set(text, [...names, `${name} ${version} (${licence})`]);
  }
  const line = '='.repeat(80);
  return [...namesByText]
    .map(([text, names]) => `${names.join('\n')}\n${line}\n\n${text}\n`)
    .join(`\n${line}\n`);
}
