// The services' requests that move bytes, for the programs that are compared with a mount: curl, and the bare programs. A service here is
// `{ provider, endpoints, credentials, certificate, trust }`: `certificate` is the file of the certificate to trust, `trust` the same for
// undici. A request is `{ method, url, headers }`.
import { createHmac, randomBytes } from 'node:crypto';
import OAuth from 'oauth-1.0a';
import { fetch } from 'undici';

/** Ranges of `each` bytes of the file `id` of 4shared, with `first` and `length` of each. */
export function rangeRequests(service, { id, size, each }) {
  const url = `${service.endpoints.api}/files/${id}/download`;
  return Array.from({ length: Math.ceil(size / each) }, (_, n) => {
    const first = n * each;
    const length = Math.min(each, size - first);
    const headers = { ...authorization(service, 'GET', url), Range: `bytes=${first}-${first + length - 1}` };
    return { method: 'GET', url, headers, first, length };
  });
}

/** The one request that stores a whole small file in a folder of 4shared. */
export function smallFileRequest(service, folderId, name) {
  const url = `${service.endpoints.upload}/files?folderId=${folderId}&fileName=${name}`;
  const headers = { ...authorization(service, 'POST', url), 'Content-Type': 'application/octet-stream' };
  return { method: 'POST', url, headers };
}

/** The id of the root folder of a 4shared account. */
export const rootFolder = async (service) => (await ask(service, 'GET', `${service.endpoints.api}/user`)).rootFolderId;

/**
 * A new file in `parts` parts, as in the service's document: chunks (4shared), parts (5sync), or one request (Acronis). Returns the
 * requests of the parts, with `first` and `length`, and `end`, which completes the file.
 */
export async function partRequests(service, { size, parts }) {
  const upload = uploads[service.provider];
  const begun = await upload.begin(service, { size, parts });
  const each = Math.ceil(size / parts);
  const requests = Array.from({ length: parts }, (_, n) => {
    const first = n * each;
    const length = Math.min(each, size - first);
    return { ...upload.part(service, begun, { n, first, length, size }), first, length };
  });
  return { requests, end: () => upload.end(service, begun) };
}

/** For each service: how to begin an upload, the request of one part, and how to end it. */
const uploads = {
  '4shared': {
    async begin(service, { size }) {
      const form = { folderId: await rootFolder(service), name: newName(), size: String(size) };
      return ask(service, 'POST', `${service.endpoints.upload}/upload`, { form });
    },
    part(service, { id }, { first, length, size }) {
      const url = `${service.endpoints.upload}/upload/${id}`;
      const range = { 'Content-Range': `bytes ${first}-${first + length - 1}/${size}` };
      const type = { 'Content-Type': 'application/octet-stream' };
      return { method: 'POST', url, headers: { ...type, ...authorization(service, 'POST', url), ...range } };
    },
    end: () => undefined,
  },
  '5sync': {
    begin(service, { size, parts }) {
      const json = { filename: newName(), size, parts };
      return ask(service, 'POST', `${service.endpoints.api}/files/multipart/init`, { json });
    },
    part(service, { upload_id: id }, { n }) {
      const url = `${service.endpoints.api}/files/multipart/${id}/${n}`;
      return { method: 'PUT', url, headers: authorization(service, 'PUT', url) };
    },
    end: (service, { upload_id: id }) =>
      ask(service, 'POST', `${service.endpoints.api}/files/multipart/${id}/complete`),
  },
  acronis: {
    async begin(service) {
      const { username, password, clientId: client_id, clientSecret: client_secret } = service.credentials;
      const form = { grant_type: 'password', username, password, client_id, client_secret };
      return { token: (await ask(service, 'POST', service.endpoints.token, { form })).access_token, name: newName() };
    },
    part(service, { token, name }, { size }) {
      const url = `${service.endpoints.api}/sync_and_share_nodes/0/upload?filename=${name}&size=${size}`;
      const type = { 'Content-Type': 'application/octet-stream', 'Transfer-Encoding': 'chunked' };
      return { method: 'POST', url, headers: { ...type, Authorization: `Bearer ${token}` } };
    },
    end: () => undefined,
  },
};

const newName = () => `bare-${randomBytes(4).toString('hex')}`;

/** Sends a short request. Returns the JSON of the answer. */
async function ask(service, method, url, { form, json } = {}) {
  const body = form === undefined ? JSON.stringify(json) : String(new URLSearchParams(form));
  const type = form === undefined ? 'application/json' : 'application/x-www-form-urlencoded';
  const answer = await fetch(url, {
    method,
    dispatcher: service.trust,
    headers: { ...authorization(service, method, url, form), ...(body === undefined ? {} : { 'content-type': type }) },
    body,
  });
  if (!answer.ok) throw new Error(`${method} ${url}: ${answer.status} ${await answer.text()}`);
  return await answer.json();
}

/** The header with the credentials. None for Acronis: only its token request comes here. */
function authorization({ provider, credentials }, method, url, form = {}) {
  if (provider === 'acronis') return {};
  if (provider === '5sync') return { Authorization: `Bearer ${credentials.apiKey}` };
  const { consumerKey, consumerSecret, token, tokenSecret } = credentials;
  const oauth = new OAuth({
    consumer: { key: consumerKey, secret: consumerSecret },
    signature_method: 'HMAC-SHA1',
    hash_function: (text, key) => createHmac('sha1', key).update(text).digest('base64'),
  });
  oauth.getNonce = () => randomBytes(16).toString('hex');
  return oauth.toHeader(oauth.authorize({ url, method, data: form }, { key: token, secret: tokenSecret }));
}
