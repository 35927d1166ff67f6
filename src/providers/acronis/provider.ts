/** Acronis File Sync & Share: nodes with uuids, revisions, permissions and their own download URLs (document 003). */
import { createHash } from 'node:crypto';
import { type Clock, systemClock } from '../../base/clock.js';
import { mapInTurns } from '../../base/event-loop-turns.js';
import type { Log } from '../../base/log.js';
import { ProviderError } from '../errors.js';
import { asProviderErrors } from '../http/answers/error-boundary.js';
import type { CallOptions } from '../http/client/call.js';
import { RangeReader } from '../http/ranges/range-reader.js';
import type { MakeExchanger } from '../http/transport/exchanger.js';
import type { Bandwidth } from '../http/transport/token-bucket.js';
import { NameLocks } from '../name-locks.js';
import type { Account, Capabilities, Provider, Quota, RemoteEntry, RemoteFile } from '../provider.js';
import { AcronisApi } from './api.js';
import { entryOf, type Node, rootFolder, rootUuid } from './entities.js';
import { withoutName } from './error-table.js';
import { members, share } from './members.js';
import { maxNameLength, Namespace } from './namespace.js';
import { Nodes } from './nodes.js';
import { RemovedFiles } from './removed-files.js';
import { link } from './sharing.js';
import { type AcronisCredentials, type Renewal, TokenKeeper } from './tokens.js';
import { Uploader } from './upload.js';

export interface AcronisOptions {
  /** `api` ends in `/fc/api/v1`; `authorize` is for logins only. */
  readonly endpoints: { readonly api: string; readonly token: string };
  readonly credentials: AcronisCredentials;
  readonly renewal?: Renewal;
  readonly deadlineMs?: number;
  readonly stallMs?: number;
  readonly clock?: Clock;
  readonly log?: Log;
  readonly maxConnections?: number;
  readonly bulk?: MakeExchanger;
  readonly bandwidth?: Bandwidth;
  /** `trash`: if the server offers no deletion, removed objects are moved to a folder for them. */
  readonly disposal?: 'trash' | 'permanent';
}

/** The longest age, ms, at which the root's listing by `account` may serve as the first `list` of the root. */
const FIRST_ROOT_MS = 2_000;

export const acronisEndpoints = {
  api: 'https://dev-cloud.acronis.com/fc/api/v1',
  token: 'https://dev-cloud.acronis.com/api/2/idp/token',
  authorize: 'https://dev-cloud.acronis.com/api/2/idp/authorize',
} as const;

const fixedCapabilities = {
  folders: 'real',
  moveFile: true,
  moveFolder: true,
  copyFile: true,
  resumableUpload: false,
  md5: true,
  quota: true,
  changes: false,
  caseSensitive: false,
  maxNameLength,
} as const;

export function createAcronis(options: AcronisOptions): Provider {
  const { endpoints, credentials, log, clock, deadlineMs, stallMs } = options;
  const now = (): number => (clock ?? systemClock).now();
  const keeper = new TokenKeeper({
    token: endpoints.token,
    credentials,
    renewal: options.renewal,
    clock,
    log,
    deadlineMs,
    stallMs,
  });
  const api = new AcronisApi(endpoints.api, keeper, {
    deadlineMs,
    stallMs,
    maxConnections: options.maxConnections,
    bulk: options.bulk,
    bandwidth: options.bandwidth,
    clock,
    log,
  });
  const nodes = new Nodes(api);
  const nameLocks = new NameLocks();
  const namespace = new Namespace(api, nodes, nameLocks, log);
  const removed = new RemovedFiles(nodes, namespace);
  const uploader = new Uploader(api, nodes, nameLocks, quota);
  let canAskQuota = true;
  /** The root's listing by the first `account`, because a new mount lists the root next. Null: already used, or too old. */
  let firstRoot: { readonly nodes: readonly Node[]; readonly at: number; readonly requests: number } | null | undefined;

  const capabilities: Capabilities = {
    ...fixedCapabilities,
    /** The folder for removed files exists, or the first removal that needs it will make it. */
    get trash() {
      return removed.isKnown || (namespace.deletion === 'absent' && options.disposal === 'trash');
    },
    trashForgetsPlaces: true,
    /** True until we learn that the server offers no deletion. */
    get permanentDelete() {
      return namespace.deletion !== 'absent';
    },
  };

  async function quota(request: CallOptions): Promise<Quota | null> {
    if (nodes.ownUuid === undefined || !canAskQuota) return null;
    try {
      const user = await api.user(nodes.ownUuid, request);
      const total = positive(user.override_quota) ?? positive(user.quota);
      const used = user.sync_and_share_content?.used_space ?? 0;
      return total === undefined ? null : { total, free: Math.max(0, total - used) };
    } catch (error) {
      // "Administrative permissions required": the account will not get them meanwhile, so we do not ask again.
      if (error instanceof ProviderError && (error.code === 'permission' || error.code === 'not-found'))
        canAskQuota = false;
      if (error instanceof ProviderError && (error.code === 'aborted' || error.code === 'auth')) throw error;
      return null;
    }
  }

  /** The root as it was just listed. Undefined if a request has been sent since, because that may have changed the root. */
  function takeFirstRoot(): readonly Node[] | undefined {
    const first = firstRoot;
    firstRoot = null;
    if (first == null || now() > first.at + FIRST_ROOT_MS || api.http.metrics().total !== first.requests) return;
    return first.nodes;
  }

  async function stat(ref: Parameters<Provider['stat']>[0], request: CallOptions): Promise<RemoteEntry> {
    const found = await nodes.find(ref, request);
    if (found === undefined || found.kind !== ref.kind)
      throw new ProviderError('not-found', 'it is not in its folder any more', { data: {} });
    return found;
  }

  const reader = new RangeReader({
    http: api.http,
    async call(file, request) {
      nodes.require(file.id, 'can_be_downloaded');
      const url = await nodes.action(file, ['download'], request);
      const template = '/sync_and_share_nodes/{uuid}/download';
      if (url !== undefined) return api.actionCall('GET', template, url);
      if ((await nodes.find(file, request)) === undefined)
        throw new ProviderError('not-found', 'it is not in its folder any more', { data: {} });
      throw new ProviderError('permission', 'the service offers no download of this file', { data: {} });
    },
    async current(file, request) {
      const found = await nodes.find(file, request);
      return found?.kind === 'file' ? found : undefined;
    },
  });

  async function read(
    file: RemoteFile,
    ...[range, request = {}]: Rest<Provider['read']>
  ): ReturnType<Provider['read']> {
    try {
      return await reader.read(file, range, request);
    } catch (error) {
      throw await nodes.clarified(withoutName(error), file, request);
    }
  }

  return {
    name: 'acronis',
    capabilities,
    account: (request = {}) =>
      asProviderErrors(async (): Promise<Account> => {
        const root = await nodes.list(rootUuid, request);
        const at = now();
        removed.learn(root);
        const known = keeper.credentials;
        const userId = identity(known, endpoints.api);
        const account: Account = {
          userId,
          identifiedBy: known.username === undefined ? 'credentials' : 'login',
          label: known.username ?? `Acronis account ${userId.slice(0, 6)}`,
          root: rootFolder,
          quota: await quota(request),
          maxFileSize: null,
        };
        firstRoot = firstRoot === undefined ? { nodes: root, at, requests: api.http.metrics().total } : null;
        return account;
      }),
    list: (folder, { countsAreFresh: _, ...request } = {}) =>
      asProviderErrors(async () => {
        try {
          const isRoot = folder.id === rootUuid;
          const listed = (isRoot ? takeFirstRoot() : undefined) ?? (await nodes.list(folder.id, request));
          const shown = isRoot ? removed.learn(listed) : listed;
          return await mapInTurns(shown, (node) => entryOf(node, folder.id));
        } catch (error) {
          throw await nodes.clarified(error, folder, request);
        }
      }),
    stat: (ref, request = {}) => asProviderErrors(() => stat(ref, request)),
    read: (file, range, request) => asProviderErrors(() => read(file, range, request)),
    createFolder: (parentId, name, request = {}) =>
      asProviderErrors(() => namespace.createFolder(parentId, name, request)),
    upload: (target, source, request = {}) => asProviderErrors(() => uploader.upload(target, source, request)),
    move: (entry, to, request = {}) => asProviderErrors(() => namespace.move(entry, to, request)),
    copy: (file, to, request = {}) => asProviderErrors(() => namespace.copy(file, to, request)),
    trash: (entry, request = {}) =>
      capabilities.trash
        ? asProviderErrors(() => removed.trash(entry, request))
        : unsupported('move to a trash: it has no folder for removed files'),
    untrash: (entry, { name, ...request } = {}) =>
      capabilities.trash
        ? asProviderErrors(() => removed.untrash(entry, name, request))
        : unsupported('bring back from a trash: it has no folder for removed files'),
    listTrash: (request = {}) => asProviderErrors(() => removed.list(request)),
    remove: (entry, request = {}) => asProviderErrors(() => namespace.remove(removed.locate(entry), request)),
    link: (entry, wish, request = {}) => asProviderErrors(() => link(api, entry, wish, request)),
    members: (folder, request = {}) => asProviderErrors(() => members(api, folder, request)),
    share: (folder, email, rights, request = {}) => asProviderErrors(() => share(api, folder, email, rights, request)),
    send: (made, request = {}) => asProviderErrors(async () => await api.send(made, request)),
    metrics: () => api.http.metrics(),
    async close() {
      await keeper.close();
      await api.http.close();
    },
  };
}

type Rest<F> = F extends (first: RemoteFile, ...rest: infer R) => unknown ? R : never;

function unsupported(what: string): Promise<never> {
  return Promise.reject(new ProviderError('unsupported', `Acronis cannot ${what}`, { data: {} }));
}

function positive(value: number | null | undefined): number | undefined {
  return typeof value === 'number' && value > 0 ? value : undefined;
}

/**
 * The account's id: a hash of the login name, or of the subject of a JWT token, or else of the client id. We cannot use the
 * user's uuid: the API reports it only as the owner of nodes, and a new account has none.
 */
function identity(credentials: AcronisCredentials, api: string): string {
  const who = credentials.username?.toLowerCase() ?? subjectOf(credentials.accessToken) ?? credentials.clientId ?? '';
  return createHash('sha256').update(`acronis\n${api}\n${who}`).digest('hex').slice(0, 16);
}

function subjectOf(token: string | undefined): string | undefined {
  try {
    const claims: unknown = JSON.parse(Buffer.from(token?.split('.')[1] ?? '', 'base64url').toString('utf8'));
    const { sub } = claims as { sub?: unknown };
    return typeof sub === 'string' && sub !== '' ? sub : undefined;
  } catch {
    return undefined;
  }
}
