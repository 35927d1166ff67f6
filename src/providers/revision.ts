/** Compares descriptions of a file: whether they belong to the same content. */
import { type RemoteFile, revisionKey } from './provider.js';

/**
 * True if the bytes are the same. If both have an md5, the md5 decides. Some services report it only some time after the upload: then
 * id, size and modification time decide, because nothing better is known.
 */
export function isSameRevision(a: RemoteFile, b: RemoteFile): boolean {
  if (a.md5 !== null && b.md5 !== null) return revisionKey(a) === revisionKey(b);
  return a.id === b.id && a.size === b.size && a.modified === b.modified;
}

/** True if the bytes may be the same, as far as the provider tells. A checksum may come later, and a move may set the time. */
export function mayBeSameContent(a: RemoteFile, b: RemoteFile): boolean {
  return a.size === b.size && (a.md5 === null || b.md5 === null || a.md5 === b.md5);
}
