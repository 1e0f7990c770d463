// What can be wrong with one node, what the gateway must say of it, and how it ends. `begin` and `end` get the place of the node;
// `isForeign`: to be tried on the pod of another DaemonSet.

const timeout = { statuses: ['timeout'], reason: /no answer within/ };
const error = (reason) => ({ statuses: ['error'], reason });
/** Lost packets: whether a connection was open, or had to be made, decides how it shows. */
const lost = {
  statuses: ['timeout', 'error'],
  reason: /no answer within|no connection came about|no route|closed the connection/,
};
const restart = async (place) => {
  await place.stop();
  await place.start();
};
const misbehaving = (name, mode, expected) => ({
  name,
  expected,
  begin: (place) => place.misbehave(mode),
  end: restart,
});
const certificate = (name, which, reason) => ({
  name: `certificate: ${name}`,
  expected: error(reason),
  async begin(place) {
    await place.stop();
    await place.start({ certificate: which });
  },
  end: restart,
});

export const agentFaults = (bed) => [
  {
    name: 'killed',
    expected: error(/refuses connections|closed the connection|reset the connection/),
    begin: (place) => place.stop(),
    end: (place) => place.start(),
  },
  {
    name: 'hung: accepts, never answers',
    expected: timeout,
    begin: (place) => place.signal('SIGSTOP'),
    end: (place) => place.signal('SIGCONT'),
  },
  {
    name: `partitioned: packets dropped (${bed.filter})`,
    expected: lost,
    begin: (place) => place.partition(),
    end: (place) => place.heal(),
  },
  {
    name: 'partitioned: link down',
    expected: lost,
    begin: (place) => place.unplug(),
    end: (place) => place.plug(),
  },
  misbehaving('garbage: a login page', 'html', error(/not MCP|nothing there speaks MCP/)),
  misbehaving('garbage: half a JSON text', 'not-json', error(/not MCP|cut off/)),
  misbehaving('garbage: nested 100,000 deep', 'nested', error(/nested too deep/)),
  misbehaving('garbage: no TLS', 'not-tls', error(/does not speak TLS/)),
  misbehaving('answer cut off', 'cut-off', error(/cut off/)),
  misbehaving('huge body', 'huge', error(/larger than \d+ bytes/)),
  misbehaving('huge body, announced', 'huge-announced', error(/larger than \d+ bytes/)),
  misbehaving('body in slow drips', 'drip', timeout),
  misbehaving('event stream without an answer', 'stream-without-end', timeout),
  certificate('expired', 'expired', /certificate is refused: it has expired/),
  certificate('for another name', 'other-name', /certificate is refused: it is for another name/),
  certificate('of an unknown authority', 'unknown-authority', /certificate is refused: .*unknown authority/),
  {
    name: '401: another token',
    expected: error(/does not accept the token/),
    async begin(place) {
      await place.stop();
      await place.start({ tokenFile: bed.otherToken });
    },
    end: restart,
  },
  misbehaving('500 to everything', 'status-500', error(/HTTP 500/)),
  misbehaving('503 to everything', 'status-503', error(/overloaded.*HTTP 503/)),
  misbehaving('503, come back in an hour', 'status-503-for-an-hour', error(/overloaded.*HTTP 503/)),
  misbehaving('redirects elsewhere', 'redirect', error(/redirects elsewhere/)),
  misbehaving('of another protocol version', 'other-version', error(/speaks MCP 2099-01-01, this gateway/)),
  misbehaving('its tool fails', 'tool-error', error(/error of its tool/)),
  misbehaving('lies: an empty answer', 'empty-answer', error(/this gateway reads v1/)),
  misbehaving('lies: ok, with no GPU looked at', 'no-gpus', { statuses: ['ok'], reason: /^/ }),
  { ...misbehaving('of somebody else, and misbehaves', 'status-503', error(/HTTP 503/)), isForeign: true },
];

/** These at the same time, with the API server away. */
export const manyAtOnce = ['killed', 'hung', 'link down', 'garbage: a login', 'certificate: expired', '401'];
