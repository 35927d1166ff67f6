// The link's own speed: the time that curl needs for the same bytes.

import { statSync } from 'node:fs';
import { partRequests, rangeRequests } from './service-requests.mjs';

/** Fetches `size` bytes of the file `id` of 4shared, one range for each of `connections` connections. Returns the result of `sh`. */
export function curlRanges(service, { id, size, connections, sh }) {
  const ranges = rangeRequests(service, { id, size, each: Math.ceil(size / connections) });
  return atOnce(
    service,
    ranges.map((range) => `-o /dev/null ${curlArguments(range)}`),
    sh,
  );
}

/** Stores the file as a new one over `connections` connections. Returns `{ seconds }`. */
export async function curlUpload(service, { file, connections, sh }) {
  const pieces = `${file}.${connections}-parts`;
  const size = statSync(file).size;
  await sh(`mkdir '${pieces}'; split -b ${Math.ceil(size / connections)} -a 2 -d '${file}' '${pieces}/'`);
  const begin = performance.now();
  const { requests, end } = await partRequests(service, { size, parts: connections });
  const commands = requests.map((request, n) => {
    const piece = `${pieces}/${String(n).padStart(2, '0')}`;
    // Without `Expect: 100-continue`, which would cost a round trip.
    return `-o /dev/null -H 'Expect:' ${curlArguments(request)} -T '${piece}'`;
  });
  await atOnce(service, commands, sh);
  await end();
  const seconds = (performance.now() - begin) / 1000;
  await sh(`rm -r '${pieces}'`);
  return { seconds };
}

function curlArguments({ method, url, headers }) {
  const each = Object.entries(headers).map(([name, value]) => `-H '${name}: ${value.replaceAll("'", '')}'`);
  return `${method === 'GET' ? '' : `-X ${method}`} ${each.join(' ')} '${url}'`;
}

/** Runs curl with each of these arguments, all at once. Returns the result of `sh`. */
function atOnce({ certificate }, requests, sh) {
  const trust = certificate === undefined ? '' : `--cacert '${certificate}'`;
  const commands = requests.map((request) => `curl -sf ${trust} ${request} & pids+=" $!"`);
  return sh(`pids=''\n${commands.join('\n')}\nfor pid in $pids; do wait $pid; done`);
}
