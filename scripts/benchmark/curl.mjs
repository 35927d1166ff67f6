// The link's own speed: what curl needs for the same bytes. A service here is `{ provider, endpoints, credentials, certificate, trust }`:
// `certificate` is the file of the one to trust, `trust` the same for undici.
import { createHmac, randomBytes } from 'node:crypto';
import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import OAuth from 'oauth-1.0a';
import { fetch } from 'undici';

/** Fetches `size` bytes of the file `id` of 4shared, a range for each of so many connections; answers what `sh` does. */
export function curlRanges(service, { id, size, connections, sh }) {
  const url = `${service.endpoints.api}/files/${id}/download`;
  const each = Math.ceil(size / connections);
  const requests = Array.from({ length: connections }, (_, n) => {
    const range = `${n * each}-${Math.min(size, (n + 1) * each) - 1}`;
    return `-o /dev/null -H '${authorization(service, 'GET', url)}' -r ${range} '${url}'`;
  });
  return atOnce(service, requests, sh);
}

/**
 * Stores the file as a new one over so many connections, as the service's document has it: in chunks (4shared), in parts (5sync),
 * or in one request (Acronis). Answers `{ seconds }`.
 */
export async function curlUpload(service, { file, connections, sh }) {
  const upload = uploads[service.provider];
  const { size } = statSync(file);
  const parts = `${file}.${connections}-parts`;
  await sh(`mkdir '${parts}'; split -n ${connections} -d '${file}' '${parts}/'`);
  const pieces = readdirSync(parts)
    .sort()
    .map((name) => ({ path: join(parts, name), size: statSync(join(parts, name)).size }));
  const before = await upload.before(service);
  const begin = performance.now();
  const begun = await upload.begin(service, { size, parts: pieces.length, before });
  let at = 0;
  const requests = pieces.map(({ path, size: length }, n) => {
    const first = at;
    at += length;
    // Without the question whether a body is welcome, which would cost a round trip.
    return `-o /dev/null -H 'Expect:' ${upload.part(service, begun, { n, first, length, size })} -T '${path}'`;
  });
  await atOnce(service, requests, sh);
  await upload.end(service, begun);
  const seconds = (performance.now() - begin) / 1000;
  await sh(`rm -r '${parts}'`);
  return { seconds };
}

/** For each service: what must be known before, what begins an upload, curl's arguments for a part of it, and what ends it. */
const uploads = {
  '4shared': {
    before: (service) => ask(service, 'GET', `${service.endpoints.api}/user`),
    begin(service, { size, before }) {
      const form = {
        folderId: before.rootFolderId,
        name: `curl-${randomBytes(4).toString('hex')}`,
        size: String(size),
      };
      return ask(service, 'POST', `${service.endpoints.upload}/upload`, { form });
    },
    part(service, { id }, { first, length, size }) {
      const url = `${service.endpoints.upload}/upload/${id}`;
      const range = `Content-Range: bytes ${first}-${first + length - 1}/${size}`;
      return `-X POST -H 'Content-Type: application/octet-stream' -H '${authorization(service, 'POST', url)}' -H '${range}' '${url}'`;
    },
    end: () => undefined,
  },
  '5sync': {
    before: () => null,
    begin(service, { size, parts }) {
      const json = { filename: `curl-${randomBytes(4).toString('hex')}`, size, parts };
      return ask(service, 'POST', `${service.endpoints.api}/files/multipart/init`, { json });
    },
    part(service, { upload_id: id }, { n }) {
      const url = `${service.endpoints.api}/files/multipart/${id}/${n}`;
      return `-H '${authorization(service, 'PUT', url)}' '${url}'`;
    },
    end: (service, { upload_id: id }) =>
      ask(service, 'POST', `${service.endpoints.api}/files/multipart/${id}/complete`),
  },
  acronis: {
    before(service) {
      const { username, password, clientId: client_id, clientSecret: client_secret } = service.credentials;
      const form = { grant_type: 'password', username, password, client_id, client_secret };
      return ask(service, 'POST', service.endpoints.token, { form });
    },
    begin: (_service, { before }) => ({ token: before.access_token, name: `curl-${randomBytes(4).toString('hex')}` }),
    part(service, { token, name }, { size }) {
      const url = `${service.endpoints.api}/sync_and_share_nodes/0/upload?filename=${name}&size=${size}`;
      const headers = [`Authorization: Bearer ${token}`, 'Content-Type: application/octet-stream'];
      return `-X POST -H 'Transfer-Encoding: chunked' ${headers.map((header) => `-H '${header}'`).join(' ')} '${url}'`;
    },
    end: () => undefined,
  },
};

/** Runs curl with each of these arguments, all at once; answers what `sh` does. */
function atOnce({ certificate }, requests, sh) {
  const trust = certificate === undefined ? '' : `--cacert '${certificate}'`;
  const commands = requests.map((request) => `curl -sf ${trust} ${request} & pids+=" $!"`);
  return sh(`pids=''\n${commands.join('\n')}\nfor pid in $pids; do wait $pid; done`);
}

/** One short request; answers its JSON. */
async function ask(service, method, url, { form, json } = {}) {
  const [name, value] = authorization(service, method, url, form).split(': ');
  const body = form === undefined ? JSON.stringify(json) : String(new URLSearchParams(form));
  const type = form === undefined ? 'application/json' : 'application/x-www-form-urlencoded';
  const answer = await fetch(url, {
    method,
    dispatcher: service.trust,
    headers: { ...(name === '' ? {} : { [name]: value }), ...(body === undefined ? {} : { 'content-type': type }) },
    body,
  });
  if (!answer.ok) throw new Error(`${method} ${url}: ${answer.status} ${await answer.text()}`);
  return await answer.json();
}

/** The header that says who asks; '' for the request of Acronis that asks for a token. */
function authorization({ provider, credentials }, method, url, form = {}) {
  if (provider === 'acronis') return '';
  if (provider === '5sync') return `Authorization: Bearer ${credentials.apiKey}`;
  const { consumerKey, consumerSecret, token, tokenSecret } = credentials;
  const oauth = new OAuth({
    consumer: { key: consumerKey, secret: consumerSecret },
    signature_method: 'HMAC-SHA1',
    hash_function: (text, key) => createHmac('sha1', key).update(text).digest('base64'),
  });
  oauth.getNonce = () => randomBytes(16).toString('hex');
  const { Authorization } = oauth.toHeader(
    oauth.authorize({ url, method, data: form }, { key: token, secret: tokenSecret }),
  );
  return `Authorization: ${Authorization}`.replaceAll("'", '');
}
