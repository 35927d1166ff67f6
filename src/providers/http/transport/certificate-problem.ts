/** Explains a refused TLS connection, and what the user can do about it. */

const untrusted = /^(DEPTH_ZERO_|SELF_SIGNED_|UNABLE_TO_(GET|VERIFY)_)/;
const isOfTls = /^(ERR_TLS_|CERT_|DEPTH_ZERO_|SELF_SIGNED_|UNABLE_TO_(GET|VERIFY)_|ERR_SSL_|HOSTNAME_MISMATCH)/;

/** For a code of Node.js (https://nodejs.org/api/tls.html, "X509 certificate error codes"). Undefined if it is no error of TLS. Pure. */
export function certificateProblem(code: string): string | undefined {
  if (!isOfTls.test(code)) return undefined;
  return `no secure connection: ${reasonOf(code)} (${code})`;
}

function reasonOf(code: string): string {
  if (untrusted.test(code))
    return 'this machine does not trust the certificate; if it is that of your own server or network, name its file in NODE_EXTRA_CA_CERTS';
  if (code === 'CERT_HAS_EXPIRED' || code === 'CERT_NOT_YET_VALID')
    return "the certificate is not valid today, or this machine's clock is wrong";
  if (code === 'ERR_TLS_CERT_ALTNAME_INVALID' || code === 'HOSTNAME_MISMATCH')
    return 'the certificate belongs to another host';
  return 'TLS failed';
}
