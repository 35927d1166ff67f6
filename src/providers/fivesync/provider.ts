/**
 * 5sync (document 002): a flat list of files with paths. The service has no folders as objects, no rename and no checksums.
 */
import { createHash } from 'node:crypto';
import pLimit from 'p-limit';
import type { Clock } from '../../base/clock.js';
import type { Log } from '../../base/log.js';
import { ProviderError } from '../errors.js';
import { asProviderErrors } from '../http/answers/error-boundary.js';
import type { CallOptions } from '../http/client/call.js';
import { RangeReader } from '../http/ranges/range-reader.js';
import type { MakeExchanger } from '../http/transport/exchanger.js';
import type { Bandwidth } from '../http/transport/token-bucket.js';
import { checkName } from '../names.js';
import type { Account, Capabilities, Provider, RemoteEntry, RemoteFile, RemoteFolder, Work } from '../provider.js';
import { FiveSyncApi, type FiveSyncCredentials, isCode } from './api.js';
import { Catalog } from './catalog.js';
import { childPath, fileOf, normalPath, recordOf, rootPath } from './entities.js';
import { isProbeName } from './temporaries.js';
import { maxNameLength, Uploader } from './upload.js';

export interface FiveSyncOptions {
  /** `https://5sync.com/v1` */
  readonly endpoints: { readonly api: string };
  readonly credentials: FiveSyncCredentials;
  readonly deadlineMs?: number;
  readonly stallMs?: number;
  readonly clock?: Clock;
  readonly log?: Log;
  /** Largest content that goes in one request, bytes. Default 99,000,000. */
  readonly simpleUploadLimit?: number;
  /** First guess at the length of a part, bytes. Default 32 MiB. */
  readonly chunkBytes?: number;
  readonly maxConnections?: number;
  readonly bulk?: MakeExchanger;
  readonly bandwidth?: Bandwidth;
}

export const fiveSyncEndpoints = { api: 'https://5sync.com/v1' } as const;

const capabilities: Capabilities = {
  folders: 'implied',
  moveFile: false,
  moveFolder: false,
  copyFile: false,
  trash: false,
  permanentDelete: true,
  resumableUpload: true,
  md5: false,
  quota: false,
  changes: true,
  // Not documented. Treating names that differ in case as different hides no file.
  caseSensitive: true,
  maxNameLength,
};

/** Parallel deletions of files when their folder is removed. */
const removals = 4;

export function createFiveSync(options: FiveSyncOptions): Provider {
  const { credentials, log } = options;
  const api = new FiveSyncApi(options.endpoints.api, credentials, {
    deadlineMs: options.deadlineMs,
    stallMs: options.stallMs,
    maxConnections: options.maxConnections,
    bulk: options.bulk,
    bandwidth: options.bandwidth,
    clock: options.clock,
    log,
  });
  const catalog = new Catalog(api, log);
  const { index } = catalog;
  let closed = false;
  const uploader = new Uploader(api, catalog, (file, range, request = {}) => reader.read(file, range, request), {
    simpleUploadLimit: options.simpleUploadLimit,
    partBytes: options.chunkBytes,
    log,
  });

  /** Takes one request, and updates the index with the answer. */
  async function current(id: string, request: CallOptions): Promise<RemoteFile> {
    try {
      const record = recordOf(await api.file(id, request), index.file(id)?.folder ?? rootPath);
      if (record === undefined) throw new ProviderError('not-found', 'the file is not complete', { data: {} });
      if (index.file(id) !== undefined) catalog.put(record);
      return fileOf(record);
    } catch (error) {
      if (isCode(error, 'not-found') && index.file(id) !== undefined) catalog.removed(id, false);
      throw error;
    }
  }

  const reader = new RangeReader({
    http: api.http,
    call(file) {
      const known = index.file(file.id);
      if (known !== undefined && (known.size !== file.size || known.modified !== file.modified))
        throw new ProviderError('revision-changed', 'the file was changed meanwhile', { data: {} });
      return api.downloadCall(file.id);
    },
    current: (file, request) =>
      current(file.id, request).catch((error: unknown) => {
        if (isCode(error, 'not-found')) return undefined;
        throw error;
      }),
  });

  async function folderAt(path: string, request: CallOptions): Promise<RemoteFolder> {
    await catalog.fresh(request);
    if (!index.hasFolder(path)) throw new ProviderError('not-found', 'no file implies this folder', { data: {} });
    return index.folder(path);
  }

  async function remove(entry: RemoteEntry, request: CallOptions, onlyEmpty: boolean): Promise<void> {
    if (entry.kind === 'file') {
      await api.remove(entry.id, request).catch((error: unknown) => {
        if (isCode(error, 'not-found')) catalog.removed(entry.id);
        catalog.failed(error);
        throw error;
      });
      catalog.removed(entry.id);
      return;
    }
    const path = normalPath(entry.id);
    await catalog.ready(request);
    const limit = pLimit(removals);
    const files = index.below(path);
    // Another client has added these files since the caller looked. Probes do not count: they hold nothing, and no directory shows them.
    if (onlyEmpty && files.some(({ name, size }) => size > 1 || !isProbeName(name)))
      throw new ProviderError('exists', 'the folder is not empty', { data: {} });
    await Promise.all(
      files.map((file) =>
        limit(async () => {
          await api.remove(file.id, request).catch((error: unknown) => {
            if (isCode(error, 'not-found')) return;
            catalog.failed(error);
            throw error;
          });
          catalog.removed(file.id);
        }),
      ),
    );
    index.removeLocal(path);
  }

  /** Refuses calls after `close`, because a call that is answered from memory would not fail by itself. */
  function open<T>(work: () => Promise<T>): Promise<T> {
    if (closed) return Promise.reject(new ProviderError('aborted', 'the provider is closed', { data: {} }));
    return asProviderErrors(work);
  }

  return {
    name: '5sync',
    capabilities,
    account: (request = {}) =>
      open(async (): Promise<Account> => {
        await catalog.check(request);
        // The service reports no account. Only the API key distinguishes accounts, and the hash does not reveal it.
        const userId = createHash('sha256').update(`5sync\n${credentials.apiKey}`).digest('hex').slice(0, 16);
        return {
          userId,
          identifiedBy: 'credentials',
          label: `5sync account ${userId.slice(0, 6)}`,
          root: { ...index.folder(rootPath), fileCount: null, folderCount: null },
          quota: null,
          maxFileSize: null,
        };
      }),
    list: (folder, { countsAreFresh: _, ...request } = {}) =>
      open(async () => {
        await catalog.fresh(request);
        // A folder that no file implies is empty, not an error: the caller may have made it.
        return await index.list(normalPath(folder.id));
      }),
    stat: (ref, request = {}) =>
      open(
        async (): Promise<RemoteEntry> =>
          ref.kind === 'file' ? await current(ref.id, request) : await folderAt(normalPath(ref.id), request),
      ),
    read: (file, range, request = {}) => open(() => reader.read(file, range, request)),
    createFolder: (parentId, name, request = {}) =>
      open(async () => {
        checkName(name, maxNameLength);
        if (/^\.{0,2}$|\//.test(name))
          throw new ProviderError('invalid-name', 'no folder can have this name', { data: {} });
        await catalog.ready(request);
        const parent = normalPath(parentId);
        const path = childPath(parent, name);
        if (index.hasFolder(path) || index.named(parent, name).length > 0)
          throw new ProviderError('exists', 'the name is taken', { data: {} });
        index.addLocal(path);
        return index.folder(path);
      }),
    upload: (target, source, request = {}) => open(() => uploader.upload(target, source, request)),
    discardUpload: (checkpoint, request = {}) => open(() => uploader.discard(checkpoint, request)),
    move: () => unsupported('rename'),
    copy: () => unsupported('copy'),
    trash: () => unsupported('move to a trash'),
    untrash: () => unsupported('bring back from a trash'),
    remove: (entry, { onlyEmpty = false, ...request } = {}) => open(() => remove(entry, request, onlyEmpty)),
    changes: (request = {}) => open(() => catalog.changes(request)),
    refreshIndex: (request = {}) => open(() => catalog.refreshIndex(request)),
    hide: (file) => index.hide(file),
    send: (made, request = {}) => asProviderErrors(async () => await api.send(made, request)),
    metrics: () => api.http.metrics(),
    assertBudget: (work) => {
      const { files = 1 } = work;
      const parts = files * uploader.requestsOf(Math.ceil(work.store / files));
      api.limiter.assertBudget(requestsFor(work, parts), work.name, work.isResumable);
    },
    async close() {
      closed = true;
      await api.http.close();
    },
  };
}

/** Bytes that one request reads: the cache's largest range. */
const readBytes = 8 * 1024 * 1024;
/** Ranges that are read in one batch share revalidations of their revision: one in flight, and one after it. */
const revalidations = 2;

/** Estimated number of requests for the work. Pure. `parts`: requests of all uploads, with those that check the results. */
export function requestsFor(
  { read, files = 1, remove }: Pick<Work, 'read' | 'files' | 'remove'>,
  parts: number,
): number {
  const ranges = Math.max(files, Math.ceil(read / readBytes));
  return (read === 0 ? 0 : ranges + revalidations * files) + parts + remove;
}

function unsupported(what: string): Promise<never> {
  return Promise.reject(new ProviderError('unsupported', `5sync cannot ${what}`, { data: {} }));
}
