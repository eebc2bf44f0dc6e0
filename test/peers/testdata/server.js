// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

// An echo server on the npm module ws: prints "listening PORT", and how each connection ended.
const { WebSocketServer } = require('ws');

const server = new WebSocketServer({
  host: '127.0.0.1', port: 0, maxPayload: 0,
  perMessageDeflate: { threshold: 0 },
  handleProtocols: (offered) => (offered.has('chat.v2') ? 'chat.v2' : false),
});

server.on('listening', () => console.log('listening', server.address().port));
server.on('connection', (ws) => {
  ws.on('message', (data, binary) => {
    const text = binary ? '' : data.toString();
    if (!text.startsWith('/')) {
      ws.send(data, { binary });
      return;
    }
    const [command, code, ...reason] = text.slice(1).split(' ');
    if (command === 'close') ws.close(Number(code), reason.join(' '));
    if (command === 'abort') ws.terminate();
    if (command === 'fragments') {
      ws.send('frag', { fin: false });
      ws.send('men', { fin: false });
      ws.send('', { fin: false });
      ws.send('ted', { fin: true });
    }
  });
  ws.on('error', () => {});
  ws.on('close', (code, reason) => console.log('closed', code, reason.toString()));
});
