/** Which descriptions of a file are of the same content. */
import { type RemoteFile, revisionKey } from './provider.js';

/**
 * Are the bytes the same? Where both name an md5, that decides. Some services tell it only some time after the upload: else size and
 * modification time do, because nothing better is known.
 */
export function isSameRevision(a: RemoteFile, b: RemoteFile): boolean {
  if (a.md5 !== null && b.md5 !== null) return revisionKey(a) === revisionKey(b);
  return a.id === b.id && a.size === b.size && a.modified === b.modified;
}

/** May the bytes be the same, as far as the provider tells? A checksum may come later, and a move may set the time. */
export function mayBeSameContent(a: RemoteFile, b: RemoteFile): boolean {
  return a.size === b.size && (a.md5 === null || b.md5 === null || a.md5 === b.md5);
}
