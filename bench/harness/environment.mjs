// The environment that every measured process gets, ours and theirs: what distorts is taken out.

/** Node 20 parses the whole bundle of NODE_EXTRA_CA_CERTS at start; the others change what node, a program or a peer does. */
const distorting =
  /^(?:NODE_EXTRA_CA_CERTS|NODE_OPTIONS|NODE_COMPILE_CACHE|NODE_ENV|NODE_DEBUG|NODE_V8_COVERAGE|UV_THREADPOOL_SIZE|MALLOC_.*|GOGC|GOMAXPROCS|GODEBUG|GOMEMLIMIT|LD_PRELOAD|DEBUG|KUBECONFIG|OTEL_.*|K8S_GPU_MCP_.*|BENCH_.*|npm_.*|NO_COLOR|FORCE_COLOR)$/i;

export const measuredEnvironment = Object.fromEntries(
  Object.entries(process.env).filter(([name]) => !distorting.test(name)),
);

const { BENCH_SHORT, BENCH_ORIGINAL_ENVIRONMENT } = process.env;

/** BENCH_SHORT=1: small inputs and few rounds, for CI. */
export const isShort = BENCH_SHORT === '1';

/** What the person who started it all had set. For what installs and builds, which is not measured and may need its registry and certificates. */
export const originalEnvironment =
  BENCH_ORIGINAL_ENVIRONMENT === undefined ? { ...process.env } : JSON.parse(BENCH_ORIGINAL_ENVIRONMENT);

/** For the process of one benchmark: its own measurements inside itself are of a clean process too. */
export const benchmarkEnvironment = {
  ...measuredEnvironment,
  ...(isShort ? { BENCH_SHORT: '1' } : {}),
  BENCH_ORIGINAL_ENVIRONMENT: JSON.stringify(originalEnvironment),
};
