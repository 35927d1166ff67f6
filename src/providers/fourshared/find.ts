/** Finds one object by name. Used to look up the outcome of a request whose answer was lost. */
import { forEachInTurns } from '../../base/event-loop-turns.js';
import { ProviderError } from '../errors.js';
import { BadEntry, maxEntries } from '../http/answers/entries.js';
import type { CallOptions } from '../http/client/call.js';
import type { FourSharedApi } from './api.js';
import { type FileResponse, type FolderResponse, isHidden, normalizeMd5 } from './entities.js';
import { pageSize } from './page-plan.js';

/** The first match in a paged list, page by page. */
async function findInPages<T extends { readonly id: string }>(
  page: (offset: number) => Promise<(T | BadEntry)[]>,
  matches: (entry: T) => boolean,
): Promise<T | undefined> {
  const seen = new Set<string | BadEntry>();
  for (let offset = 0; ; offset += pageSize) {
    const entries = await page(offset);
    const found = entries.find((entry): entry is T => !(entry instanceof BadEntry) && matches(entry));
    const before = seen.size;
    await forEachInTurns(entries, (entry) => seen.add(entry instanceof BadEntry ? entry : entry.id));
    if (seen.size > maxEntries)
      throw new ProviderError('protocol', 'the server lists more than a folder can hold', { data: {} });
    // The same page again: the server ignores the offset.
    if (found !== undefined || entries.length < pageSize || seen.size === before) return found;
  }
}

export async function findFile(
  api: FourSharedApi,
  parentId: string,
  matches: (file: FileResponse) => boolean,
  options: CallOptions,
): Promise<FileResponse | undefined> {
  return await findInPages<FileResponse>((offset) => api.files(parentId, offset, options), matches);
}

export async function findFolder(
  api: FourSharedApi,
  parentId: string,
  name: string,
  options: CallOptions,
): Promise<FolderResponse | undefined> {
  const matches = (folder: FolderResponse): boolean => folder.name === name && !isHidden(folder.status);
  return await findInPages<FolderResponse>((offset) => api.children(parentId, offset, options), matches);
}

/** The content that an upload must store. If the server reports no md5, only the size is compared. */
export interface ExpectedContent {
  readonly size: number;
  readonly md5: string;
}

/** True if a complete file has this content, as far as the server tells. */
export function holds(file: FileResponse, content: ExpectedContent): boolean {
  const md5 = normalizeMd5(file.md5);
  return !isHidden(file.status) && file.size === content.size && (md5 === null || md5 === content.md5);
}

/** The value, or undefined if the object does not exist, or no longer exists. */
export async function orGone<T>(value: Promise<T>): Promise<T | undefined> {
  try {
    return await value;
  } catch (error) {
    if (error instanceof ProviderError && error.code === 'not-found') return undefined;
    throw error;
  }
}
