/** `/user` and `/users/{id}`: the account, its files by upload date, its trash. */

import { mimeType } from '../../content/mime.js';
import { type Answer, jsonAnswer } from '../../http/exchange.js';
import type { Call, Resource } from '../call.js';
import { userId } from '../entities.js';
import * as refuse from '../errors.js';
import type { FileItem } from '../state/items.js';
import { call } from './method.js';
import { addFields, cut, integer, page } from './parameters.js';
import type { World } from './world.js';

/** The documents' eight categories, by the media type of a file's name. */
const categories: ((type: string) => boolean)[] = [
  (type) => type.startsWith('audio/'),
  (type) => type.startsWith('video/'),
  (type) => type.startsWith('image/'),
  (type) => /zip|rar/.test(type),
  (type) => type === 'application/pdf' || type === 'text/plain',
  () => false,
  (type) => type === 'text/html',
  () => false,
];

export function userResources(world: World): Resource[] {
  const { account, entities, readings } = world;

  function update(exchange: Call): Answer {
    for (const name of ['firstName', 'lastName', 'password', 'email', 'timeZone'] as const) {
      const value = exchange.optional(name);
      if (value === undefined) continue;
      if (value.length < 1 || value.length > 255) throw refuse.badLength(name, 1, 255);
      if (name === 'email' && !/^[^@\s]+@[^@\s]+$/.test(value)) throw refuse.badEmail();
      if (name === 'timeZone' && !/^GMT[+-][01]\d:(?:00|30|45)$/.test(value))
        throw refuse.malformed(name, 'must be like GMT+02:00');
      if (name !== 'password') entities.profile[name] = value;
    }
    return jsonAnswer(entities.user());
  }

  /** "Retrieves a list of files in a user's account. The files are ordered by the upload date." */
  function files(exchange: Call): Answer {
    const { limit, offset } = page(exchange);
    const added = addFields(exchange);
    const wanted = filter(exchange);
    const oldestFirst = account.filesByUpload();
    const all = wanted ? oldestFirst.filter(wanted) : oldestFirst;
    const newest = all.length - offset;
    const list =
      readings.userFilesOrder === 'oldest-first'
        ? cut(all, { limit, offset })
        : all.slice(Math.max(0, newest - limit), Math.max(0, newest)).reverse();
    return jsonAnswer({ files: list.map((file) => entities.file(file, added)) });
  }

  /** The filter. Undefined if every file passes: this common case must not cost a scan. */
  function filter(exchange: Call): ((file: FileItem) => boolean) | undefined {
    const query = exchange.query.get('query')?.toLowerCase();
    const category = integer(exchange, 'category');
    if (query !== undefined && (query.length < 1 || query.length > 200)) throw refuse.badLength('query', 1, 200);
    const isIn = category === undefined ? undefined : categories[category - 1];
    if (category !== undefined && !isIn)
      throw refuse.unsupportedValue('category', ['1', '2', '3', '4', '5', '6', '7', '8']);
    const someTrashed = account.trash.size > 0;
    if (query === undefined && !isIn && !someTrashed) return undefined;
    return (file) =>
      (query === undefined || file.name.toLowerCase().includes(query)) &&
      (!isIn || isIn(mimeType(file.name))) &&
      !(someTrashed && account.isTrashed(file));
  }

  function trash(exchange: Call): Answer {
    const wanted = readings.trashPaging === 'paged' ? page(exchange) : { limit: Infinity, offset: 0 };
    const items = [...account.trash.values()];
    const added = addFields(exchange);
    const folders = cut(
      items.filter((item) => item.kind === 'folder'),
      wanted,
    );
    const trashed = cut(
      items.filter((item) => item.kind === 'file'),
      wanted,
    );
    return jsonAnswer({
      folders: folders.map((folder) => entities.folder(folder)),
      files: trashed.map((file) => entities.file(file, added)),
    });
  }

  function other(exchange: Call): Answer {
    if (exchange.id() !== userId) throw refuse.notFound();
    return jsonAnswer(entities.user());
  }

  function notOffered(): Answer {
    throw refuse.notImplemented();
  }

  return [
    {
      path: '/user',
      label: '/user',
      methods: { GET: call(() => jsonAnswer(entities.user())), PUT: call(update, 'form') },
    },
    // The search of all of 4shared: here it finds the files of the one account that there is.
    ...(entities.provider === '4shared' ? [{ path: '/files', label: '/files', methods: { GET: call(files) } }] : []),
    { path: '/user/files', label: '/user/files', methods: { GET: call(files) } },
    { path: '/user/trash', label: '/user/trash', methods: { GET: call(trash) } },
    { path: '/user/picture/:type', label: '/user/picture/{type}', methods: { GET: call(notOffered) } },
    { path: '/users/:id', label: '/users/{id}', methods: { GET: call(other) } },
    { path: '/users/:id/picture/:type', label: '/users/{id}/picture/{type}', methods: { GET: call(notOffered) } },
  ];
}
