/** The upload host: `POST /files`, `PUT /files/{id}` with content, and chunked uploads under `/upload`. */

import type { StoredContent } from '../../content/blobs.js';
import { type Answer, jsonAnswer, noContent } from '../../http/exchange.js';
import type { Call, Resource } from '../call.js';
import * as refuse from '../errors.js';
import type { Placement } from '../state/actions.js';
import type { FileItem } from '../state/items.js';
import { isIncomplete } from '../state/items.js';
import { checkName } from '../state/rules.js';
import { contiguous } from '../state/uploads.js';
import { parseContentRange } from './content-range.js';
import { call } from './method.js';
import { addFields, integer, optionalText, placement } from './parameters.js';
import type { World } from './world.js';

export function uploadResources(world: World): Resource[] {
  const { actions, blobs, entities, readings, rules, settings, uploads } = world;
  const answer = (exchange: Call, file: FileItem) =>
    jsonAnswer(entities.file(file, addFields(exchange), undefined, true));

  /** "File size is limited to 150 MB". A request that announces its length is refused before its bytes are read. */
  async function* limited(exchange: Call): AsyncGenerator<Buffer> {
    const { simpleUploadLimit } = settings;
    let size = 0;
    for await (const piece of exchange.body()) {
      size += piece.length;
      if (size > simpleUploadLimit) throw refuse.useUpload(simpleUploadLimit);
      yield piece;
    }
  }

  function assertLength(exchange: Call): number {
    const size = exchange.contentLength ?? 0;
    if (size > settings.simpleUploadLimit) throw refuse.useUpload(settings.simpleUploadLimit);
    return size;
  }

  async function received(exchange: Call): Promise<StoredContent> {
    const content = await blobs.write(limited(exchange));
    if (content.size > 0 || readings.emptyContent === 'stored') return content;
    blobs.release(content.blob);
    throw refuse.badRequest('The file is empty.');
  }

  async function create(exchange: Call): Promise<Answer> {
    const place = placement(exchange, rules, 'fileName');
    actions.checkNewFile(place, assertLength(exchange));
    const content = await received(exchange);
    return answer(exchange, actions.addFile(place, content));
  }

  async function replace(exchange: Call): Promise<Answer> {
    const file = rules.file(exchange.id());
    if (isIncomplete(file)) throw refuse.notFound();
    const place = versionPlace(exchange, file);
    actions.checkNewVersion(file, place, assertLength(exchange));
    const content = await received(exchange);
    actions.replace(file, place, content);
    return answer(exchange, file);
  }

  /** "folderId … The folder where the file will be uploaded. yes; fileName … The name of the file. yes" */
  function versionPlace(exchange: Call, file: FileItem): Placement {
    if (readings.updateRequiresNames) placement(exchange, rules, 'fileName');
    const folderId = exchange.optional('folderId') ?? file.parentId;
    const name = checkName(exchange.optional('fileName') ?? file.name, 'fileName');
    rules.assertLive(file);
    if (readings.updateNames === 'ignore') return { folder: rules.liveFolder(file.parentId), name: file.name };
    return { folder: rules.liveFolder(folderId), name };
  }

  async function start(exchange: Call): Promise<Answer> {
    const place = placement(exchange, rules, 'name');
    exchange.required('size');
    const size = integer(exchange, 'size') ?? 0;
    const tags = optionalText(exchange, 'tags')?.split(',') ?? [];
    const description = optionalText(exchange, 'description') ?? null;
    const file = await uploads.start(place, size, { tags, description });
    return answer(exchange, file);
  }

  async function chunk(exchange: Call): Promise<Answer> {
    const file = rules.file(exchange.id());
    rules.assertLive(file);
    rules.assertWritable(file);
    if (!file.upload) {
      if (file.chunked && readings.chunkAfterCompletion === 'created') return completed(exchange, file);
      throw refuse.notFound();
    }
    const { first, length } = parseContentRange(exchange.request.headers['content-range'], file.upload.size);
    // "Content-Length … Stream length which should exactly match the size of chunk, in bytes. yes"
    if (exchange.contentLength === undefined) throw refuse.missing('Content-Length', 'Long');
    if (exchange.contentLength !== length)
      throw refuse.badSize(`Content-Length is ${exchange.contentLength}, Content-Range speaks of ${length} bytes.`);
    if (readings.chunkOrder === 'sequential' && first > contiguous(file.upload.ranges))
      throw refuse.malformed('Content-Range', `the next byte is ${contiguous(file.upload.ranges)}`);
    const outcome = await uploads.chunk(file, first, length, exchange.body());
    if (outcome === 'completed') return completed(exchange, file);
    const headers = readings.chunkStatus === 308 ? rangeHeader(file) : undefined;
    return noContent(readings.chunkStatus, headers);
  }

  /** "Returns HTTP Status 201 Created (upon all data chunk upload)." */
  function completed(exchange: Call, file: FileItem): Answer {
    if (readings.completedBody === 'empty') return noContent(201);
    return jsonAnswer(entities.file(file, addFields(exchange), undefined, true), 201);
  }

  /** "308 Chunked Upload and Range header … if the file upload was completed, returns HTTP status code 201 Created" */
  const status =
    (path: 'status' | 'bare') =>
    (exchange: Call): Answer => {
      if (readings.statusPath !== 'both' && readings.statusPath !== path) throw refuse.notFound();
      const file = rules.file(exchange.id());
      rules.assertLive(file);
      if (file.upload) return noContent(308, rangeHeader(file));
      if (!file.chunked) throw refuse.notFound();
      return noContent(201);
    };

  function notOffered(): Answer {
    throw refuse.notImplemented();
  }

  return [
    { path: '/files', label: '/files', methods: { POST: call(create, 'octets') } },
    { path: '/files/:id', label: '/files/{id}', methods: { PUT: call(replace, 'octets') } },
    { path: '/upload', label: '/upload', methods: { POST: call(start, 'form') } },
    {
      path: '/upload/:id',
      label: '/upload/{id}',
      methods: { POST: call(chunk, 'octets'), GET: call(status('bare')) },
    },
    { path: '/upload/:id/status', label: '/upload/{id}/status', methods: { GET: call(status('status')) } },
    { path: '/user/picture', label: '/user/picture', methods: { PUT: call(notOffered, 'octets') } },
  ];
}

/** "0-99, 200-299"; "if … no data uploaded, the Range header will be absent". */
function rangeHeader(file: FileItem): Record<string, string> {
  const ranges = file.upload?.ranges ?? [];
  return ranges.length === 0 ? {} : { range: ranges.map(([first, last]) => `${first}-${last}`).join(', ') };
}
