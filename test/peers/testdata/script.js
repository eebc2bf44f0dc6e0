// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

// The client's part of the test, for the WebSocket of a browser and for the npm module ws, which has the same
// interface and a bit more. say reports a line.
async function script(WebSocket, url, say) { // eslint-disable-line no-unused-vars
  const open = () => new Promise((resolve, reject) => {
    const ws = new WebSocket(url, ['chat.v1', 'chat.v2']);
    const came = [];
    let wake = () => {};
    ws.binaryType = 'arraybuffer';
    ws.onmessage = (e) => { came.push(e.data); wake(); };
    ws.closed = new Promise((over) => { ws.onclose = over; });
    ws.onerror = () => reject(new Error('cannot connect'));
    ws.next = async () => {
      while (came.length === 0) await new Promise((r) => { wake = r; });
      return came.shift();
    };
    ws.onopen = () => { ws.onerror = () => {}; resolve(ws); };
  });
  const same = (a, b) => (typeof a === 'string' ? a === b
    : a.byteLength === b.byteLength && new Uint8Array(a).every((v, i) => v === new Uint8Array(b)[i]));
  const check = (what, got, want) => { if (!same(want, got)) throw new Error(what); };

  let ws = await open();
  say('subprotocol', ws.protocol);
  say('compressed', ws.extensions.includes('permessage-deflate'));
  for (const size of [0, 1, 125, 126, 127, 65535, 65536, 300000]) {
    const bytes = new Uint8Array(size).map((_, i) => (i * 7) % 251).buffer;
    for (const message of ['ä'.repeat(size / 2), bytes]) {
      ws.send(message);
      check(`echo of ${size}`, await ws.next(), message);
    }
  }
  say('echo');
  if (ws.ping) { // A browser has no way to fragment or to ping.
    ws.send('in ', { fin: false });
    ws.send('', { fin: false });
    ws.send('three', { fin: false });
    ws.send(' fragments', { fin: true });
    check('fragments', await ws.next(), 'in three fragments');
    const pong = new Promise((r) => { ws.on('pong', (data) => r(data.toString())); });
    ws.ping('are you there');
    check('pong', await pong, 'are you there');
    say('pong');
  }
  ws.send('/fragments');
  check('fragments', await ws.next(), 'fragmented');
  say('fragments');
  ws.send('/close 4001 genug für heute');
  let end = await ws.closed;
  say('closed', end.code, end.reason);

  ws = await open();
  ws.close(4002, 'tschüß');
  end = await ws.closed;
  say('answered', end.code, end.reason);

  ws = await open();
  ws.close();
  end = await ws.closed;
  say('answered', end.code, end.reason);

  ws = await open();
  ws.send('/abort');
  end = await ws.closed;
  say('aborted', end.code);

  if (ws.terminate) {
    ws = await open();
    ws.send('x');
    await ws.next();
    ws.terminate();
    say('left');
  }
}

if (typeof module !== 'undefined') module.exports = script;
