// What can be wrong with the API server. During each, the agents are asked as before; a pod that was replaced meanwhile must be found
// after it. `isStale`: whether the set of nodes must be marked as out of date while it lasts; undefined when either is right.
import { setTimeout as sleep } from 'node:timers/promises';

const podsPath = '/api/v1/namespaces/gpu/pods';

/** Every request fails from now on, and what is open is cut. */
function failing(api, fault) {
  const stop = api.inject(fault);
  api.closeWatches('reset');
  return stop;
}

const status = (api, code, more = {}) => ({
  name: `API server: ${code} to everything`,
  isStale: true,
  begin: () => failing(api, { kind: 'status', status: code, ...more }),
});

const noticeLimitMilliseconds = 20_000;

/** @throws Error when the gateway does not do what it must. */
async function until(api, condition) {
  const late = sleep(noticeLimitMilliseconds, false, { ref: false });
  if ((await Promise.race([api.until(condition).then(() => true), late])) === false)
    throw new Error(`the gateway has ${api.openWatches} watches open and does not list again`);
}

export const apiFaults = (api) => {
  const lastFrom = () =>
    api.requests
      .filter(({ verb, path }) => verb === 'watch' && path === podsPath)
      .at(-1)
      ?.query.get('resourceVersion');
  const listCount = () =>
    api.requests.filter(({ verb, path }) => verb === 'list' && path === podsPath).length;
  return [
    {
      name: 'API server: a bookmark, then the end of the watch',
      isStale: false,
      async begin() {
        const lists = listCount();
        // Changes that these watches do not see move the version on: only the bookmark tells of it.
        api.put('/api/v1/namespaces/other/pods', { metadata: { name: 'unseen', namespace: 'other' } });
        api.bookmark();
        const version = api.resourceVersion;
        await sleep(300);
        api.closeWatches('end');
        await until(api, ({ openWatches }) => openWatches === 2);
        if (lastFrom() !== version) throw new Error(`watched on from ${lastFrom()}, not from ${version}`);
        if (listCount() !== lists) throw new Error('listed again for no reason');
      },
    },
    {
      name: 'API server: 410 within the watch',
      isStale: false,
      async begin() {
        const lists = listCount();
        api.compact();
        api.failWatches(410);
        await until(api, ({ openWatches }) => openWatches === 2 && listCount() > lists);
      },
    },
    {
      name: 'API server: 410 as the status of the watch',
      isStale: false,
      async begin() {
        const lists = listCount();
        // The version that the watch would go on from is forgotten while nothing is connected.
        const stop = api.inject({ kind: 'status', status: 410, on: 'watch', times: 2 });
        api.closeWatches('end');
        await until(api, ({ openWatches }) => openWatches === 2 && listCount() > lists);
        stop();
      },
    },
    {
      name: 'API server: garbage in the watch',
      begin() {
        api.writeToWatches('{"type":"MODIFIED","object":{"meta\n<html>\u0000\n');
      },
    },
    status(api, 401),
    status(api, 403),
    status(api, 429, { retryAfter: '2' }),
    status(api, 500),
    {
      name: 'API server: slow (3 s an answer)',
      isStale: undefined,
      begin: () => failing(api, { kind: 'slow', milliseconds: 3_000 }),
    },
    {
      name: 'API server: dead for 10 s',
      isStale: true,
      lastsMilliseconds: 10_000,
      begin: () => failing(api, { kind: 'dead' }),
    },
  ];
};
