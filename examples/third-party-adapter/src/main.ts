// Proves the adapter with the contract suite, under Node's own test runner:  npm start -w @k8s-gpu-mcp/example-third-party-adapter
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { runGpuProviderContract } from '@k8s-gpu-mcp/contract-tests';
import { createAcmeProvider } from './acme-provider.ts';

const readings = {
  product: 'Acme Rocket 9',
  memory_total: '17179869184',
  memory_used: '1073741824',
  temperature: '41500',
};

/** The driver's folder with two GPUs in it. */
async function fakeDriver(): Promise<string> {
  const root = await mkdtemp(join(tmpdir(), 'acme-'));
  for (const [position, address] of ['0000:41:00.0', '0000:42:00.0'].entries()) {
    await mkdir(join(root, address));
    const files = Object.entries({
      ...readings,
      uuid: `ACME-00000000-0000-0000-0000-00000000000${position}`,
    });
    for (const [file, text] of files) await writeFile(join(root, address, file), `${text}\n`);
  }
  return root;
}

runGpuProviderContract({
  test,
  async createFixture() {
    const root = await fakeDriver();
    return {
      provider: createAcmeProvider(root),
      expectedGpuCount: 2,
      dispose: () => rm(root, { recursive: true }),
    };
  },
});
