/**
 * Checks, before the first request of a task that needs many, that the account's remaining requests suffice for all of
 * it.
 */
import type { RemoteFile, Work } from '../../providers/provider.js';
import type { SpoolFile } from '../../spool/spool-file.js';
import type { Ino } from '../../tree/inode.js';
import { type Core, pathOf } from '../core/core.js';
import type { FileState } from '../core/open-files.js';

/**
 * Checks the budget for storing a changed content, including the fetch of its missing base bytes. Throws like
 * `Provider.assertBudget`.
 */
export function requireBudgetToStore(core: Core, ino: Ino, spool: SpoolFile): void {
  requireBudget(core, spool, spool.base, { name: `storing ${pathOf(core, ino)}`, remove: 0, isResumable: true });
}

/** Checks the budget for renaming a file by storing it again. Throws like `Provider.assertBudget`. */
export function requireBudgetToRename(core: Core, { ino, spool }: FileState, from: RemoteFile): void {
  const work = { name: `renaming ${pathOf(core, ino)}`, remove: 1, isResumable: false };
  requireBudget(core, spool, spool === null ? from : spool.base, work);
}

/** Checks the budget for storing all of these files again and removing them. Throws like `Provider.assertBudget`. */
export function requireBudgetForAll({ provider }: Core, name: string, files: readonly RemoteFile[]): void {
  if (files.length === 0) return;
  const bytes = files.reduce((sum, { size }) => sum + size, 0);
  provider.assertBudget?.({
    ...{ name, read: bytes, store: bytes },
    ...{ files: files.length, remove: files.length, isResumable: false },
  });
}

/** Checks the budget for fetching what open handles still need of a file, and for removing it. Throws like `Provider.assertBudget`. */
export function requireBudgetToFetch(core: Core, { spool }: FileState, file: RemoteFile): void {
  const work = { name: `fetching ${file.name} for those who have it open`, remove: 1, isResumable: true };
  requireBudget(core, spool, spool === null ? file : spool.base, work, 0);
}

/** Counts the bytes of the base that must be fetched. */
function requireBudget(
  { provider, readers }: Core,
  spool: SpoolFile | null,
  base: RemoteFile | null,
  work: Pick<Work, 'name' | 'remove' | 'isResumable'>,
  store = spool?.size ?? base?.size ?? 0,
): void {
  if (provider.assertBudget === undefined) return;
  const missing = spool?.missing() ?? [[0, base?.size ?? 0] as const];
  let read = 0;
  if (base !== null && base.size > 0 && missing.length > 0) {
    const reader = readers.acquire(base);
    read = reader.missingBytes(missing);
    readers.release(reader);
  }
  provider.assertBudget({ ...work, read, store });
}
