/** The calls of the document: files, changes. */

import { mimeType } from '../content/mime.js';
import { parseRange } from '../content/range.js';
import { type Answer, type Exchange, jsonAnswer } from '../http/exchange.js';
import { validatorHeaders } from '../http/validator.js';
import { dated } from './clock.js';
import type { Method, Resource } from './dialect.js';
import { briefly, fully } from './entities.js';
import { badRange, badRequest, notFound } from './errors.js';
import { booleanOf, filterOf, integerOf, orderOf, positionOf, timeOf } from './parameters.js';
import type { FileRecord } from './records.js';
import { uploadCalls } from './upload-routes.js';
import type { World } from './world.js';

export function resources(world: World): Resource[] {
  const { files, feed, blobs, readings } = world;

  function fileOf(exchange: Exchange): FileRecord {
    const file = files.byId.get(exchange.id());
    if (!file) throw notFound();
    return file;
  }

  function read(exchange: Exchange): Answer | Promise<Answer> {
    const file = fileOf(exchange);
    if (booleanOf(exchange.query.get('download'), 'download') && readings.downloadRedirect)
      return { status: 302, headers: { location: `/v1/content/${file.id}` } };
    return booleanOf(exchange.query.get('download'), 'download')
      ? download(exchange, file)
      : jsonAnswer(fully(file, readings));
  }

  /** "If true, returns the file binary instead of metadata". */
  async function download(exchange: Exchange, file: FileRecord): Promise<Answer> {
    const { size } = file;
    const ranged = readings.range === '206';
    const wanted = ranged ? parseRange(exchange.request.headers.range, size) : undefined;
    if (wanted === 'unsatisfiable') throw badRange(size);
    const [start, end] = wanted ?? [0, size];
    const headers: Record<string, string> = { 'content-type': mimeType(file.name) };
    Object.assign(headers, validatorHeaders(readings.validator, file.blob, file.modified));
    if (wanted) headers['content-range'] = `bytes ${start}-${end - 1}/${size}`;
    const content = await blobs.reader(file.blob);
    return { status: wanted ? 206 : 200, headers, content, start, end };
  }

  function list({ query }: Exchange): Answer {
    const page = integerOf(query.get('page') ?? '1', 'page', 1);
    const asked = integerOf(query.get('limit') ?? '20', 'limit', 1);
    if (asked > 100 && readings.limitOver100 === 'refused') throw badRequest('limit is at most 100.');
    const limit = Math.min(asked, readings.maxLimit);
    const found = files.list(filterOf(query.get('path')), orderOf(query.get('order_by')));
    const items = found.slice((page - 1) * limit, page * limit).map(item);
    return jsonAnswer({ items, total: found.length, page, limit });
  }

  function item(file: FileRecord): object {
    if (readings.listItems === 'brief') return briefly(file, readings);
    const full = fully(file, readings);
    if (readings.listItems === 'no-path') delete full.path;
    return full;
  }

  function remove(exchange: Exchange): Answer {
    files.remove(fileOf(exchange));
    return jsonAnswer({ deleted: true });
  }

  function changes({ query }: Exchange): Answer {
    const since = timeOf(query.get('since'));
    const after = readings.cursor === 'usable' ? positionOf(query.get('cursor')) : 0;
    if (readings.cursor === 'refused' && query.has('cursor')) throw badRequest('There is no parameter cursor.');
    const { events, last, more } = feed.changes(since, filterOf(query.get('path')), after);
    return jsonAnswer({
      events: events.map(({ file, action, at }) => ({ id: file, action, timestamp: dated(readings, at) })),
      cursor: `c_${last.toString(36)}`,
      has_more: more,
    });
  }

  const { put, multipart } = uploadCalls(world);
  const get = (handle: Method['handle'], query: readonly string[]): Method => ({ query, writes: false, handle });
  return [
    { path: '/files', label: '/files', methods: { GET: get(list, ['path', 'page', 'limit', 'order_by']), PUT: put } },
    ...multipart,
    {
      path: '/files/:id',
      label: (method, query) => `/files/{id}${method === 'GET' && query.has('download') ? '?download' : ''}`,
      methods: { GET: get(read, ['download']), DELETE: { query: [], writes: true, handle: remove } },
    },
    { path: '/content/:id', label: '/files/{id}?download', methods: { GET: get((x) => download(x, fileOf(x)), []) } },
    { path: '/changes', label: '/changes', methods: { GET: get(changes, ['since', 'path', 'cursor']) } },
  ];
}
