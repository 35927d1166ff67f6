/** The provider of 4shared and 4Sync, which speak one protocol on different hosts. */

import type { Clock } from '../../base/clock.js';
import { type Log, silentLog } from '../../base/log.js';
import { asProviderErrors } from '../http/answers/error-boundary.js';
import { RangeReader } from '../http/ranges/range-reader.js';
import type { MakeExchanger } from '../http/transport/exchanger.js';
import type { Bandwidth } from '../http/transport/token-bucket.js';
import type { Account, Capabilities, Provider, RemoteRef } from '../provider.js';
import { FourSharedApi, type FourSharedCredentials, type FourSharedEndpoints } from './api.js';
import { isHidden, toFile, toTime } from './entities.js';
import { everythingOf, listFolder, type PagesOfFolder } from './list.js';
import { maxNameLength, Namespace } from './namespace.js';
import { link, search } from './sharing.js';
import { listTrash } from './trash.js';
import { defaultSimpleUploadLimit, Uploader } from './upload.js';

export type FourSharedName = '4shared' | '4sync';

export interface FourSharedOptions {
  readonly endpoints: FourSharedEndpoints;
  readonly credentials: FourSharedCredentials;
  /** The longest time for a request with its retries, ms. Time in which content moves is not counted. Default 60,000. */
  readonly deadlineMs?: number;
  /** Stall timeout: a try fails when no byte has moved for this long, ms. Default 30,000, at most half the deadline. */
  readonly stallMs?: number;
  readonly clock?: Clock;
  readonly log?: Log;
  /** Bytes of one chunk of a large upload. Default: see `chunkPolicy`. */
  readonly chunkBytes?: number;
  /** Largest content that is uploaded in one request, bytes. Default 149,000,000. */
  readonly simpleUploadLimit?: number;
  /** What happens to an old version that a large upload replaces. Default `trash`. */
  readonly disposal?: 'trash' | 'permanent';
  /** Requests at once per host. Default 32. */
  readonly maxConnections?: number;
  readonly bulk?: MakeExchanger;
  readonly bandwidth?: Bandwidth;
}

export const fourSharedEndpoints: Readonly<Record<FourSharedName, FourSharedEndpoints>> = {
  '4shared': { api: 'https://api.4shared.com/v1_2', upload: 'https://upload.4shared.com/v1_2' },
  '4sync': { api: 'https://api.4sync.com/v1_2', upload: 'https://upload.4sync.com/v1_2' },
};

const capabilities: Capabilities = {
  folders: 'real',
  moveFile: true,
  moveFolder: true,
  copyFile: true,
  trash: true,
  permanentDelete: true,
  resumableUpload: true,
  md5: true,
  quota: true,
  changes: false,
  // Not documented. If names that differ in case counted as equal, we might hide a file.
  caseSensitive: true,
  maxNameLength,
};

export function createFourShared(name: FourSharedName, options: FourSharedOptions): Provider {
  const { endpoints, credentials, log = silentLog } = options;
  const api = new FourSharedApi(endpoints, credentials, {
    deadlineMs: options.deadlineMs,
    stallMs: options.stallMs,
    maxConnections: options.maxConnections,
    bulk: options.bulk,
    bandwidth: options.bandwidth,
    clock: options.clock,
    log,
  });
  const namespace = new Namespace(api);
  const reader = new RangeReader({
    http: api.http,
    call: (file) => api.downloadCall(file.id),
    async current(file, request) {
      const response = await api.file(file.id, request);
      return isHidden(response.status) ? undefined : toFile(response, file.parentId, file.access);
    },
  });
  const uploader = new Uploader(api, namespace, {
    simpleUploadLimit: options.simpleUploadLimit ?? defaultSimpleUploadLimit,
    chunkBytes: options.chunkBytes,
    disposal: options.disposal ?? 'trash',
    log,
  });

  return {
    name,
    capabilities,
    account: (request = {}) =>
      asProviderErrors(async (): Promise<Account> => {
        const user = await api.user(request);
        const { totalSpace: total, freeSpace: free } = user;
        return {
          userId: user.id,
          identifiedBy: 'service',
          label: user.email ?? ([user.firstName, user.lastName].filter(Boolean).join(' ').trim() || user.id),
          root: {
            kind: 'folder',
            id: user.rootFolderId,
            parentId: null,
            name: '',
            modified: toTime(user.created),
            access: 'write',
            fileCount: null,
            folderCount: null,
          },
          quota: typeof total === 'number' && typeof free === 'number' ? { total, free } : null,
          maxFileSize: user.uploadSizeLimit ?? null,
        };
      }),
    list: (folder, { countsAreFresh = false, ...request } = {}) =>
      asProviderErrors(async () => everythingOf(await listFolder(api, folder, countsAreFresh, request))),
    revalidateListing: (folder, { countsAreFresh = false, memory, ...request }) =>
      asProviderErrors(() => listFolder(api, folder, countsAreFresh, request, memory as PagesOfFolder | null)),
    stat: (ref: RemoteRef, request = {}) => asProviderErrors(() => namespace.stat(ref.kind, ref.id, request)),
    read: (file, range, request = {}) => asProviderErrors(() => reader.read(file, range, request)),
    createFolder: (parentId, folderName, request = {}) =>
      asProviderErrors(() => namespace.createFolder(parentId, folderName, request)),
    upload: (target, source, request = {}) => asProviderErrors(() => uploader.upload(target, source, request)),
    discardUpload: (checkpoint, request = {}) => asProviderErrors(() => uploader.discard(checkpoint, request)),
    move: (entry, to, request = {}) => asProviderErrors(() => namespace.move(entry, to, request)),
    copy: (file, to, request = {}) => asProviderErrors(() => namespace.copy(file, to, request)),
    trash: (entry, request = {}) => asProviderErrors(() => namespace.trash(entry, request)),
    untrash: (entry, { name: as, ...request } = {}) => asProviderErrors(() => namespace.untrash(entry, as, request)),
    listTrash: (request = {}) => asProviderErrors(() => listTrash(api, request)),
    remove: (entry, request = {}) => asProviderErrors(() => namespace.remove(entry, request)),
    link: (entry, wish, request = {}) => asProviderErrors(() => link(api, entry, wish, request)),
    search: (query, request = {}) => asProviderErrors(() => search(api, query, request)),
    send: (made, request = {}) => asProviderErrors(async () => await api.send(made, request)),
    metrics: () => api.http.metrics(),
    close: () => api.http.close(),
  };
}
