/** `PUT /v1/files` and `/v1/files/multipart`. */
import type { StoredContent } from '../content/blobs.js';
import { type Answer, type Exchange, formType, jsonAnswer, jsonType, multipartType } from '../http/exchange.js';
import { boundaryOf, type FormPart, formParts, MultipartError } from '../http/multipart.js';
import { dated } from './clock.js';
import type { Method, Resource } from './dialect.js';
import { briefly } from './entities.js';
import { badRequest, tooLarge as tooLargeForHttp } from './errors.js';
import type { Place } from './files.js';
import { booleanOf, integerOf } from './parameters.js';
import { directory, fileName, splitPath } from './paths.js';
import type { FileRecord } from './records.js';
import type { World } from './world.js';

/** Bytes for the boundary, headers and fields around a file of the largest size. */
const formOverhead = 64 * 1024;
const longestField = 64 * 1024;

export function uploadCalls(world: World): { put: Method; multipart: Resource[] } {
  const { files, blobs, readings, settings, uploads } = world;
  const tooLarge = () =>
    (readings.tooLarge === '413' ? tooLargeForHttp : badRequest)(
      `A file of more than ${settings.simpleUploadLimit / 1e6} MB needs the Multipart Upload endpoint.`,
    );

  const answered = (file: FileRecord): Answer =>
    jsonAnswer({ ...briefly(file, readings), name: files.asked.told(file) }, 201);

  /** "Upload a single file." The fields may come before the file or after it. */
  async function put(exchange: Exchange): Promise<Answer> {
    if (exchange.mediaType !== multipartType) throw badRequest(`The body must be ${multipartType}.`);
    if ((exchange.contentLength ?? 0) > settings.simpleUploadLimit + formOverhead) throw tooLarge();
    const received: { content?: StoredContent; name?: string } = {};
    try {
      const fields = await form(exchange, ['path', 'encrypt'], async ({ filename, body }) => {
        if (received.content) throw badRequest('file is given twice.');
        received.name = fileName(filename ?? '');
        received.content = await blobs.write(limited(body));
      });
      const { content, name } = received;
      if (!content || name === undefined) throw badRequest('file is missing.');
      if (content.size === 0 && readings.emptyContent === 'refused') throw badRequest('The file is empty.');
      const dir = directory(fields.get('path') ?? '/');
      const encrypted = booleanOf(fields.get('encrypt'), 'encrypt', true);
      delete received.content;
      return answered(files.put({ dir, name }, content, encrypted));
    } finally {
      if (received.content) blobs.release(received.content.blob);
    }
  }

  async function* limited(body: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
    let size = 0;
    for await (const piece of body) {
      size += piece.length;
      if (size > settings.simpleUploadLimit) throw tooLarge();
      yield piece;
    }
  }

  /** "Step 1 — Initialize". The document names the parameters, but not their encoding. */
  async function init(exchange: Exchange): Promise<Answer> {
    const fields = await initFields(exchange);
    const text = (name: string) => {
      const value = fields.get(name);
      if (value === undefined || value === '') throw badRequest(`${name} is missing.`);
      return value;
    };
    const place = placeOf(text('filename'), fields.get('path'));
    const size = integerOf(text('size'), 'size', 1);
    const upload = await uploads.init(place, size, integerOf(text('parts'), 'parts', 1));
    return jsonAnswer({ upload_id: upload.id, chunk_size: upload.chunk, expires: dated(readings, upload.expires) });
  }

  function placeOf(filename: string, path: string | undefined): Place {
    if (readings.multipartPath === 'filename') return splitPath(filename);
    const dir = readings.multipartPath === 'field' && path !== undefined ? directory(path) : '/';
    return { dir, name: fileName(filename) };
  }

  async function initFields(exchange: Exchange): Promise<Map<string, string>> {
    const { mediaType } = exchange;
    const { initBody } = readings;
    if (initBody === 'query' && !exchange.hasBody) return new Map(exchange.query);
    if (initBody === 'query') throw badRequest('The parameters belong into the query.');
    if (mediaType === jsonType && initBody !== 'form') return jsonFields(await shortText(exchange));
    if (mediaType === formType && initBody !== 'json') return new Map(new URLSearchParams(await shortText(exchange)));
    if (mediaType === multipartType && initBody !== 'json')
      return form(exchange, ['filename', 'size', 'parts', 'path'], () => {
        throw badRequest('init takes no file.');
      });
    throw badRequest(`The body must be ${initBody === 'form' ? formType : jsonType}.`);
  }

  /** "Step 2 — Upload Part … zero-based index". */
  async function part(exchange: Exchange): Promise<Answer> {
    const index = integerOf(exchange.params.part ?? '', 'part', 0);
    await uploads.part(exchange.id(), index, exchange.body());
    return jsonAnswer({ part: index, received: true });
  }

  /** "Step 3 — Complete". */
  async function complete(exchange: Exchange): Promise<Answer> {
    return answered(await uploads.complete(exchange.id()));
  }

  const write = (handle: Method['handle'], query: readonly string[] = []): Method => ({ query, writes: true, handle });
  const initQuery = ['filename', 'size', 'parts', 'path'];
  return {
    put: write(put),
    multipart: [
      { path: '/files/multipart/init', label: '/files/multipart/init', methods: { POST: write(init, initQuery) } },
      {
        path: '/files/multipart/:id/:part',
        label: '/files/multipart/{upload_id}/{part}',
        methods: { PUT: write(part) },
      },
      {
        path: '/files/multipart/:id/complete',
        label: '/files/multipart/{upload_id}/complete',
        methods: { POST: write(complete) },
      },
    ],
  };
}

/** Reads a multipart/form-data body: these fields, each at most once, and files through `file`. */
async function form(
  exchange: Exchange,
  names: readonly string[],
  file: (part: FormPart) => Promise<void>,
): Promise<Map<string, string>> {
  const boundary = boundaryOf(exchange.request.headers['content-type'] ?? '');
  if (boundary === undefined) throw badRequest('The boundary is missing.');
  const fields = new Map<string, string>();
  try {
    for await (const part of formParts(exchange.body(), boundary)) {
      if (part.name === 'file') await file(part);
      else if (!names.includes(part.name)) throw badRequest(`There is no parameter ${part.name}.`);
      else if (fields.has(part.name)) throw badRequest(`${part.name} is given twice.`);
      else fields.set(part.name, await fieldOf(part));
    }
  } catch (error) {
    throw error instanceof MultipartError ? badRequest(error.message) : error;
  }
  return fields;
}

async function fieldOf({ name, body }: FormPart): Promise<string> {
  const pieces: Buffer[] = [];
  let size = 0;
  for await (const piece of body) {
    size += piece.length;
    if (size > longestField) throw badRequest(`${name} is too long.`);
    pieces.push(piece);
  }
  return Buffer.concat(pieces).toString('utf8');
}

function shortText(exchange: Exchange): Promise<string> {
  return exchange.text(longestField, () => badRequest('The body is too long.'));
}

/** The types of the document: `filename` a string, `size` and `parts` integers. */
function jsonFields(text: string): Map<string, string> {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw badRequest('The body is no JSON.');
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw badRequest('The body is no object.');
  const fields = new Map<string, string>();
  for (const [name, field] of Object.entries(value)) {
    const type = name === 'size' || name === 'parts' ? 'number' : 'string';
    if (typeof field !== type) throw badRequest(`${name} must be a ${type}.`);
    fields.set(name, String(field));
  }
  return fields;
}
