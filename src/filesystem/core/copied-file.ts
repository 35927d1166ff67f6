/**
 * A file whose content is stored under another name and that is to be removed. Where a service tells no checksum, and the file was
 * copied soon after its last change, another client's next change may have left it with the same revision: its bytes are compared.
 */
import { type RemoteFile, revisionKey } from '../../providers/provider.js';
import { storedMd5 } from '../../providers/stored-md5.js';
import type { Core } from './core.js';

/** A second, in which services tell times, and what our clock may differ from the service's, ms. */
const SOON_MS = 60_000;

export interface CopiedFile extends RemoteFile {
  /** Of the bytes that were copied, where the revision alone may not tell whether they are still there. */
  readonly copiedMd5?: string;
}

/** `md5`: of the bytes that are copied; null where those are not the file's own. */
export function asCopied({ clock }: Pick<Core, 'clock'>, file: RemoteFile, md5: string | null): CopiedFile {
  const isSoon = file.md5 === null && clock.now() - file.modified < SOON_MS;
  return isSoon && md5 !== null ? { ...file, copiedMd5: md5 } : file;
}

/** Does the provider still have what was copied? Reads the file where nothing else tells. Rejects as the provider does. */
export async function isAsCopied(
  { provider, readers }: Pick<Core, 'provider' | 'readers'>,
  now: RemoteFile,
  file: CopiedFile,
): Promise<boolean> {
  const key = revisionKey(now);
  if (key !== revisionKey(file)) return false;
  if (file.copiedMd5 === undefined || (await storedMd5(provider, now)) === file.copiedMd5) return true;
  // What was cached of this revision are the bytes before that change.
  readers.cache.invalidate(key, now.size);
  return false;
}
