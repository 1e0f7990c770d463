/** As JSON, which is YAML too. */
export function kubeconfig(options: {
  readonly server: string;
  readonly authority: string;
  readonly token: string;
  readonly namespace: string;
}): string {
  const { server, authority, token, namespace } = options;
  const cluster = { server, 'certificate-authority-data': Buffer.from(authority).toString('base64') };
  return JSON.stringify({
    apiVersion: 'v1',
    kind: 'Config',
    'current-context': 'stand-in',
    clusters: [{ name: 'stand-in', cluster }],
    users: [{ name: 'me', user: { token } }],
    contexts: [{ name: 'stand-in', context: { cluster: 'stand-in', user: 'me', namespace } }],
  });
}
