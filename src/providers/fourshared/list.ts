/** Lists a folder, in as few requests as the known counts of its files and folders allow. */
import { forEachInTurns } from '../../base/event-loop-turns.js';
import { ProviderError } from '../errors.js';
import { BadEntry, maxEntries } from '../http/answers/entries.js';
import type { CallOptions } from '../http/client/call.js';
import type { RemoteEntry, RemoteFolder } from '../provider.js';
import type { FourSharedApi } from './api.js';
import { type FileResponse, type FolderResponse, isHidden, toFile, toFolder } from './entities.js';
import { afterPages, pageSize, planPages } from './page-plan.js';

/** Pages requested at once: as many as there are connections to a host. */
const windowPages = 32;

/**
 * All entries of one paged list, each id once. It ends whatever the server answers: when a page brings nothing new, or
 * with the error `protocol` beyond `maxEntries`.
 */
export async function listPages<T extends { readonly id: string }>(
  page: (offset: number) => Promise<(T | BadEntry)[]>,
  count: number | null,
  fresh: boolean,
): Promise<(T | BadEntry)[]> {
  const byId = new Map<string, T>();
  const bad: BadEntry[] = [];
  const add = async (entries: readonly (T | BadEntry)[]): Promise<void> => {
    await forEachInTurns(entries, (entry) => {
      if (entry instanceof BadEntry) bad.push(entry);
      else byId.set(entry.id, entry);
    });
    if (byId.size + bad.length > maxEntries)
      throw new ProviderError('protocol', 'the server lists more than a folder can hold', { data: {} });
  };
  const planned = planPages(count, fresh);
  const lengths: number[] = [];
  for (let at = 0; at < (planned ?? 0); at += windowPages) {
    const window = Array.from({ length: Math.min(windowPages, (planned ?? 0) - at) }, (_, i) => (at + i) * pageSize);
    const before = byId.size + bad.length;
    const pages = await Promise.all(window.map(page));
    for (const entries of pages) await add(entries);
    lengths.push(...pages.map((entries) => entries.length));
    // The count is far too high, or the server ignores the offset.
    if (byId.size + bad.length === before || pages.at(-1)?.length === 0) break;
  }
  const next = planned === null ? 'restart' : afterPages(lengths, count ?? 0, fresh);
  let offset = next === 'restart' ? 0 : next === 'done' ? undefined : next;
  const seen = new Set<string | BadEntry>();
  while (offset !== undefined) {
    const entries: (T | BadEntry)[] = await page(offset);
    await add(entries);
    const before = seen.size;
    await forEachInTurns(entries, (entry) => seen.add(entry instanceof BadEntry ? entry : entry.id));
    // A page with nothing new: the server ignores the offset.
    offset = entries.length < pageSize || seen.size === before ? undefined : offset + pageSize;
  }
  return [...byId.values(), ...bad];
}

export async function listFolder(
  api: FourSharedApi,
  folder: RemoteFolder,
  countsAreFresh: boolean,
  options: CallOptions,
): Promise<RemoteEntry[]> {
  // Files and folders are two lists. If one fails, the other is useless and is cancelled.
  const abort = new AbortController();
  const signal = options.signal === undefined ? abort.signal : AbortSignal.any([options.signal, abort.signal]);
  const partOptions = { ...options, signal };
  try {
    const [folders, files] = await Promise.all([
      listPages<FolderResponse>(
        (offset) => api.children(folder.id, offset, partOptions),
        folder.folderCount,
        countsAreFresh,
      ),
      listPages<FileResponse>((offset) => api.files(folder.id, offset, partOptions), folder.fileCount, countsAreFresh),
    ]);
    const entries: RemoteEntry[] = [];
    await forEachInTurns(await api.bad.filter(folders, 'GET /folder/{id}/children'), (child) => {
      if (!isHidden(child.status)) entries.push(toFolder(child, folder.id));
    });
    await forEachInTurns(await api.bad.filter(files, 'GET /folder/{id}/files'), (child) => {
      const file = isHidden(child.status) ? undefined : toFile(child, folder.id, folder.access);
      if (file !== undefined) entries.push(file);
    });
    return entries;
  } catch (error) {
    abort.abort();
    throw error;
  }
}
