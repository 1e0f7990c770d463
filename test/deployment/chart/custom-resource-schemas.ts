// Of the two kinds of the Prometheus Operator, the fields that the chart uses, as its API reference has them
// (https://prometheus-operator.dev/docs/api-reference/api/, monitoring.coreos.com/v1). Fields that the chart does not use are refused too:
// who adds one to a template looks it up and adds it here.
const text = { type: 'string', minLength: 1 } as const;
const texts = { type: 'object', additionalProperties: { type: 'string' } } as const;
/** Duration: `^(0|(([0-9]+)y)?(([0-9]+)w)?(([0-9]+)d)?(([0-9]+)h)?(([0-9]+)m)?(([0-9]+)s)?(([0-9]+)ms)?)$`. */
const duration = {
  type: 'string',
  pattern: '^(?:0|(?:\\d+y)?(?:\\d+w)?(?:\\d+d)?(?:\\d+h)?(?:\\d+m)?(?:\\d+s)?(?:\\d+ms)?)$',
  minLength: 1,
} as const;
const object = (properties: Record<string, object>, required: readonly string[] = []) => ({
  type: 'object',
  properties,
  required: [...required],
  additionalProperties: false,
});
const secretKey = object({ name: text, key: text, optional: { type: 'boolean' } }, ['key']);
const secretOrConfigMap = {
  oneOf: [object({ secret: secretKey }, ['secret']), object({ configMap: secretKey }, ['configMap'])],
};
const labelSelector = object({
  matchLabels: texts,
  matchExpressions: {
    type: 'array',
    items: object(
      {
        key: text,
        operator: { enum: ['In', 'NotIn', 'Exists', 'DoesNotExist'] },
        values: { type: 'array', items: text },
      },
      ['key', 'operator'],
    ),
  },
});
const relabeling = object({
  sourceLabels: { type: 'array', items: text },
  separator: { type: 'string' },
  targetLabel: text,
  regex: text,
  replacement: { type: 'string' },
  action: {
    type: 'string',
    pattern:
      '^(?:[Rr]eplace|[Kk]eep|[Dd]rop|[Hh]ash[Mm]od|[Ll]abel(?:[Mm]ap|[Dd]rop|[Kk]eep)|[Ll]owercase|[Uu]ppercase)$',
  },
});
const endpoint = object({
  port: text,
  path: text,
  scheme: { enum: ['http', 'https', 'HTTP', 'HTTPS'] },
  interval: duration,
  scrapeTimeout: duration,
  honorLabels: { type: 'boolean' },
  bearerTokenSecret: secretKey,
  authorization: object({ type: text, credentials: secretKey }),
  tlsConfig: object({ ca: secretOrConfigMap, serverName: text, insecureSkipVerify: { type: 'boolean' } }),
  relabelings: { type: 'array', items: relabeling },
  metricRelabelings: { type: 'array', items: relabeling },
});
const alert = object(
  { alert: text, expr: { type: ['string', 'integer'] }, for: duration, labels: texts, annotations: texts },
  ['alert', 'expr'],
);
const group = object(
  { name: text, interval: duration, rules: { type: 'array', items: alert, minItems: 1 } },
  ['name'],
);
const metadata = object({ name: text, namespace: text, labels: texts, annotations: texts }, ['name']);
const kind = (name: string, spec: object) =>
  object({ apiVersion: { const: 'monitoring.coreos.com/v1' }, kind: { const: name }, metadata, spec }, [
    'apiVersion',
    'kind',
    'metadata',
    'spec',
  ]);

export const customResourceSchemas: Readonly<Record<string, object>> = {
  'monitoring.coreos.com/v1/ServiceMonitor': kind(
    'ServiceMonitor',
    object(
      {
        jobLabel: text,
        targetLabels: { type: 'array', items: text },
        podTargetLabels: { type: 'array', items: text },
        selector: labelSelector,
        namespaceSelector: object({ any: { type: 'boolean' }, matchNames: { type: 'array', items: text } }),
        endpoints: { type: 'array', items: endpoint, minItems: 1 },
      },
      ['selector', 'endpoints'],
    ),
  ),
  'monitoring.coreos.com/v1/PrometheusRule': kind(
    'PrometheusRule',
    object({ groups: { type: 'array', items: group, minItems: 1 } }),
  ),
};
