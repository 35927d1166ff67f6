/** Before the first request of something that takes many: do the account's requests reach to its end? */
import type { RemoteFile, Work } from '../../providers/provider.js';
import type { SpoolFile } from '../../spool/spool-file.js';
import type { Ino } from '../../tree/inode.js';
import { type Core, pathOf } from '../core/core.js';
import type { FileState } from '../core/open-files.js';

/** A changed content is about to be stored with what is still its base's. Throws as `Provider.assertBudget` does. */
export function requireBudgetToStore(core: Core, ino: Ino, spool: SpoolFile): void {
  requireBudget(core, spool, spool.base, { name: `storing ${pathOf(core, ino)}`, remove: 0, isResumable: true });
}

/** A file is about to be renamed by storing it anew. Throws as `Provider.assertBudget` does. */
export function requireBudgetToRename(core: Core, { ino, spool }: FileState, from: RemoteFile): void {
  const work = { name: `renaming ${pathOf(core, ino)}`, remove: 1, isResumable: false };
  requireBudget(core, spool, spool === null ? from : spool.base, work);
}

/** Counts what of the base is not here. */
function requireBudget(
  { provider, readers }: Core,
  spool: SpoolFile | null,
  base: RemoteFile | null,
  work: Pick<Work, 'name' | 'remove' | 'isResumable'>,
): void {
  if (provider.assertBudget === undefined) return;
  const store = spool?.size ?? base?.size ?? 0;
  const missing = spool?.missing() ?? [[0, store] as const];
  let read = 0;
  if (base !== null && base.size > 0 && missing.length > 0) {
    const reader = readers.acquire(base);
    read = reader.missingBytes(missing);
    readers.release(reader);
  }
  provider.assertBudget({ ...work, read, store });
}
