import { describe, expect, test } from 'vitest';
import type { GpuResource } from '../resources/gpu-resources.ts';
import { findResource } from './find-resource.ts';

const resource = (uri: string): GpuResource => ({
  name: uri,
  title: uri,
  description: uri,
  mimeType: 'application/json',
  uri,
  isTemplate: uri.includes('{'),
  read: async () => '{}',
});

const resources = [
  'gpu://node/gpus/{id}',
  'gpu://node/gpus/all',
  'gpu://a.b/x/{code}',
  'gpu://{node}/pair/{left}/{right}',
].map(resource);

/** The URI or template that was found, and the values of its variables. */
const found = (uri: string) => {
  const it = findResource(resources, uri);
  return it && [it.resource.uri, it.variables];
};

describe('findResource', () => {
  test.each([
    ['gpu://node/gpus/3', 'gpu://node/gpus/{id}', { id: '3' }],
    // RFC 6570, section 3.2.2: values are percent-encoded in a URI; what they mean is for the resource to say.
    ['gpu://node/gpus/0000%3A3a%3A00.0', 'gpu://node/gpus/{id}', { id: '0000%3A3a%3A00.0' }],
    ['gpu://n/pair/1/2', 'gpu://{node}/pair/{left}/{right}', { node: 'n', left: '1', right: '2' }],
    ['gpu://a.b/x/7', 'gpu://a.b/x/{code}', { code: '7' }],
  ])('%s fits %s', (uri, template, variables) => {
    expect(found(uri)).toEqual([template, variables]);
  });

  test('a resource of its own goes before a template that would fit, wherever it stands', () => {
    expect(found('gpu://node/gpus/all')).toEqual(['gpu://node/gpus/all', {}]);
  });

  test.each([
    'gpu://node/gpus/',
    'gpu://node/gpus/1/2',
    'gpu://node/gpus/1,2',
    'gpu://node/gpus/1/',
    'xgpu://node/gpus/1',
    // A dot of a template is a dot.
    'gpu://aXb/x/7',
    'gpu://n/pair/1',
    '',
  ])('%j is none', (uri) => {
    expect(found(uri)).toBeUndefined();
  });

  test('planted fault: what fits is found no more when its template is gone', () => {
    expect(findResource(resources.slice(1), 'gpu://node/gpus/3')).toBeUndefined();
  });
});
