// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

// The client's part of the test on the npm module ws: node client.js URL
const WebSocket = require('ws');
const script = require('./script.js');

class Compressing extends WebSocket {
  constructor(url, protocols) { super(url, protocols, { perMessageDeflate: { threshold: 0 }, maxPayload: 0 }); }
}

script(Compressing, process.argv[2], (...what) => console.log(...what)).catch((e) => {
  console.log('failed', e.message);
  process.exitCode = 1;
});
