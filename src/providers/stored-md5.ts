import { createHash } from 'node:crypto';
import type { Provider, RemoteFile } from './provider.js';

/**
 * The MD5 of a stored file, computed from its bytes if the provider does not report it. Callers compare it with our own
 * content: an upload may have stored that before its answer was lost.
 */
export async function storedMd5(
  provider: Pick<Provider, 'read'>,
  file: RemoteFile,
  signal?: AbortSignal,
): Promise<string> {
  if (file.md5 !== null) return file.md5;
  const hash = createHash('md5');
  if (file.size > 0) {
    const { body } = await provider.read(file, { offset: 0, length: file.size }, { signal });
    for await (const piece of body) hash.update(piece);
  }
  return hash.digest('hex');
}
