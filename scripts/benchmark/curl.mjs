// The link's own speed: a file of 4shared fetched by several curls, a range each.
import { createHmac, randomBytes } from 'node:crypto';
import OAuth from 'oauth-1.0a';

/** Fetches `size` bytes of the file `id` over so many connections; answers what `sh` does. `certificate`: the file of the one to trust. */
export function curlRanges({ api, id, size, credentials, certificate, connections, sh }) {
  const { consumerKey, consumerSecret, token, tokenSecret } = credentials;
  const trust = certificate === undefined ? '' : `--cacert '${certificate}' `;
  const url = `${api}/files/${id}/download`;
  const each = Math.ceil(size / connections);
  const commands = Array.from({ length: connections }, (_, n) => {
    const oauth = new OAuth({
      consumer: { key: consumerKey, secret: consumerSecret },
      signature_method: 'HMAC-SHA1',
      hash_function: (text, key) => createHmac('sha1', key).update(text).digest('base64'),
    });
    oauth.getNonce = () => randomBytes(16).toString('hex');
    const signed = oauth.authorize({ url, method: 'GET' }, { key: token, secret: tokenSecret });
    const { Authorization } = oauth.toHeader(signed);
    const range = `${n * each}-${Math.min(size, (n + 1) * each) - 1}`;
    return `curl -sf ${trust}-o /dev/null -H '${`Authorization: ${Authorization}`.replaceAll("'", '')}' -r ${range} '${url}' & pids+=" $!"`;
  });
  return sh(`pids=''\n${commands.join('\n')}\nfor pid in $pids; do wait $pid; done`);
}
