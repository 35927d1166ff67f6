/** The part of the Acronis document that the tests need, in memory, with a switch for each reading. */
import { onTestFinished } from 'vitest';
import { type AcronisOptions, createAcronis } from '../../../src/providers/acronis/provider.js';
import type { AcronisCredentials } from '../../../src/providers/acronis/tokens.js';
import type { Provider, RemoteFolder } from '../../../src/providers/provider.js';
import { md5 } from '../fourshared/mini-account.js';
import { hangUp, json, type MiniServer, miniServer, type Seen } from '../mini-server.js';

export interface StoredNode {
  uuid: string;
  parent: string;
  name: string;
  directory: boolean;
  data: Buffer;
  readOnly: boolean;
  revisions: number;
}

export interface AcronisReadings {
  /** Nodes of the largest page. */
  page?: number;
  /** A `per_page` above that is refused, not lowered. */
  refusesPerPage?: boolean;
  deletes?: 'delete' | 'action' | 'pretends' | 'no';
  /** The status for a missing node. */
  missing?: 403 | 404;
  downloads?: 'here' | 'elsewhere';
  ranges?: boolean;
  refreshTokens?: 'none' | 'fixed' | 'rotating';
  /** Lifetime of access tokens, s. Absent: the answer does not contain it. */
  expiresIn?: number;
  clientIn?: 'header' | 'form';
}

export interface MiniAcronis {
  readonly server: MiniServer;
  readonly elsewhere: MiniServer | undefined;
  readonly provider: Provider;
  readonly nodes: Map<string, StoredNode>;
  readonly issued: AcronisCredentials[];
  add(parent: string, name: string, data?: string): StoredNode;
  lose: (request: Seen) => boolean;
  before: (request: Seen) => { status: number; value?: unknown } | undefined;
  /** The valid access tokens. */
  readonly tokens: Set<string>;
  refreshToken: string;
  lines(): string[];
}

export const root: RemoteFolder = {
  kind: 'folder',
  id: '0',
  parentId: null,
  name: '',
  modified: 0,
  access: 'write',
  fileCount: null,
  folderCount: null,
};

export const login = { username: 'me@example.com', password: 'pass-word 1' };
const ownUuid = '90f04afd-c9c7-4b25-a7cf-b8129696fca6';

function error(status: number, code: number): { status: number; value: unknown } {
  return { status, value: { error: { domain: 'Files', code, message: `told ${code}` } } };
}

export async function miniAcronis(
  readings: AcronisReadings = {},
  more: Partial<AcronisOptions> = {},
): Promise<MiniAcronis> {
  const nodes = new Map<string, StoredNode>();
  let ids = 0;
  const missing = readings.missing === 403 ? error(403, 3) : error(404, 10);
  const elsewhere =
    readings.downloads === 'elsewhere'
      ? await miniServer((request, response) => {
          const node = nodes.get(request.path.slice(1));
          response.writeHead(node === undefined ? 404 : 200).end(node?.data);
        })
      : undefined;
  const show = (node: StoredNode): object => ({
    uuid: node.uuid,
    name: node.name,
    parent_uuid: node.parent,
    is_directory: node.directory,
    ...(node.directory ? {} : { size: node.data.length }),
    checksum: node.directory ? '' : md5(node.data),
    file_modification_date: '2019-06-13T08:57:12Z',
    is_deleted: false,
    is_shared: false,
    read_only: node.readOnly,
    permissions: { can_be_deleted: true, can_be_renamed: true, can_be_downloaded: true },
    owner: { uuid: ownUuid, name: 'user', email: 'user@example.com' },
    actions: {
      download: elsewhere
        ? `${elsewhere.origin}/${node.uuid}`
        : `/fc/api/v1/sync_and_share_nodes/${node.uuid}/download`,
      ...(readings.deletes === 'action' ? { remove: `/fc/api/v1/sync_and_share_nodes/${node.uuid}/remove` } : {}),
    },
  });
  const children = (uuid: string): StoredNode[] => [...nodes.values()].filter((node) => node.parent === uuid);
  const holder = (parent: string, name: string): StoredNode | undefined =>
    children(parent).find((node) => node.name.toLowerCase() === name.toLowerCase());
  const remove = (uuid: string): void => {
    for (const child of children(uuid)) remove(child.uuid);
    nodes.delete(uuid);
  };

  const grant = (request: Seen): { status: number; value: unknown } => {
    const { form } = request;
    const refused = { status: 400, value: { error: 'invalid_grant', error_description: 'no' } };
    const type = form.get('grant_type');
    const basic = request.headers.authorization?.startsWith('Basic ') === true;
    if (readings.clientIn !== undefined && basic !== (readings.clientIn === 'header'))
      return { status: 401, value: { error: 'invalid_client' } };
    if (type === 'password' && (form.get('username') !== login.username || form.get('password') !== login.password))
      return refused;
    if (type === 'refresh_token' && form.get('refresh_token') !== mini.refreshToken) return refused;
    if (type === 'authorization_code' && form.get('code') !== 'the-code') return refused;
    const token = `access-token-${++ids}`;
    mini.tokens.clear();
    mini.tokens.add(token);
    const kind = readings.refreshTokens ?? 'none';
    if (kind === 'rotating' || (kind === 'fixed' && type !== 'refresh_token')) mini.refreshToken = `refresh-${ids}`;
    return {
      status: 200,
      value: {
        access_token: token,
        token_type: 'bearer',
        ...(readings.expiresIn === undefined ? {} : { expires_in: readings.expiresIn }),
        ...(kind === 'none' || (kind === 'fixed' && type === 'refresh_token')
          ? {}
          : { refresh_token: mini.refreshToken }),
      },
    };
  };

  const work = (request: Seen): { status: number; value?: unknown; raw?: Buffer; headers?: Record<string, string> } => {
    if (request.path === '/api/2/idp/token') return grant(request);
    if (!mini.tokens.has((request.headers.authorization ?? '').replace('Bearer ', ''))) return { status: 401 };
    const [, , , , kind, uuid = '', action] = request.path.split('/');
    if (kind === 'users')
      return {
        status: 200,
        value: { uuid, quota: 1000, override_quota: 500, sync_and_share_content: { used_space: 100 } },
      };
    const node = nodes.get(uuid);
    const body = request.headers['content-type'] === 'application/json' ? JSON.parse(request.body.toString()) : {};
    if (uuid === '') {
      const { name, parent_uuid } = body.sync_and_share_node;
      const old = holder(parent_uuid, name);
      if (old?.name === name) return error(409, 92);
      if (old !== undefined) {
        old.name = name;
        return { status: 201, value: show(old) };
      }
      const made = mini.add(parent_uuid, name);
      return { status: 201, value: show(made) };
    }
    if (node === undefined && uuid !== '0') return missing;
    switch (`${request.method} ${action ?? ''}`) {
      case 'GET contents': {
        const most = readings.page ?? 10_000;
        const asked = Number(request.query.get('per_page') ?? most);
        if (readings.refusesPerPage && asked > most) return error(400, 15);
        const per = Math.min(asked, most);
        const page = Number(request.query.get('page') ?? 1);
        const all = children(uuid);
        const slice = all.slice((page - 1) * per, page * per);
        return { status: slice.length === all.length ? 200 : 206, value: slice.map(show) };
      }
      case 'POST upload': {
        const { headers, query } = request;
        if (headers['transfer-encoding'] !== 'chunked' || headers['content-length'] !== undefined)
          return error(400, 15);
        if (headers['content-type'] !== 'application/octet-stream') return error(400, 15);
        if (Number(query.get('size')) !== request.body.length || query.get('checksum') !== md5(request.body))
          return error(400, 9);
        const name = query.get('filename') ?? '';
        const made = holder(uuid, name) ?? mini.add(uuid, name, '');
        made.data = request.body;
        made.revisions += 1;
        return { status: 201, value: show(made) };
      }
      case 'PUT ':
        (node as StoredNode).name = body.sync_and_share_node.name;
        return { status: 204 };
      case 'POST move':
      case 'POST copy': {
        const moved = node as StoredNode;
        if (holder(body.parent_uuid, moved.name) !== undefined) return error(409, 92);
        if (action === 'move') {
          moved.parent = body.parent_uuid;
          return { status: 204 };
        }
        mini.add(body.parent_uuid, moved.name, moved.data.toString());
        return { status: 200 };
      }
      case 'GET download': {
        const { data } = node as StoredNode;
        const range = /^bytes=(\d+)-(\d+)$/.exec(request.headers.range ?? '');
        if (range === null || readings.ranges === false) return { status: 200, raw: data };
        const raw = data.subarray(Number(range[1]), Number(range[2]) + 1);
        const headers = { 'content-range': `bytes ${range[1]}-${Number(range[1]) + raw.length - 1}/${data.length}` };
        return { status: 206, raw, headers };
      }
      case 'DELETE ':
        if (readings.deletes === 'pretends') return { status: 204 };
        if (readings.deletes !== 'delete') return { status: 405 };
        remove(uuid);
        return { status: 204 };
      case 'POST remove':
        remove(uuid);
        return { status: 204 };
      default:
        return { status: 405 };
    }
  };

  const server = await miniServer((request, response) => {
    const { status, value, raw, headers } =
      (mini.before(request) as ReturnType<typeof work> | undefined) ?? work(request);
    if (mini.lose(request)) hangUp(response);
    else if (raw !== undefined)
      response.writeHead(status, { 'content-length': String(raw.length), ...headers }).end(raw);
    else if (value !== undefined) json(response, value, status);
    else response.writeHead(status).end();
  });
  const issued: AcronisCredentials[] = [];
  const provider = createAcronis({
    endpoints: { api: `${server.origin}/fc/api/v1`, token: `${server.origin}/api/2/idp/token` },
    credentials: login,
    deadlineMs: 10_000,
    async renewal(renew) {
      const credentials = await renew();
      issued.push(credentials);
      return credentials;
    },
    ...more,
  });
  onTestFinished(() => provider.close());
  const mini: MiniAcronis = {
    server,
    elsewhere,
    provider,
    nodes,
    issued,
    tokens: new Set(),
    refreshToken: 'refresh-0',
    lose: () => false,
    before: () => undefined,
    add(parent, name, data) {
      const uuid = `444f4f94-9f0e-4183-9d47-${String(++ids).padStart(12, '0')}`;
      const directory = data === undefined;
      const node = { uuid, parent, name, directory, data: Buffer.from(data ?? ''), readOnly: false, revisions: 1 };
      nodes.set(uuid, node);
      return node;
    },
    lines: () =>
      server.lines().map((line) => line.replace('/fc/api/v1/sync_and_share_nodes', '').replace(/44[\w-]{34}/, 'N')),
  };
  return mini;
}
