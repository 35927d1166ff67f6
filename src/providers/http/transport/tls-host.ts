import { isIP } from 'node:net';

/** The host to which a certificate must belong, for `tls.connect`. An address is no server name: RFC 6066, 3. */
export function tlsHost({ hostname }: URL): { readonly host: string; readonly servername?: string } {
  const host = hostname.replace(/^\[|\]$/g, '');
  return { host, ...(isIP(host) === 0 && { servername: host }) };
}
