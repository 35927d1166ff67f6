/** Lists a folder, in as few requests as the known counts of its files and folders allow. */
import { forEachInTurns } from '../../base/event-loop-turns.js';
import type { CallOptions } from '../http/client/call.js';
import type { Access, RemoteEntry, RemoteFolder, RevalidatedListing } from '../provider.js';
import type { FourSharedApi } from './api.js';
import { type FileResponse, type FolderResponse, isHidden, toFile, toFolder } from './entities.js';
import { type KnownPages, type Page, PageCollector } from './known-pages.js';
import { afterPages, pageSize, planPages } from './page-plan.js';

/** Pages requested at once: as many as there are connections to a host. */
const windowPages = 32;

/**
 * Requests all pages of one list. It ends whatever the server answers: when a page brings nothing new, or with the error `protocol`
 * beyond `maxEntries`.
 */
export async function listPages<T extends { readonly id: string }>(
  page: (offset: number) => Promise<Page<T>>,
  count: number | null,
  fresh: boolean,
  earlier: KnownPages | undefined,
): Promise<PageCollector<T>> {
  const collected = new PageCollector<T>(earlier);
  const planned = planPages(count, fresh);
  const lengths: number[] = [];
  for (let at = 0; at < (planned ?? 0); at += windowPages) {
    const window = Array.from({ length: Math.min(windowPages, (planned ?? 0) - at) }, (_, i) => (at + i) * pageSize);
    const pages = await Promise.all(window.map(page));
    let isNew = false;
    for (const each of pages) isNew = (await collected.add(each)) || isNew;
    lengths.push(...pages.map(({ length }) => length));
    // The count is far too high, or the server ignores the offset.
    if (!isNew || lengths.at(-1) === 0) break;
  }
  const next = planned === null ? 'restart' : afterPages(lengths, count ?? 0, fresh);
  let offset = next === 'restart' ? 0 : next === 'done' ? undefined : next;
  const seen = new Set<unknown>();
  while (offset !== undefined) {
    const each: Page<T> = await page(offset);
    await collected.add(each);
    const before = seen.size;
    const keys = each.isKnown ? [each.digest] : (await each.read()).map((entry) => ('id' in entry ? entry.id : entry));
    await forEachInTurns(keys, (key) => seen.add(key));
    // A page with nothing new: the server ignores the offset.
    offset = each.length < pageSize || seen.size === before ? undefined : offset + pageSize;
  }
  return collected;
}

/** The memory of `listFolder` of its last answer. */
export interface PagesOfFolder {
  /** The folder's access, which its files share. */
  readonly access: Access;
  readonly id: string;
  readonly folders: KnownPages;
  readonly files: KnownPages;
}

/** Lists a folder. `memory`: of the last answer, if there is one. */
export async function listFolder(
  api: FourSharedApi,
  folder: RemoteFolder,
  countsAreFresh: boolean,
  options: CallOptions,
  memory: PagesOfFolder | null = null,
): Promise<RevalidatedListing> {
  const earlier = memory?.id === folder.id && memory.access === folder.access ? memory : undefined;
  // Files and folders are two lists. If one fails, the other is useless and is cancelled.
  const abort = new AbortController();
  const signal = options.signal === undefined ? abort.signal : AbortSignal.any([options.signal, abort.signal]);
  const partOptions = { ...options, signal };
  try {
    const [folders, files] = await Promise.all([
      listPages<FolderResponse>(
        (offset) => api.childPage(folder.id, offset, partOptions, earlier?.folders),
        folder.folderCount,
        countsAreFresh,
        earlier?.folders,
      ),
      listPages<FileResponse>(
        (offset) => api.filePage(folder.id, offset, partOptions, earlier?.files),
        folder.fileCount,
        countsAreFresh,
        earlier?.files,
      ),
    ]);
    const now: PagesOfFolder = { id: folder.id, access: folder.access, folders: folders.pages, files: files.pages };
    if (folders.isSame && files.isSame) return { entries: 'same', memory: now };
    const entries: RemoteEntry[] = [];
    await forEachInTurns(await api.bad.filter(await folders.entries(), 'GET /folder/{id}/children'), (child) => {
      if (!isHidden(child.status)) entries.push(toFolder(child, folder.id));
    });
    await forEachInTurns(await api.bad.filter(await files.entries(), 'GET /folder/{id}/files'), (child) => {
      const file = isHidden(child.status) ? undefined : toFile(child, folder.id, folder.access);
      if (file !== undefined) entries.push(file);
    });
    return { entries, memory: now };
  } catch (error) {
    abort.abort();
    throw error;
  }
}

/** The entries of a listing without memory, which is never `same`. */
export function everythingOf({ entries }: RevalidatedListing): RemoteEntry[] {
  if (entries === 'same') throw new Error('the same as nothing');
  return entries;
}
