/** The part of the 5sync document that the tests need, in memory, with a switch for each reading. */
import { onTestFinished } from 'vitest';
import { createFiveSync, type FiveSyncOptions } from '../../../src/providers/fivesync/provider.js';
import type { Provider } from '../../../src/providers/provider.js';
import { hangUp, json, type MiniServer, miniServer, type Seen } from '../mini-server.js';

export interface Stored {
  id: string;
  name: string;
  path: string;
  data: Buffer;
  created: string;
  modified: string;
}

export interface Readings {
  existing?: 'version' | 'replace' | 'duplicate' | 'rename' | 'refuse';
  itemsWithoutPath?: boolean;
  /** An empty list is `null`, as some servers' libraries write it. */
  nullForEmpty?: boolean;
  pathFilter?: 'exact' | 'recursive';
  largestPage?: number;
  refuseLimit?: boolean;
  cursor?: 'accepted' | 'ignored' | 'refused';
  changesPage?: number;
  initBody?: 'json' | 'form' | 'multipart';
  initFolder?: 'path' | 'filename' | 'none';
  chunk?: 'fixed' | 'by-parts';
  ranges?: boolean;
  answersModified?: boolean;
  limit?: number;
}

export interface MiniFiveSync {
  readonly server: MiniServer;
  readonly provider: Provider;
  readonly files: Map<string, Stored>;
  add(path: string, name: string, data: string | Buffer): Stored;
  change(file: Stored, data: string): void;
  drop(file: Stored): void;
  named(path: string, name: string): Stored[];
  /** True: the request is performed, but its connection is cut. */
  lose: (request: Seen, index: number) => boolean;
  /** An answer that is sent instead of performing the request. */
  before: (
    request: Seen,
    index: number,
  ) => { status: number; value: unknown; headers?: Record<string, string> } | undefined;
  remaining: number;
  /** Moves the service's time, ms. */
  now: number;
}

export const apiKey = 'sk_5s_secret-key-1';

interface FormPart {
  readonly name: string;
  readonly filename?: string;
  readonly data: Buffer;
}

export function parseForm(request: Seen): FormPart[] {
  const boundary = /boundary=(\S+)/.exec(request.headers['content-type'] ?? '')?.[1] ?? '';
  const text = request.body.toString('latin1');
  const parts = text.split(`--${boundary}`).slice(1, -1);
  return parts.map((part) => {
    const cut = part.indexOf('\r\n\r\n');
    const head = Buffer.from(part.slice(0, cut), 'latin1').toString('utf8');
    const filename = /; filename="((?:[^"\\]|\\.)*)"/.exec(head)?.[1];
    return {
      name: / name="([^"]*)"/.exec(head)?.[1] ?? '',
      ...(filename === undefined ? {} : { filename: filename.replaceAll('%22', '"').replace(/\\(.)/g, '$1') }),
      data: Buffer.from(part.slice(cut + 4, -2), 'latin1'),
    };
  });
}

export async function miniFiveSync(
  readings: Readings = {},
  more: Partial<FiveSyncOptions> = {},
): Promise<MiniFiveSync> {
  const files = new Map<string, Stored>();
  const events: { id: string; action: string; timestamp: string }[] = [];
  const uploads = new Map<
    string,
    { name: string; path: string; size: number; parts: Map<number, Buffer>; count: number }
  >();
  let ids = 0;
  const stamp = (): string => `${new Date(mini.now).toISOString().slice(0, 19)}Z`;
  const note = (id: string, action: string): void => void events.push({ id, action, timestamp: stamp() });
  const show = (file: Stored, full: boolean): object => ({
    id: file.id,
    name: file.name,
    size: file.data.length,
    encrypted: true,
    created: file.created,
    ...(full ? { modified: file.modified, mime_type: 'x/y', versions: 1 } : {}),
    ...(full && !readings.itemsWithoutPath ? { path: file.path } : {}),
    ...(readings.answersModified ? { modified: file.modified } : {}),
  });
  const store = (path: string, name: string, data: Buffer): Stored | undefined => {
    const [old] = mini.named(path, name);
    const existing = readings.existing ?? 'version';
    if (old !== undefined && existing === 'refuse') return undefined;
    if (old !== undefined && existing === 'version') {
      Object.assign(old, { data, modified: stamp() });
      note(old.id, 'modified');
      return old;
    }
    if (old !== undefined && existing === 'replace') mini.drop(old);
    const given = old !== undefined && existing === 'rename' ? `${name} (1)` : name;
    return mini.add(path, given, data);
  };
  const error = (status: number, type: string): { status: number; value: unknown } => ({
    status,
    value: { error: { type, message: `told ${type}` } },
  });

  const work = (request: Seen): { status: number; value?: unknown; raw?: Buffer; headers?: Record<string, string> } => {
    const { query } = request;
    const [, , resource, id, action, part] = request.path.split('/');
    if (request.headers.authorization !== `Bearer ${apiKey}`) return error(401, 'unauthorized');
    if (resource === 'changes') {
      const since = query.get('since');
      if (since === null) return error(400, 'bad_request');
      const cursor = query.get('cursor');
      if (cursor !== null && readings.cursor === 'refused') return error(400, 'bad_request');
      const all = events.filter((event) => Date.parse(event.timestamp) >= Date.parse(since));
      const from = cursor !== null && readings.cursor === 'accepted' ? Number(cursor) : 0;
      const size = readings.changesPage ?? 1000;
      const slice = all.slice(from, from + size);
      return {
        status: 200,
        value: { events: slice, cursor: String(from + slice.length), has_more: from + size < all.length },
      };
    }
    if (resource !== 'files') return error(404, 'not_found');
    if (id === undefined && request.method === 'GET') {
      const limit = Number(query.get('limit') ?? 20);
      if (limit > 100 || (readings.refuseLimit && limit > 20)) return error(400, 'bad_request');
      const per = Math.min(limit, readings.largestPage ?? 100);
      const path = query.get('path');
      const all = [...files.values()].filter(
        (file) =>
          path === null ||
          file.path === path ||
          (readings.pathFilter === 'recursive' && (path === '/' || file.path.startsWith(`${path}/`))),
      );
      const page = Number(query.get('page') ?? 1);
      const items = all.slice((page - 1) * per, page * per).map((file) => {
        const shown = { ...show(file, true), path: file.path } as Record<string, unknown>;
        if (readings.itemsWithoutPath) delete shown.path;
        return shown;
      });
      const shown = items.length === 0 && readings.nullForEmpty === true ? null : items;
      return { status: 200, value: { items: shown, total: all.length, page, limit: per } };
    }
    if (id === undefined && request.method === 'PUT') {
      const form = parseForm(request);
      const file = form.find((entry) => entry.name === 'file');
      const path = form.find((entry) => entry.name === 'path')?.data.toString() ?? '/';
      const made = store(path, file?.filename ?? '', file?.data ?? Buffer.alloc(0));
      return made === undefined ? error(409, 'conflict') : { status: 201, value: show(made, false) };
    }
    if (id === 'multipart') {
      if (action === 'init') {
        const type = request.headers['content-type'] ?? '';
        const kind = type.includes('json') ? 'json' : type.includes('multipart') ? 'multipart' : 'form';
        if (kind !== (readings.initBody ?? 'json')) return error(400, 'bad_request');
        const given: Record<string, unknown> =
          kind === 'json'
            ? JSON.parse(request.body.toString())
            : kind === 'form'
              ? Object.fromEntries(request.form)
              : Object.fromEntries(parseForm(request).map((field) => [field.name, field.data.toString()]));
        const size = Number(given.size);
        const count = Number(given.parts);
        const chunk = readings.chunk === 'by-parts' ? Math.ceil(size / count) : 1000;
        let name = String(given.filename);
        let path = '/';
        if ((readings.initFolder ?? 'path') === 'path') path = String(given.path ?? '/');
        if (readings.initFolder === 'filename' && name.includes('/')) {
          path = `/${name.slice(0, name.lastIndexOf('/'))}`;
          name = name.slice(name.lastIndexOf('/') + 1);
        }
        const uploadId = `up${uploads.size + 1}`;
        uploads.set(uploadId, { name, path, size, parts: new Map(), count });
        const expires = new Date(Date.now() + 3600_000).toISOString();
        return { status: 200, value: { upload_id: uploadId, chunk_size: chunk, expires } };
      }
      const upload = uploads.get(action ?? '');
      if (upload === undefined) return error(404, 'not_found');
      if (part !== 'complete') {
        upload.parts.set(Number(part), request.body);
        return { status: 200, value: { part: Number(part), received: true } };
      }
      const data = Buffer.concat([...upload.parts].sort(([a], [b]) => a - b).map(([, bytes]) => bytes));
      if (data.length !== upload.size || upload.parts.size !== upload.count) return error(400, 'bad_request');
      uploads.delete(action ?? '');
      const made = store(upload.path, upload.name, data);
      return made === undefined ? error(409, 'conflict') : { status: 201, value: show(made, false) };
    }
    const file = files.get(id ?? '');
    if (file === undefined) return error(404, 'not_found');
    if (request.method === 'DELETE') {
      mini.drop(file);
      return { status: 200, value: { deleted: true } };
    }
    if (query.get('download') === null) return { status: 200, value: { ...show(file, true), path: file.path } };
    const range = /^bytes=(\d+)-(\d+)$/.exec(request.headers.range ?? '');
    if (range === null || readings.ranges === false) return { status: 200, raw: file.data };
    const [start, end] = [Number(range[1]), Math.min(Number(range[2]) + 1, file.data.length)];
    return {
      status: 206,
      raw: file.data.subarray(start, end),
      headers: { 'content-range': `bytes ${start}-${end - 1}/${file.data.length}` },
    };
  };

  const server = await miniServer((request, response, index) => {
    mini.remaining -= 1;
    const limits: Record<string, string> =
      readings.limit === undefined
        ? {}
        : {
            'x-ratelimit-limit': String(readings.limit),
            'x-ratelimit-remaining': String(Math.max(0, mini.remaining)),
            'x-ratelimit-reset': String(Math.ceil((Date.now() + 3600_000) / 1000)),
          };
    const instead = mini.before(request, index);
    if (instead !== undefined) return json(response, instead.value, instead.status, { ...limits, ...instead.headers });
    const { status, value, raw, headers } = work(request);
    if (mini.lose(request, index)) hangUp(response);
    else if (raw !== undefined)
      response.writeHead(status, { 'content-length': String(raw.length), ...limits, ...headers }).end(raw);
    else json(response, value, status, { ...limits, ...headers });
  });
  const provider = createFiveSync({
    endpoints: { api: `${server.origin}/v1` },
    credentials: { apiKey },
    deadlineMs: 10_000,
    ...more,
  });
  onTestFinished(() => provider.close());
  const mini: MiniFiveSync = {
    server,
    provider,
    files,
    lose: () => false,
    before: () => undefined,
    remaining: readings.limit ?? 0,
    now: Date.now() - 60_000,
    named: (path, name) => [...files.values()].filter((file) => file.path === path && file.name === name),
    add(path, name, data) {
      mini.now += 1000;
      const file = { id: `f_${++ids}`, path, name, data: Buffer.from(data), created: stamp(), modified: stamp() };
      files.set(file.id, file);
      note(file.id, 'created');
      return file;
    },
    change(file, data) {
      mini.now += 1000;
      Object.assign(file, { data: Buffer.from(data), modified: stamp() });
      note(file.id, 'modified');
    },
    drop(file) {
      files.delete(file.id);
      note(file.id, 'deleted');
    },
  };
  return mini;
}
