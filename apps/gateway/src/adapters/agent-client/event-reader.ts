/**
 * Reads a stream of server-sent events: `add` calls back with the data of each event that is complete. Everything else that such a stream
 * may tell (types, ids, comments) means nothing here. Source: WHATWG HTML, section 9.2.6.
 */
export function eventReader(onData: (data: string) => void): { add(bytes: Uint8Array): void } {
  const decoder = new TextDecoder();
  let line = '';
  let data: string[] = [];
  let endedWithReturn = false;
  const readLine = (text: string) => {
    if (text === '') {
      if (data.length > 0) onData(data.join('\n'));
      data = [];
    } else if (text === 'data') data.push('');
    else if (text.startsWith('data:')) data.push(text.slice(text[5] === ' ' ? 6 : 5));
  };
  return {
    add(bytes) {
      const text = decoder.decode(bytes, { stream: true });
      if (text === '') return;
      // The second half of a line end that came in two pieces.
      const start = endedWithReturn && text.startsWith('\n') ? 1 : 0;
      endedWithReturn = text.endsWith('\r');
      const [first = '', ...rest] = text.slice(start).split(/\r\n|\n|\r/);
      // A line that comes in many pieces is put together once.
      line += first;
      for (const next of rest) {
        readLine(line);
        line = next;
      }
    },
  };
}
