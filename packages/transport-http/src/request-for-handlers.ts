/**
 * The request as handlers may see it: its body is parsed already, and the bearer token is nobody else's business. Hardly any handler looks at
 * more than a header or the signal, and a whole `Request` costs more than many a tool, so one is made only for who asks for the rest.
 */
export function requestForHandlers(request: Request, signal?: AbortSignal): Request {
  const { method, url } = request;
  const headers = withoutToken(request.headers);
  // No accessor among them: V8 would keep it, and the request with it, until the whole heap is collected.
  const cheap = { method, url, headers };
  const signalOf = () => signal ?? request.signal;
  let whole: Request | undefined;
  return new Proxy(request, {
    get(_target, name) {
      if (name === 'signal') return signalOf();
      if (Object.hasOwn(cheap, name)) return Reflect.get(cheap, name);
      whole ??= new Request(url, { ...cheap, signal: signalOf() });
      const value: unknown = Reflect.get(whole, name, whole);
      return typeof value === 'function' ? value.bind(whole) : value;
    },
  });
}

function withoutToken(headers: Headers): Headers {
  if (!headers.has('authorization')) return headers;
  const others = new Headers(headers);
  others.delete('authorization');
  return others;
}
