/**
 * A file that must be removed after its content was stored under another name. If the service tells no checksum and the copy was made
 * soon after the file's last change, another client's next change may have left the same revision. Then the bytes are compared.
 */
import { type RemoteFile, revisionKey } from '../../providers/provider.js';
import { isSameRevision } from '../../providers/revision.js';
import { storedMd5 } from '../../providers/stored-md5.js';
import type { Core } from './core.js';

/** Covers the resolution of the services' times, a second, and the difference between their clocks and ours, ms. */
const SOON_MS = 60_000;

export interface CopiedFile extends RemoteFile {
  /** MD5 of the copied bytes, if the revision alone may not tell whether they are still there. */
  readonly copiedMd5?: string;
}

/** `md5`: of the copied bytes; null if they are not the file's own. */
export function asCopied({ clock }: Pick<Core, 'clock'>, file: RemoteFile, md5: string | null): CopiedFile {
  const isSoon = file.md5 === null && clock.now() - file.modified < SOON_MS;
  return isSoon && md5 !== null ? { ...file, copiedMd5: md5 } : file;
}

/** Does the provider still have the bytes that were copied? Reads the file if nothing else tells. Rejects as the provider does. */
export async function isAsCopied(
  { provider, readers }: Pick<Core, 'provider' | 'readers'>,
  now: RemoteFile,
  file: CopiedFile,
): Promise<boolean> {
  const key = revisionKey(now);
  if (!isSameRevision(now, file)) return false;
  if (file.copiedMd5 === undefined || (await storedMd5(provider, now)) === file.copiedMd5) return true;
  // The cache holds this revision's bytes from before that change.
  readers.cache.invalidate(key, now.size);
  return false;
}
