/** `/files/{id}` on the api host: metadata, and all calls that do not upload content. */
import { randomBytes } from 'node:crypto';
import { mimeType } from '../../content/mime.js';
import { parseRange } from '../../content/range.js';
import { type Answer, jsonAnswer, noContent } from '../../http/exchange.js';
import { validatorHeaders } from '../../http/validator.js';
import type { Call, Resource } from '../call.js';
import * as refuse from '../errors.js';
import { type FileItem, isIncomplete } from '../state/items.js';
import { call } from './method.js';
import { addFields, optionalName, optionalText, target } from './parameters.js';
import type { World } from './world.js';

/** One-time URLs on the download host, for the reading `downloadRedirect`. */
export class Tickets {
  #files = new Map<string, FileItem>();
  /** Set when the download host listens. */
  origin = '';

  issue(file: FileItem): string {
    const ticket = randomBytes(12).toString('base64url');
    this.#files.set(ticket, file);
    // Enough for all downloads under way. Beyond it the oldest URL expires.
    const [oldest] = this.#files.keys();
    if (this.#files.size > 10_000 && oldest !== undefined) this.#files.delete(oldest);
    return `${this.origin}/v1_2/content/${ticket}`;
  }

  file(ticket: string): FileItem | undefined {
    return this.#files.get(ticket);
  }
}

export function fileResources(world: World, tickets: Tickets): Resource[] {
  const { account, actions, entities, readings, rules } = world;
  const fileOf = (exchange: Call): FileItem => rules.file(exchange.id());
  const answer = (exchange: Call, file: FileItem) => jsonAnswer(entities.file(file, addFields(exchange)));

  function update(exchange: Call): Answer {
    const file = fileOf(exchange);
    rules.assertLive(file);
    rules.assertWritable(file);
    const name = optionalName(exchange);
    const description = optionalText(exchange, 'description');
    const tags = optionalText(exchange, 'tags');
    const ownerOnly = exchange.optional('ownerOnly');
    if (ownerOnly !== undefined && ownerOnly !== 'true' && ownerOnly !== 'false')
      throw refuse.malformed('ownerOnly', 'must be true or false');
    const folder = account.parent(file);
    if (name !== undefined && name !== file.name && folder) actions.relocate(file, { folder, name });
    if (description !== undefined || tags !== undefined || ownerOnly !== undefined)
      account.change(file, () => {
        if (description !== undefined) file.description = description;
        if (tags !== undefined) file.tags = tags.split(',').filter((tag) => tag !== '');
        if (ownerOnly !== undefined) file.ownerOnly = ownerOnly === 'true';
      });
    return answer(exchange, file);
  }

  function remove(exchange: Call): Answer {
    actions.delete(fileOf(exchange));
    return noContent();
  }

  function copy(exchange: Call): Answer {
    const file = fileOf(exchange);
    rules.assertLive(file);
    return answer(exchange, actions.copy(file, target(exchange, rules, file)) as FileItem);
  }

  function move(exchange: Call): Answer {
    const file = fileOf(exchange);
    rules.assertLive(file);
    return answer(exchange, actions.relocate(file, target(exchange, rules, file)) as FileItem);
  }

  function trash(exchange: Call): Answer {
    const file = fileOf(exchange);
    actions.trash(file);
    return answer(exchange, file);
  }

  function untrash(exchange: Call): Answer {
    const file = fileOf(exchange);
    actions.untrash(file, optionalName(exchange));
    return answer(exchange, file);
  }

  async function download(exchange: Call): Promise<Answer> {
    const file = fileOf(exchange);
    rules.assertLive(file);
    if (isIncomplete(file)) throw refuse.notFound();
    if (readings.downloadRedirect) return { status: 302, headers: { location: tickets.issue(file) } };
    return content(world, exchange, file);
  }

  function noPicture(exchange: Call): Answer {
    fileOf(exchange);
    throw refuse.wrongFileType();
  }

  const post = (handler: (exchange: Call) => Answer) => ({ POST: call(handler, 'optional-form') });
  const item = {
    GET: call((x) => answer(x, fileOf(x))),
    PUT: call(update, 'form-or-json'),
    DELETE: call(remove, 'any'),
  };
  const open = { GET: { auth: 'public' as const, body: 'none' as const, json: false, handle: noPicture } };
  return [
    { path: '/files/:id', label: '/files/{id}', methods: item },
    { path: '/files/:id/copy', label: '/files/{id}/copy', methods: post(copy) },
    { path: '/files/:id/move', label: '/files/{id}/move', methods: post(move) },
    { path: '/files/:id/trash', label: '/files/{id}/trash', methods: post(trash) },
    { path: '/files/:id/untrash', label: '/files/{id}/untrash', methods: post(untrash) },
    {
      path: '/files/:id/download',
      label: '/files/{id}/download',
      methods: { GET: { auth: 'user', body: 'none', json: false, handle: download } },
    },
    // "Public calls". The sandbox makes no pictures, so every file has the wrong type.
    { path: '/files/:id/preview', label: '/files/{id}/preview', methods: open },
    { path: '/files/:id/thumbnails/:type', label: '/files/{id}/thumbnails/{type}', methods: open },
  ];
}

/** The download host, to which a client must not send credentials. */
export function downloadResources(world: World, tickets: Tickets): Resource[] {
  function download(exchange: Call): Answer | Promise<Answer> {
    const oauth = exchange.query.has('oauth_signature');
    if (exchange.request.headers.authorization !== undefined || oauth) {
      exchange.entry.violation = 'credentials sent to the download host';
      throw refuse.badRequest('Credentials do not belong here.');
    }
    const file = tickets.file(exchange.params.ticket ?? '');
    if (!file || world.account.items.get(file.id) !== file) throw refuse.notFound();
    return content(world, exchange, file);
  }
  const methods = { GET: { auth: 'none' as const, body: 'none' as const, json: false, handle: download } };
  return [{ path: '/content/:ticket', label: '/content/{ticket}', methods }];
}

/** The file's bytes or a range of them, according to the current reading. */
async function content(world: World, exchange: Call, file: FileItem): Promise<Answer> {
  const { blobs, readings } = world;
  const { range } = exchange.request.headers;
  const wanted = readings.rangeAnswer === 'ignored' ? undefined : parseRange(range, file.size);
  if (wanted === 'unsatisfiable') throw refuse.badRange(file.size);
  const [start, end] = wanted ?? [0, file.size];
  const total = file.size;
  const reader = await blobs.reader(file.blob ?? '');
  const headers: Record<string, string> = { 'content-type': mimeType(file.name) };
  Object.assign(headers, validatorHeaders(readings.validator, file.blob ?? '', file.modified));
  if (wanted) headers['content-range'] = `bytes ${start}-${end - 1}/${total}`;
  return { status: wanted && readings.rangeAnswer === '206' ? 206 : 200, headers, content: reader, start, end };
}
