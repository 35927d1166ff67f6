/** The calls of the document on files and folders, and on the user. */
import type { BlobStore } from '../content/blobs.js';
import { mimeType } from '../content/mime.js';
import { parseRange } from '../content/range.js';
import { type Answer, type Exchange, jsonAnswer, noContent, octetType } from '../http/exchange.js';
import { validatorHeaders } from '../http/validator.js';
import type { Actions } from './actions.js';
import { checkName } from './actions.js';
import { integerOf, jsonBody, onlyText, parameter } from './body.js';
import type { Method, Resource } from './dialect.js';
import { type Entities, idOfTicket, ticketOf, userUuid } from './entities.js';
import { adminOnly, badMethod, badRange, invalid, noPermission, notFound, notReceived } from './errors.js';
import { type FolderNode, type Node, type Nodes, type Permission, rootId } from './nodes.js';
import type { AcronisReadings } from './options.js';
import { Sharing } from './sharing.js';

export interface World {
  nodes: Nodes;
  actions: Actions;
  entities: Entities;
  blobs: BlobStore;
  readings: AcronisReadings;
}

const base = '/fc/api/v1';
const nodeId = /^(?:0|[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12})$/;

export function resources(world: World): Resource[] {
  const { nodes, actions, entities, blobs, readings } = world;
  const sharing = new Sharing(
    () => nodes.now(),
    () => entities.person(),
  );

  /** The node. If it does not exist, throws the error of the call's own table. */
  function find(id: string, documented: 404 | 403): Node {
    const node = nodeId.test(id) ? nodes.node(id) : undefined;
    if (node) return node;
    const status = readings.missingNode === 'documented' ? documented : Number(readings.missingNode);
    throw status === 404 ? notFound() : noPermission();
  }

  function folderOf(id: string, documented: 404 | 403): FolderNode {
    const node = find(id, documented);
    if (node.kind !== 'folder') throw invalid('the node is no folder');
    return node;
  }

  function assertMay(node: Node, permission: Permission): void {
    if (!entities.may(node, permission)) throw noPermission();
  }

  /** "Creates a folder by name or path". */
  async function create(exchange: Exchange): Promise<Answer> {
    const fields = onlyText((await jsonBody(exchange, ['sync_and_share_node'])).sync_and_share_node, [
      'name',
      'parent_uuid',
      'path',
    ]);
    const { name, parent_uuid: parentUuid, path } = fields;
    if ((path === undefined) === (name === undefined) || (name === undefined) !== (parentUuid === undefined))
      throw invalid('name and parent_uuid, or path');
    const names = path === undefined ? [name ?? ''] : path.replace(/^\//, '').split('/');
    const last = names.pop() ?? '';
    let parent = folderOf(parentUuid ?? rootId, 404);
    for (const step of names) {
      const next = nodes.named(parent.id, step);
      if (next?.kind !== 'folder') throw notFound();
      parent = next;
    }
    assertMay(parent, 'can_create_folders_into');
    return jsonAnswer(entities.node(actions.createFolder(parent, last)), 201);
  }

  async function update(exchange: Exchange): Promise<Answer> {
    const body = await jsonBody(exchange, ['sync_and_share_node']);
    const { name } = onlyText(body.sync_and_share_node, ['name']);
    if (name === undefined) throw invalid('name is missing');
    const node = find(exchange.id(), 403);
    assertMay(node, 'can_be_renamed');
    const parent = nodes.parent(node);
    if (!parent) throw noPermission();
    actions.relocate(node, parent, name);
    return noContent();
  }

  /** 200 for the whole list, 206 for a part of it. */
  function contents(exchange: Exchange): Answer {
    const folder = folderOf(exchange.id(), 403);
    const { maxPerPage, defaultPerPage, overMaxPerPage, lastPageStatus, deletedListed } = readings;
    const asked = integerOf(exchange, 'per_page');
    const page = integerOf(exchange, 'page') ?? 1;
    if (asked !== undefined && maxPerPage > 0 && asked > maxPerPage && overMaxPerPage === 'refused')
      throw invalid(`per_page is at most ${maxPerPage}`);
    const wanted = asked ?? defaultPerPage;
    const most = Math.min(wanted || Infinity, asked === undefined ? Infinity : maxPerPage || Infinity);
    const live = nodes.children(folder.id);
    const all = deletedListed ? [...live, ...nodes.deletedChildren(folder.id)] : live;
    const start = most === Infinity ? (page === 1 ? 0 : all.length) : (page - 1) * most;
    const part = all.slice(start, start + most);
    if (page > 1 && part.length === 0 && readings.pastEnd === '404') throw notFound();
    const above = [
      ...entities.above(folder),
      { name: folder.name, uuid: folder.id, is_root: folder.parentId === null },
    ];
    const last = start + part.length >= all.length;
    const status = part.length === all.length ? 200 : last ? lastPageStatus : 206;
    return jsonAnswer(
      part.map((node) => entities.node(node, above)),
      status,
    );
  }

  async function upload(exchange: Exchange): Promise<Answer> {
    const folder = folderOf(exchange.id(), 404);
    assertMay(folder, 'can_create_files_into');
    if (exchange.mediaType !== octetType) throw invalid(`Content-Type must be ${octetType}`);
    if (exchange.request.headers['transfer-encoding']?.toLowerCase() !== 'chunked')
      throw invalid('Transfer-Encoding must be chunked');
    const name = checkName(parameter(exchange, 'filename'));
    parameter(exchange, 'size');
    const size = integerOf(exchange, 'size', 0) ?? 0;
    const checksum = exchange.query.get('checksum')?.toLowerCase();
    if (checksum !== undefined && !/^[0-9a-f]{32}$/.test(checksum)) throw invalid('checksum is no MD5 digest');
    const existing = actions.existing(folder, name);
    if (existing && nodes.isReadOnly(existing)) throw noPermission();
    if (size === 0 && readings.emptyContent === 'refused') throw invalid('the file is empty');
    actions.assertRoom(size, existing?.size);
    const content = await blobs.write(exactly(exchange.body(), size));
    if (checksum !== undefined && checksum !== content.md5) {
      blobs.release(content.blob);
      throw notReceived();
    }
    const stored = entities.node(actions.upload(folder, name, content));
    return jsonAnswer(readings.checksum === 'immediate' ? stored : { ...stored, checksum: '' }, 201);
  }

  /** The target folder of copy and move (`parent_uuid`). Checks the right to put the node there. */
  async function target(exchange: Exchange, node: Node): Promise<FolderNode> {
    const { parent_uuid: id } = onlyText(await jsonBody(exchange, ['parent_uuid']), ['parent_uuid']);
    if (id === undefined) throw invalid('parent_uuid is missing');
    const folder = folderOf(id, 403);
    assertMay(folder, node.kind === 'file' ? 'can_create_files_into' : 'can_create_folders_into');
    return folder;
  }

  /** "200 — Successfully copied the file/folder": without a body. */
  async function copy(exchange: Exchange): Promise<Answer> {
    const node = find(exchange.id(), 403);
    assertMay(node, 'can_be_copied');
    actions.copy(node, await target(exchange, node));
    return noContent(200);
  }

  async function move(exchange: Exchange): Promise<Answer> {
    const node = find(exchange.id(), 403);
    assertMay(node, 'can_be_moved');
    actions.relocate(node, await target(exchange, node), node.name);
    return noContent();
  }

  function remove(exchange: Exchange): Answer {
    const node = find(exchange.id(), 403);
    assertMay(node, 'can_be_deleted');
    actions.remove(node);
    return noContent();
  }

  /** The action of that name, if the node has it. */
  const removal =
    (name: 'remove' | 'delete') =>
    (exchange: Exchange): Answer => {
      if (readings.deletion !== 'action' || readings.deleteAction !== name) throw notFound();
      if (exchange.method !== readings.deleteActionMethod) throw badMethod(readings.unofferedMethod);
      return remove(exchange);
    };

  function download(exchange: Exchange): Answer | Promise<Answer> {
    if (readings.actionUrls === 'opaque') throw notFound();
    return redirected(exchange.id()) ?? content(exchange, exchange.id());
  }

  function redirected(id: string): Answer | undefined {
    if (!readings.downloadRedirect) return undefined;
    return { status: 302, headers: { location: `/fc/e/${ticketOf(id)}` } };
  }

  /** Where a redirect leads. A relative address of the same host: the credentials may come along. */
  const elsewhere = (exchange: Exchange): Promise<Answer> =>
    content(exchange, idOfTicket(exchange.params.ticket ?? ''));

  function ticket(exchange: Exchange): Answer | Promise<Answer> {
    if (readings.actionUrls !== 'opaque') throw notFound();
    const id = idOfTicket(exchange.params.ticket ?? '');
    return redirected(id) ?? content(exchange, id);
  }

  async function content(exchange: Exchange, id: string): Promise<Answer> {
    const node = find(id, 404);
    assertMay(node, 'can_be_downloaded');
    if (node.kind === 'folder') throw invalid('the sandbox makes no archives of folders');
    const { size } = node;
    const wanted = readings.range === '206' ? parseRange(exchange.request.headers.range, size) : undefined;
    if (wanted === 'unsatisfiable') throw badRange(size);
    const [start, end] = wanted ?? [0, size];
    const headers: Record<string, string> = { 'content-type': mimeType(node.name) };
    Object.assign(headers, validatorHeaders(readings.validator, node.blob, node.modified));
    if (wanted) headers['content-range'] = `bytes ${start}-${end - 1}/${size}`;
    return { status: wanted ? 206 : 200, headers, content: await blobs.reader(node.blob), start, end };
  }

  function user(exchange: Exchange): Answer {
    if (readings.userInfo === 'forbidden') throw adminOnly();
    if (exchange.id().toLowerCase() !== userUuid) throw notFound();
    return jsonAnswer(entities.user());
  }

  function refuse(refusal: () => Error): Method {
    const handle = () => {
      throw refusal();
    };
    return { auth: 'bearer', query: 'any', handle };
  }

  const call = (handle: Method['handle'], query: readonly string[] = []): Method => ({ auth: 'bearer', query, handle });
  const node = (rest: string, methods: Resource['methods']): Resource => ({
    path: `${base}/sync_and_share_nodes/:id${rest}`,
    label: `/sync_and_share_nodes/{node_uuid}${rest.replace(/:(\w+)/g, '{$1}')}`,
    methods,
  });
  const deletion = (exchange: Exchange) => {
    if (readings.deletion !== 'node') throw badMethod(readings.unofferedMethod);
    return remove(exchange);
  };
  const admin = (path: string, ...methods: string[]): Resource => ({
    path: `${base}${path}`,
    label: path.replace(/:(\w+)/g, '{$1}'),
    methods: Object.fromEntries(methods.map((method) => [method, refuse(adminOnly)])),
  });
  return [
    { path: `${base}/sync_and_share_nodes`, label: '/sync_and_share_nodes', methods: { POST: call(create) } },
    node('', { PUT: call(update), DELETE: call(deletion) }),
    node('/contents', { GET: call(contents, ['per_page', 'page']) }),
    node('/upload', { POST: call(upload, ['filename', 'size', 'checksum']) }),
    node('/copy', { POST: call(copy) }),
    node('/move', { POST: call(move) }),
    node('/download', { GET: call(download) }),
    { ...node('/download', { GET: call(ticket) }), path: '/fc/d/:ticket' },
    { ...node('/download', { GET: call(elsewhere) }), path: '/fc/e/:ticket' },
    node('/preview', { GET: refuse(notFound) }),
    node('/remove', { DELETE: call(removal('remove')), POST: call(removal('remove')) }),
    node('/delete', { DELETE: call(removal('delete')), POST: call(removal('delete')) }),
    { path: `${base}/users/:id`, label: '/users/{user_uuid}', methods: { GET: call(user, ['tenant_id']) } },
    node('/links', { POST: call((x) => sharing.createLink(x, find(x.id(), 403))) }),
    node('/links/:link_id', { PUT: call((x) => sharing.updateLink(x, find(x.id(), 403))) }),
    node('/members', {
      GET: call((x) => sharing.members(find(x.id(), 403)), ['per_page', 'page']),
      POST: call((x) => sharing.createMember(x, find(x.id(), 403))),
    }),
    node('/members/:member_id', { PUT: call((x) => sharing.updateMember(x, find(x.id(), 403))) }),
    // The other routes of the document are for administrators, which this user is not.
    admin('/audit_log', 'GET'),
    admin('/devices', 'GET'),
    admin('/devices/:device_uuid', 'GET', 'PUT', 'DELETE'),
    admin('/settings/:name', 'GET', 'PUT'),
  ];
}

/** "not all the data was received", or more than all. */
async function* exactly(body: AsyncIterable<Buffer>, size: number): AsyncGenerator<Buffer> {
  let received = 0;
  for await (const piece of body) {
    received += piece.length;
    if (received > size) throw notReceived();
    yield piece;
  }
  if (received !== size) throw notReceived();
}
