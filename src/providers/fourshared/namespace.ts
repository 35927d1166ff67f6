/**
 * Folders, names and the trash. Each change is one request. When its answer is lost, we look at the object before we send
 * anything again.
 */
import { ProviderError } from '../errors.js';
import type { CallOptions } from '../http/client/call.js';
import { checkName } from '../names.js';
import type { RemoteEntry, RemoteFile, RemoteFolder } from '../provider.js';
import { collectionOf, type FourSharedApi } from './api.js';
import {
  type FileResponse,
  type FolderResponse,
  fileSchema,
  folderSchema,
  isHidden,
  toFile,
  toFolder,
} from './entities.js';
import { findFile, findFolder, holds, orGone } from './find.js';

/** The target of a move or copy. */
export interface Place {
  readonly parentId: string;
  readonly name: string;
}

type Response = FileResponse | FolderResponse;

/** "Max value: 255 symbols." */
export const maxNameLength = 255;

export class Namespace {
  readonly #api: FourSharedApi;

  constructor(api: FourSharedApi) {
    this.#api = api;
  }

  async stat(kind: RemoteEntry['kind'], id: string, options: CallOptions): Promise<RemoteEntry> {
    const response = await this.#get(kind, id, options);
    const entry = isHidden(response.status) ? undefined : toEntry(kind, response, response.parentId ?? null);
    if (entry === undefined) throw gone(`GET /${collectionOf[kind]}/{id}`);
    return entry;
  }

  async createFolder(parentId: string, name: string, options: CallOptions): Promise<RemoteFolder> {
    checkName(name, maxNameLength);
    // An empty folder of this name may be the one that our unanswered request made. If it is not, it serves as well.
    const lookup = async (lookupOptions: CallOptions): Promise<FolderResponse | undefined> => {
      const found = await findFolder(this.#api, parentId, name, lookupOptions);
      return found !== undefined && (found.numFiles ?? 0) === 0 && (found.numChildren ?? 0) === 0 ? found : undefined;
    };
    return toFolder(await this.#api.createFolder(parentId, name, options, lookup), parentId);
  }

  async move(entry: RemoteEntry, to: Place, options: CallOptions): Promise<RemoteEntry> {
    if (to.name !== entry.name) checkName(to.name, maxNameLength);
    if (entry.parentId === to.parentId)
      return entry.name === to.name
        ? await this.stat(entry.kind, entry.id, options)
        : await this.rename(entry, to.name, options);

    const form: Record<string, string> =
      to.name === entry.name ? { folderId: to.parentId } : { folderId: to.parentId, name: to.name };
    const answer = await this.#api.act(
      entry.kind,
      'move',
      entry.id,
      form,
      schemaOf(entry.kind),
      options,
      (lookupOptions) => this.#findMoved(entry, to, lookupOptions),
    );
    const moved = await this.#confirmParent(entry, answer, to.parentId, options);
    // The documents give move an optional `name`. If the server ignores it, a second request sets the name.
    if (moved.name === to.name || moved.name !== entry.name) return moved;
    try {
      return await this.rename(moved, to.name, options);
    } catch (error) {
      // Moved but not renamed: move it back, if that still works.
      const back = { folderId: entry.parentId ?? '' };
      await this.#api
        .act(entry.kind, 'move', moved.id, back, schemaOf(entry.kind), options, async () => undefined)
        .catch(() => {});
      throw error;
    }
  }

  async rename(entry: RemoteEntry, name: string, options: CallOptions): Promise<RemoteEntry> {
    checkName(name, maxNameLength);
    const lookup = async (lookupOptions: CallOptions): Promise<Response | undefined> => {
      const now = await orGone(this.#get(entry.kind, entry.id, lookupOptions));
      return now?.name === name && !isHidden(now.status) ? now : undefined;
    };
    const answer = await this.#api.rename(entry.kind, entry.id, name, schemaOf(entry.kind), options, lookup);
    return orThrow(toEntry(entry.kind, answer, answer.parentId ?? entry.parentId));
  }

  async copy(file: RemoteFile, to: Place, options: CallOptions): Promise<RemoteFile> {
    checkName(to.name, maxNameLength);
    const lookup = (lookupOptions: CallOptions): Promise<FileResponse | undefined> =>
      findFile(
        this.#api,
        to.parentId,
        (other) => other.id !== file.id && other.name === to.name && sameContent(other, file),
        lookupOptions,
      );
    const form = { folderId: to.parentId, name: to.name };
    const answer = await this.#api.act('file', 'copy', file.id, form, fileSchema, options, lookup);
    const copied = orThrow(toFile(answer, to.parentId, file.access));
    if (copied.name === to.name || copied.id === file.id) return copied;
    return orThrow(await this.rename(copied, to.name, options)) as RemoteFile;
  }

  async trash(entry: RemoteEntry, options: CallOptions): Promise<RemoteEntry> {
    const lookup = async (lookupOptions: CallOptions): Promise<Response | undefined> => {
      const now = await orGone(this.#get(entry.kind, entry.id, lookupOptions));
      if (now === undefined) return asResponse(entry);
      return isHidden(now.status) ? now : undefined;
    };
    const answer = await this.#api.act(entry.kind, 'trash', entry.id, undefined, schemaOf(entry.kind), options, lookup);
    return toEntry(entry.kind, answer, entry.parentId) ?? entry;
  }

  async untrash(entry: RemoteEntry, name: string | undefined, options: CallOptions): Promise<RemoteEntry> {
    if (name !== undefined) checkName(name, maxNameLength);
    const lookup = async (lookupOptions: CallOptions): Promise<Response | undefined> => {
      const now = await orGone(this.#get(entry.kind, entry.id, lookupOptions));
      return now !== undefined && !isHidden(now.status) ? now : undefined;
    };
    let answer: Response;
    try {
      // "If a file with the same name exists in the parent folder, some new unique name must be specified in the request."
      const form = name === undefined || name === entry.name ? undefined : { name };
      answer = await this.#api.act(entry.kind, 'untrash', entry.id, form, schemaOf(entry.kind), options, lookup);
    } catch (error) {
      // "The resource is not in trash": it is in its folder already.
      if (!(error instanceof ProviderError) || error.data.providerCode !== '403.0224') throw error;
      return await this.stat(entry.kind, entry.id, options);
    }
    return orThrow(toEntry(entry.kind, answer, answer.parentId ?? entry.parentId));
  }

  async remove(entry: RemoteEntry, options: CallOptions): Promise<void> {
    await this.#api.remove(entry.kind, entry.id, options, async (lookupOptions) => {
      const now = await orGone(this.#get(entry.kind, entry.id, lookupOptions));
      return now === undefined || now.status?.toLowerCase() === 'deleted';
    });
  }

  async #get(kind: RemoteEntry['kind'], id: string, options: CallOptions): Promise<Response> {
    return kind === 'file' ? await this.#api.file(id, options) : await this.#api.folder(id, options);
  }

  /** The object after a move. The documents call a move "create a copy … and then delete the original": its id may change. */
  async #findMoved(entry: RemoteEntry, to: Place, options: CallOptions): Promise<Response | undefined> {
    const now = await orGone(this.#get(entry.kind, entry.id, options));
    if (now !== undefined && !isHidden(now.status)) return now.parentId === to.parentId ? now : undefined;
    const names = new Set([to.name, entry.name]);
    if (entry.kind === 'file')
      return await findFile(
        this.#api,
        to.parentId,
        (file) => names.has(file.name) && sameContent(file, entry),
        options,
      );
    return (
      (await findFolder(this.#api, to.parentId, to.name, options)) ??
      (await findFolder(this.#api, to.parentId, entry.name, options))
    );
  }

  /** The answer as an entry. If the answer still has the old parent, one more request tells whether the move was done. */
  async #confirmParent(
    entry: RemoteEntry,
    answer: Response,
    parentId: string,
    options: CallOptions,
  ): Promise<RemoteEntry> {
    const reportedParentId = answer.parentId ?? parentId;
    if (reportedParentId === parentId) return orThrow(toEntry(entry.kind, answer, parentId));
    const now = await this.stat(entry.kind, answer.id, options);
    if (now.parentId === parentId) return now;
    const route = `POST /${collectionOf[entry.kind]}/{id}/move`;
    throw new ProviderError('protocol', `${route}: the object was not moved`, { data: { route } });
  }
}

function schemaOf(kind: RemoteEntry['kind']): typeof fileSchema | typeof folderSchema {
  return kind === 'file' ? fileSchema : folderSchema;
}

function toEntry(kind: RemoteEntry['kind'], response: Response, parentId: string | null): RemoteEntry | undefined {
  return kind === 'file'
    ? toFile(response as FileResponse, parentId ?? '', 'write')
    : toFolder(response as FolderResponse, parentId);
}

/** The answer that the server would have given, for an object that is already gone. */
function asResponse(entry: RemoteEntry): Response {
  const base = { id: entry.id, name: entry.name, modified: entry.modified, parentId: entry.parentId };
  return entry.kind === 'file'
    ? { ...base, size: entry.size, md5: entry.md5 }
    : { ...base, numFiles: entry.fileCount, numChildren: entry.folderCount };
}

function sameContent(response: FileResponse, file: RemoteFile): boolean {
  return file.md5 === null ? response.size === file.size : holds(response, { size: file.size, md5: file.md5 });
}

function orThrow<T>(value: T | undefined): T {
  if (value === undefined) throw new ProviderError('protocol', 'an answer without the size of the file', { data: {} });
  return value;
}

function gone(route: string): ProviderError {
  return new ProviderError('not-found', `${route}: in the trash or not completely uploaded`, { data: { route } });
}
