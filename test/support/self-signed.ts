/** A self-signed certificate, which nobody trusts by default, and its key. */
import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { Tls } from '../../src/sandbox/index.js';

const run = promisify(execFile);

/** Writes both into a directory. `name`: the subject, such as `IP:127.0.0.1`. `path`: the certificate's file, for NODE_EXTRA_CA_CERTS. */
export async function selfSigned(
  directory: string,
  name: string,
): Promise<{ readonly tls: Tls; readonly path: string }> {
  const path = join(directory, 'cert.pem');
  const key = join(directory, 'key.pem');
  await run('openssl', [
    ...['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2'],
    ...['-subj', '/CN=sandbox', '-addext', `subjectAltName=${name}`, '-keyout', key, '-out', path],
  ]);
  return { path, tls: { cert: await readFile(path, 'utf8'), key: await readFile(key, 'utf8') } };
}
