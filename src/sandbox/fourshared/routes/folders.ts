/** `/folder/{id}` and `/folders/{id}`: the documents write both. */

import { type Answer, jsonAnswer, noContent } from '../../http/exchange.js';
import type { Call, Resource } from '../call.js';
import * as refuse from '../errors.js';
import type { FolderItem } from '../state/items.js';
import { call } from './method.js';
import { addFields, cut, oneOf, optionalName, optionalText, page, target } from './parameters.js';
import type { World } from './world.js';

export function folderResources(world: World): Resource[] {
  const { account, actions, entities, readings, rules } = world;
  const folderOf = (exchange: Call): FolderItem => rules.folder(exchange.id());
  const listable = (exchange: Call): FolderItem => rules.liveFolder(exchange.id());
  const answer = (folder: FolderItem) => jsonAnswer(entities.folder(folder));

  function children(exchange: Call): Answer {
    const folder = listable(exchange);
    const path = account.path(folder);
    const folders = cut(account.index(folder.id).allFolders(), page(exchange));
    const list = folders.map((child) => entities.folder(child, path));
    return jsonAnswer(readings.childrenShape === 'array' ? list : { folders: list });
  }

  function files(exchange: Call): Answer {
    const folder = listable(exchange);
    const path = account.path(folder);
    const added = addFields(exchange);
    const list = cut(account.index(folder.id).listedFiles(), page(exchange));
    return jsonAnswer({ files: list.map((file) => entities.file(file, added, path)) });
  }

  function create(exchange: Call): Answer {
    const parent = rules.liveFolder(exchange.required('parentId'));
    const name = exchange.required('name');
    return answer(actions.createFolder(parent, name, optionalText(exchange, 'description') ?? ''));
  }

  function update(exchange: Call): Answer {
    const folder = folderOf(exchange);
    rules.assertLive(folder);
    const name = optionalName(exchange);
    const description = optionalText(exchange, 'description');
    const access = oneOf(exchange, 'access', ['private', 'public']);
    const permissions = oneOf(exchange, 'permissions', ['read', 'write']);
    const password = exchange.optional('password');
    if (folder.userPermissions !== 'owner') {
      if (access !== undefined) throw refuse.ownerOnly('access');
      if (permissions !== undefined) throw refuse.ownerOnly('permissions');
      if (password !== undefined) throw refuse.ownerOnly('password');
    }
    rules.assertWritable(folder);
    const parent = account.parent(folder);
    if (name !== undefined && !parent) throw refuse.rootFolder();
    if (name !== undefined && parent && name !== folder.name) actions.relocate(folder, { folder: parent, name });
    account.change(folder, () => {
      if (description !== undefined) folder.description = description;
      if (access !== undefined) folder.access = access;
      if (permissions !== undefined) folder.permissions = permissions;
      if (password !== undefined) folder.passwordProtected = password !== '';
    });
    return answer(folder);
  }

  function remove(exchange: Call): Answer {
    actions.delete(folderOf(exchange));
    return noContent();
  }

  function copy(exchange: Call): Answer {
    const folder = folderOf(exchange);
    rules.assertLive(folder);
    return answer(asFolder(actions.copy(folder, target(exchange, rules, folder))));
  }

  function move(exchange: Call): Answer {
    const folder = folderOf(exchange);
    rules.assertNotRoot(folder);
    rules.assertLive(folder);
    return answer(asFolder(actions.relocate(folder, target(exchange, rules, folder))));
  }

  function trash(exchange: Call): Answer {
    const folder = folderOf(exchange);
    actions.trash(folder);
    return answer(folder);
  }

  function untrash(exchange: Call): Answer {
    const folder = folderOf(exchange);
    actions.untrash(folder, optionalName(exchange));
    return answer(folder);
  }

  /** A GET under one of the two spellings. */
  const get = (base: string, handler: (exchange: Call) => Answer) => ({
    GET: call((exchange) => {
      if (readings.folderPaths !== 'both' && `/${readings.folderPaths}` !== base) throw refuse.notFound();
      return handler(exchange);
    }),
  });
  const item = { PUT: call(update, 'form'), DELETE: call(remove, 'any') };
  const post = (handler: (exchange: Call) => Answer) => ({ POST: call(handler, 'optional-form') });
  const spelled = (base: string): Resource[] => [
    { path: `${base}/:id`, label: label(''), methods: { ...get(base, (x) => answer(folderOf(x))), ...item } },
    { path: `${base}/:id/children`, label: label('/children'), methods: get(base, children) },
    { path: `${base}/:id/files`, label: label('/files'), methods: get(base, files) },
    { path: `${base}/:id/copy`, label: label('/copy'), methods: post(copy) },
    { path: `${base}/:id/move`, label: label('/move'), methods: post(move) },
    { path: `${base}/:id/trash`, label: label('/trash'), methods: post(trash) },
    { path: `${base}/:id/untrash`, label: label('/untrash'), methods: post(untrash) },
  ];
  return [
    { path: '/folders', label: '/folders', methods: { POST: call(create, 'form') } },
    ...spelled('/folder'),
    ...spelled('/folders'),
  ];
}

/** The documents' RESOURCE lines say `/folder/{id}` for reading and `/folders/{id}` for the rest. */
function label(rest: string): (method: string) => string {
  return (method) => `${method === 'GET' ? '/folder' : '/folders'}/{id}${rest}`;
}

function asFolder(item: { kind: string }): FolderItem {
  return item as FolderItem;
}
