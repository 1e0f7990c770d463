import { describe, expect, it } from 'vitest';
import { skipReason } from '../tools/tools.ts';
import { namespace, render } from './helm.ts';
import { containersOf, podTemplateOf } from './kubernetes-objects.ts';

const isMissing = skipReason('helm-3') !== undefined;

describe.skipIf(isMissing)('the gateway', () => {
  // A Service is found by its name in its own namespace, and by name and namespace from others (Kubernetes, "DNS for Services and Pods").
  // NAME.NAMESPACE looks like any domain, so a server cannot let it pass by itself.
  it('lets the short names of its Service pass the Host check', async () => {
    const objects = await render({});
    const service = objects.find(
      ({ kind, metadata }) => kind === 'Service' && metadata.name.endsWith('-gateway'),
    );
    const gateway = objects.find(({ kind }) => kind === 'Deployment');
    const spec = gateway && podTemplateOf(gateway)?.spec;
    if (!service || !spec) throw new Error('no gateway is rendered');
    const args = containersOf(spec).flatMap(({ container }) => container.args ?? []);
    const { name } = service.metadata;
    for (const host of [name, `${name}.${namespace}`]) expect(args).toContain(`--allowed-host=${host}`);
  });
});
