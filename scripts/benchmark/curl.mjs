// The link's own speed: a file of 4shared fetched by eight curls, a range each.
import { createHmac, randomBytes } from 'node:crypto';
import OAuth from 'oauth-1.0a';

const CONNECTIONS = 8;

/** Fetches `size` bytes of the file `id`; answers what `sh` does. */
export function curlRanges({ api, id, size, credentials, sh }) {
  const { consumerKey, consumerSecret, token, tokenSecret } = credentials;
  const url = `${api}/files/${id}/download`;
  const each = Math.ceil(size / CONNECTIONS);
  const commands = Array.from({ length: CONNECTIONS }, (_, n) => {
    const oauth = new OAuth({
      consumer: { key: consumerKey, secret: consumerSecret },
      signature_method: 'HMAC-SHA1',
      hash_function: (text, key) => createHmac('sha1', key).update(text).digest('base64'),
    });
    oauth.getNonce = () => randomBytes(16).toString('hex');
    const signed = oauth.authorize({ url, method: 'GET' }, { key: token, secret: tokenSecret });
    const { Authorization } = oauth.toHeader(signed);
    const range = `${n * each}-${Math.min(size, (n + 1) * each) - 1}`;
    return `curl -sf -o /dev/null -H '${`Authorization: ${Authorization}`.replaceAll("'", '')}' -r ${range} '${url}' & pids+=" $!"`;
  });
  return sh(`pids=''\n${commands.join('\n')}\nfor pid in $pids; do wait $pid; done`);
}
