// The least that Node can do: answers `initialize`, and whatever else is asked, line by line; with a port, over HTTP. The limit for a start.
const answer = (text) => {
  const { id } = JSON.parse(text);
  return id === undefined ? '' : `${JSON.stringify({ jsonrpc: '2.0', id, result: {} })}\n`;
};
const [, , port] = process.argv;
if (port === undefined) {
  let rest = '';
  process.stdin.setEncoding('utf8').on('data', (text) => {
    const lines = (rest + text).split('\n');
    rest = lines.pop();
    process.stdout.write(lines.map(answer).join(''));
  });
} else {
  require('node:http')
    .createServer((request, response) => {
      let body = '';
      request.setEncoding('utf8').on('data', (text) => {
        body += text;
      });
      request.on('end', () => {
        const text = body === '' ? '{}' : answer(body);
        response.writeHead(text === '' ? 202 : 200, { 'content-type': 'application/json' }).end(text);
      });
    })
    .listen(Number(port), '127.0.0.1');
}
