/** Everything in a folder, in as few requests as the known counts allow. */
import type { CallOptions } from '../http/client.js';
import type { RemoteEntry, RemoteFolder } from '../provider.js';
import type { FourSharedApi } from './api.js';
import { isHidden, toFile, toFolder } from './entities.js';
import { afterPages, pageSize, planPages } from './page-plan.js';

/** All entries of one paged list, each id once. */
export async function listPages<T extends { readonly id: string }>(
  page: (offset: number) => Promise<T[]>,
  count: number | null,
  fresh: boolean,
): Promise<T[]> {
  const byId = new Map<string, T>();
  const add = (entries: readonly T[]): void => {
    for (const entry of entries) byId.set(entry.id, entry);
  };
  let offset: number | undefined;
  const planned = planPages(count, fresh);
  if (planned === null) offset = 0;
  else {
    const pages = await Promise.all(planned.map(page));
    for (const entries of pages) add(entries);
    const next = afterPages(
      pages.map((entries) => entries.length),
      count ?? 0,
      fresh,
    );
    if (next === 'restart') offset = 0;
    else if (next !== 'done') offset = next;
  }
  while (offset !== undefined) {
    const entries = await page(offset);
    add(entries);
    offset = entries.length < pageSize ? undefined : offset + pageSize;
  }
  return [...byId.values()];
}

export async function listFolder(
  api: FourSharedApi,
  folder: RemoteFolder,
  countsAreFresh: boolean,
  options: CallOptions,
): Promise<RemoteEntry[]> {
  // One part that fails makes the other one useless: it is cancelled.
  const either = new AbortController();
  const signal = options.signal === undefined ? either.signal : AbortSignal.any([options.signal, either.signal]);
  const partOptions = { ...options, signal };
  try {
    const [folders, files] = await Promise.all([
      listPages((offset) => api.children(folder.id, offset, partOptions), folder.folderCount, countsAreFresh),
      listPages((offset) => api.files(folder.id, offset, partOptions), folder.fileCount, countsAreFresh),
    ]);
    const entries: RemoteEntry[] = [];
    for (const child of folders) if (!isHidden(child.status)) entries.push(toFolder(child, folder.id));
    for (const child of files) {
      const file = isHidden(child.status) ? undefined : toFile(child, folder.id, folder.access);
      if (file !== undefined) entries.push(file);
    }
    return entries;
  } catch (error) {
    either.abort();
    throw error;
  }
}
