/** The web pages through which others see files and folders, and the search in the account's files. */
import { z } from 'zod';
import { ProviderError } from '../errors.js';
import type { CallOptions } from '../http/client/call.js';
import type { LinkRequest, PlacedEntry, RemoteEntry, RemoteLink } from '../provider.js';
import { collectionOf, type FourSharedApi } from './api.js';
import { fileListSchema, toFile } from './entities.js';
import { pageSize } from './page-plan.js';
import { namesOf } from './trash.js';

/** "The search string (from 1 to 200 symbols in length)." */
const LONGEST_QUERY = 200;
/** A search returns at most about this many files: nobody reads more. */
const MOST_FOUND = 1000;

const fileSchema = z.object({ downloadPage: z.string().nullish(), ownerOnly: z.boolean().nullish() });
const folderSchema = z.object({
  folderLink: z.string().nullish(),
  access: z.string().nullish(),
  passwordProtected: z.boolean().nullish(),
});

/**
 * A file has one page, which `ownerOnly` hides. A folder has one page, which `access` opens and a password protects. Neither
 * expires.
 */
export async function link(
  api: FourSharedApi,
  { kind, id }: RemoteEntry,
  { act, password, days }: LinkRequest,
  options: CallOptions,
): Promise<RemoteLink> {
  if (days !== undefined) throw unsupported('links do not expire here: --remove ends one');
  if (password !== undefined && kind === 'file') throw unsupported('only folders have passwords here');
  const isPublic = act === 'create';
  const wanted: Record<string, string> =
    kind === 'file'
      ? { ownerOnly: String(!isPublic) }
      : { access: isPublic ? 'public' : 'private', ...(password === undefined ? {} : { password }) };
  const template = `/${collectionOf[kind]}/{id}`;
  const call =
    act === 'show'
      ? api.call('GET', 'api', template, id)
      : api.call('PUT', 'api', template, id, { form: wanted, idempotent: true });
  if (kind === 'file') {
    const { downloadPage, ownerOnly } = await api.json(call, fileSchema, options);
    return { url: downloadPage ?? null, isPublic: ownerOnly !== true };
  }
  const { folderLink, access, passwordProtected } = await api.json(call, folderSchema, options);
  const hasPassword = passwordProtected === true;
  return { url: folderLink ?? null, isPublic: access?.toLowerCase() === 'public', hasPassword };
}

/** `GET /user/files` with a query: files of the account, not its folders. */
export async function search(api: FourSharedApi, query: string, options: CallOptions): Promise<PlacedEntry[]> {
  if (query === '' || query.length > LONGEST_QUERY)
    throw new ProviderError('invalid-name', `a search takes 1 to ${LONGEST_QUERY} characters`, { data: {} });
  const found = new Map<string, PlacedEntry>();
  for (let offset = 0; found.size < MOST_FOUND; offset += pageSize) {
    const call = api.call('GET', 'api', '/user/files', '', {
      query: { query, limit: String(pageSize), offset: String(offset) },
    });
    const list = (await (await api.json(call, fileListSchema, options))?.validate()) ?? [];
    const before = found.size;
    for (const file of await api.bad.filter(list, 'GET /user/files')) {
      const entry = toFile(file, file.parentId ?? '', 'write');
      if (entry !== undefined) found.set(entry.id, { entry, path: namesOf(file.path) });
    }
    if (list.length < pageSize || found.size === before) break;
  }
  return [...found.values()];
}

function unsupported(message: string): ProviderError {
  return new ProviderError('unsupported', message, { data: {} });
}
