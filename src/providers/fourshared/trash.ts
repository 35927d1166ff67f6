/** The trash of the account: `GET /user/trash`. */
import { forEachInTurns } from '../../base/event-loop-turns.js';
import { ProviderError } from '../errors.js';
import { BadEntry, maxEntries } from '../http/answers/entries.js';
import type { CallOptions } from '../http/client/call.js';
import type { PlacedEntry } from '../provider.js';
import type { FourSharedApi } from './api.js';
import { type FileResponse, type FolderResponse, toFile, toFolder } from './entities.js';
import { pageSize } from './page-plan.js';

/**
 * Everything in the trash. "Most of the API resources support pagination", but the documents name no parameters for this one. So
 * pages are requested until one is not full, or brings nothing new: then the server has sent the whole list at once.
 */
export async function listTrash(api: FourSharedApi, options: CallOptions): Promise<PlacedEntry[]> {
  const folders = new Map<string, FolderResponse>();
  const files = new Map<string, FileResponse>();
  const bad: BadEntry[] = [];
  for (let offset = 0; ; offset += pageSize) {
    const page = await api.trash(offset, options);
    const before = folders.size + files.size;
    await forEachInTurns(page.folders, (folder) => collect(folder, folders, bad));
    await forEachInTurns(page.files, (file) => collect(file, files, bad));
    const known = folders.size + files.size;
    if (known > maxEntries)
      throw new ProviderError('protocol', 'the server lists more than an account can hold', { data: {} });
    const isLast = page.folders.length < pageSize && page.files.length < pageSize;
    if (isLast || known === before) break;
  }
  await api.bad.filter(bad, 'GET /user/trash');
  const trashed: PlacedEntry[] = [];
  await forEachInTurns(folders.values(), (folder) => {
    if (isGone(folder.status)) return;
    trashed.push({ entry: toFolder(folder, folder.parentId ?? null), path: namesOf(folder.path) });
  });
  await forEachInTurns(files.values(), (file) => {
    const entry = isGone(file.status) ? undefined : toFile(file, file.parentId ?? '', 'write');
    if (entry !== undefined) trashed.push({ entry, path: namesOf(file.path) });
  });
  return trashed;
}

function collect<T extends { readonly id: string }>(entry: T | BadEntry, into: Map<string, T>, bad: BadEntry[]): void {
  if (entry instanceof BadEntry) bad.push(entry);
  else into.set(entry.id, entry);
}

/** "Possible values are: deleted, …, trashed, normal": a deleted object cannot come back. */
function isGone(status: string | null | undefined): boolean {
  return status?.toLowerCase() === 'deleted';
}

/** `/My 4shared/docs/a.txt` begins with the name of the root folder, which is no part of a path in a mount. */
export function namesOf(path: string | null | undefined): readonly string[] | null {
  const names = path?.split('/').filter((name) => name !== '') ?? [];
  return names.length < 2 ? null : names.slice(1);
}
