/** Empty files, if the service refuses those. Such a file has no object at the service: it is an entry of the metadata only. */
import { randomBytes } from 'node:crypto';
import type { RemoteFile } from '../../providers/provider.js';

/** The prefix of the ids of such files. No service's ids contain a colon. */
export const entryOnlyPrefix = 'empty:';

const md5OfNothing = 'd41d8cd98f00b204e9800998ecf8427e';

/** True if the id is of a file without an object at the service. */
export function isEntryOnly({ id }: { readonly id: string }): boolean {
  return id.startsWith(entryOnlyPrefix);
}

/** The file as a provider would describe it. `modified`: ms since the epoch. */
export function entryOnlyFile(id: string, parentId: string, name: string, modified: number): RemoteFile {
  return { kind: 'file', id, parentId, name, size: 0, modified, md5: md5OfNothing, access: 'write' };
}

export function newEntryOnlyFile(
  { parentId, name }: { readonly parentId: string; readonly name: string },
  modified: number,
): RemoteFile {
  return entryOnlyFile(`${entryOnlyPrefix}${randomBytes(12).toString('hex')}`, parentId, name, modified);
}
