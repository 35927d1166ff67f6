// A slow link: a TCP proxy that adds a round trip and limits the bytes a second of each connection, in both directions.
import { createConnection, createServer } from 'node:net';

/** A connection without credit goes on after this time, ms: short compared with a round trip, long compared with a timer's error. */
const STEP = 5;

/** Listens on a free port of loopback. Resolves with the port, and with a function that returns how many bytes have passed to clients. */
export function startLink({ target, roundTripMs, bytesPerSecond }) {
  let toClients = 0;
  const server = createServer({ noDelay: true }, (client) => {
    const upstream = createConnection({ port: target, host: '127.0.0.1', noDelay: true });
    const end = () => {
      client.destroy();
      upstream.destroy();
    };
    client.on('error', end);
    upstream.on('error', end);
    // The handshake costs one round trip of its own before the first byte passes.
    pass(client, upstream, roundTripMs * 1.5, roundTripMs / 2, bytesPerSecond);
    pass(upstream, client, roundTripMs / 2, roundTripMs / 2, bytesPerSecond, (bytes) => {
      toClients += bytes;
    });
  });
  return new Promise((resolve) => {
    server.listen(0, '127.0.0.1', () => {
      resolve({ port: server.address().port, bytesToClients: () => toClients, close: () => server.close() });
    });
  });
}

function pass(from, to, firstDelayMs, delayMs, bytesPerSecond, count = () => {}) {
  const queue = [];
  let queued = 0;
  let ended = false;
  let credit = 0;
  let last = performance.now();
  let timer = null;
  let isFirst = true;
  const step = () => {
    const now = performance.now();
    credit = Math.min(credit + ((now - last) * bytesPerSecond) / 1000, (bytesPerSecond * STEP * 4) / 1000);
    last = now;
    while (queue.length > 0 && queue[0].due <= now && credit > 0) {
      const { data } = queue[0];
      const part = data.length <= credit ? data : data.subarray(0, Math.ceil(credit));
      if (part.length === data.length) queue.shift();
      else queue[0].data = data.subarray(part.length);
      credit -= part.length;
      queued -= part.length;
      to.write(part);
      count(part.length);
    }
    if (queued < 4 << 20) from.resume();
    if (queue.length > 0) timer = setTimeout(step, waitFor(queue[0]));
    else {
      timer = null;
      if (ended) to.end();
    }
  };
  from.on('data', (data) => {
    queue.push({ data, due: performance.now() + (isFirst ? firstDelayMs : delayMs) });
    isFirst = false;
    queued += data.length;
    if (queued > 8 << 20) from.pause();
    if (timer === null) {
      last = performance.now();
      timer = setTimeout(step, waitFor(queue[0]));
    }
  });
  from.on('end', () => {
    ended = true;
    if (timer === null) to.end();
  });
}

/** ms until the first item of the queue may pass: until it is due, or else until there is credit for it. */
function waitFor({ due }) {
  const ms = due - performance.now();
  return ms > 0 ? ms : STEP;
}
