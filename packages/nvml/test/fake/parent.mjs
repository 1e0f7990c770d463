// A process that holds a provider, for tests that end it: node parent.mjs LIBRARY CONFIG MODE
// hang: reads GPU 0, which hangs, prints the helper's pid once it does, and closes on SIGTERM. drain: lets the read be aborted, then just ends.
import { createNvmlProvider } from '../../dist/index.js';

const [library, config, mode] = process.argv.slice(2);
const provider = createNvmlProvider({
  library,
  environment: { FAKE_NVML_CONFIG: config },
  stallMilliseconds: 300,
  hungAfterMilliseconds: 300,
  readDeadlineMilliseconds: 60_000,
});
const node = await provider.describeNode(AbortSignal.timeout(20_000));
const controller = new AbortController();
const read = provider.readGpu(node.gpus[0], ['thermal'], controller.signal);
read.catch((error) => {
  console.log(`rejected ${error.code}`);
});
if (mode === 'drain') {
  setTimeout(() => controller.abort(), 500);
} else {
  process.on('SIGTERM', () => {
    provider.close().then(() => console.log('closed'));
  });
  console.log('reading');
}
