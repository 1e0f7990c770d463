// The requests of a fan-out without a gateway: sent as they are, bodies read and thrown away.
import { Pool } from 'undici';

async function post(pool, { headers, body }) {
  const answer = await pool.request({ method: 'POST', path: '/mcp', headers, body });
  let bytes = 0;
  for await (const chunk of answer.body) bytes += chunk.length;
  if (answer.statusCode !== 200 || bytes === 0) throw new Error(`an agent answered ${answer.statusCode}`);
}

const poolOf = ({ url }) =>
  new Pool(new URL(url).origin, { connections: 8, headersTimeout: 0, bodyTimeout: 0 });

async function timed(work) {
  const began = performance.now();
  await work();
  return performance.now() - began;
}

/** All agents, so many at once. */
export function bareLoop(agents, request, concurrency) {
  const pools = agents.map(poolOf);
  const round = async () => {
    let next = 0;
    const worker = async () => {
      while (next < pools.length) await post(pools[next++], request);
    };
    await Promise.all(Array.from({ length: Math.min(concurrency, pools.length) }, worker));
  };
  return { ask: () => timed(round), close: () => Promise.all(pools.map((pool) => pool.destroy())) };
}

export function oneAlone(agent, request) {
  const pool = poolOf(agent);
  return { ask: () => timed(() => post(pool, request)), close: () => pool.destroy() };
}
