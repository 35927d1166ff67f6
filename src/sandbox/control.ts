/** `/_sandbox/…` on the api port: the test's side of a sandbox that runs as a process of its own. Loopback only. */
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { FaultPlan, FaultRule } from './faults.js';
import type { HostName } from './hosts.js';
import type { LogFilter, RequestLog } from './log.js';
import { applyKnown } from './options.js';
import { Refusal } from './refusal.js';
import type { PathStore } from './store.js';

export interface Controlled {
  log: RequestLog;
  faults: FaultPlan;
  store: PathStore;
  readings: object;
  settings: object;
  info: () => object;
  /** Further routes of this protocol. */
  routes: readonly ControlRoute[];
}

export interface ControlRoute {
  method: 'GET' | 'POST' | 'PUT' | 'DELETE';
  path: string;
  handle: (asked: Asked) => unknown;
}

export type Body = Record<string, unknown>;

const mostJson = 4 * 1024 * 1024;

export function addControl(app: FastifyInstance, controlled: Controlled): void {
  const { log, faults, store, readings, settings } = controlled;
  const route = (method: ControlRoute['method'], path: string, handle: ControlRoute['handle']) => {
    app.route({ method, url: `/_sandbox${path}`, handler: guarded(handle) });
  };
  for (const { method, path, handle } of controlled.routes) route(method, path, handle);

  route('GET', '', () => controlled.info());
  route('GET', '/log', ({ query }) => {
    const entries = log.entries(logFilter(query));
    if (query.clear !== undefined) log.clear();
    return { entries, totals: log.totals() };
  });
  route('DELETE', '/log', () => log.clear());
  route('GET', '/counters', () => log.totals());
  route('POST', '/reset-counters', () => log.clear());

  route('GET', '/faults', () => ({ faults: faults.list() }));
  route('POST', '/faults', async ({ request }) => {
    const rules = await json<FaultRule | FaultRule[]>(request);
    return { ids: (Array.isArray(rules) ? rules : [rules]).map((rule) => faults.add(rule)) };
  });
  route('DELETE', '/faults', ({ query }) => faults.clear(query.id === undefined ? undefined : Number(query.id)));

  route('GET', '/readings', () => readings);
  route('POST', '/readings', async ({ request }) => applyKnown(readings, await json<object>(request)));
  route('GET', '/settings', () => settings);
  route('POST', '/settings', async ({ request }) => applyKnown(settings, await json<object>(request)));

  route('GET', '/tree', () => ({ entries: store.tree() }));
  route('GET', '/trash', () => ({ entries: store.trash() }));
  route('GET', '/stat/*', ({ path }) => store.stat(path) ?? null);
  route('GET', '/files/*', ({ path }) => store.readFile(path));
  route('PUT', '/files/*', ({ path, request, query }) => {
    const modified = query.modified === undefined ? undefined : Number(query.modified);
    return store.putFile(path, request.raw, { modified });
  });
  route('DELETE', '/files/*', ({ path, query }) => store.remove(path, { trash: query.trash !== undefined }));
  route('PUT', '/folders/*', ({ path }) => store.makeFolder(path));
  route('POST', '/rename', async ({ request }) => {
    const body = await json<Body>(request);
    return store.rename(text(body, 'path'), text(body, 'name'));
  });
  route('POST', '/move', async ({ request }) => {
    const body = await json<Body>(request);
    return store.move(
      text(body, 'path'),
      text(body, 'folder'),
      body.name === undefined ? undefined : text(body, 'name'),
    );
  });
  route('POST', '/populate', async ({ request }) => {
    await store.populate(await json<{ path?: string; folders: number; filesEach: number; size: number }>(request));
  });
  route('POST', '/generate', async ({ request }) => {
    const body = await json<{ path: string; size: number; seed?: number }>(request);
    return store.generate(body.path, body.size, body.seed);
  });
}

export interface Asked {
  request: FastifyRequest;
  query: Record<string, string | undefined>;
  /** The part of the path that the route's `*` matches. */
  path: string;
}

function guarded(handle: ControlRoute['handle']): (request: FastifyRequest, reply: FastifyReply) => Promise<unknown> {
  return async (request, reply) => {
    if (!isLoopback(request.raw.socket.remoteAddress ?? '')) return reply.code(403).send({ error: 'loopback only' });
    const query = request.query as Record<string, string | undefined>;
    const path = (request.params as Record<string, string>)['*'] ?? '';
    try {
      const result = await handle({ request, query, path });
      if (result === undefined) return reply.code(204).send();
      return reply.send(Buffer.isBuffer(result) ? result : JSON.stringify(result));
    } catch (error) {
      const status = error instanceof Refusal ? error.status : 400;
      return reply.code(status).send(JSON.stringify({ error: error instanceof Error ? error.message : String(error) }));
    }
  };
}

export function isLoopback(address: string): boolean {
  return address === '::1' || /^(?:::ffff:)?127\./.test(address);
}

function logFilter(query: Record<string, string | undefined>): LogFilter {
  const filter: LogFilter = {};
  if (query.method !== undefined) filter.method = query.method;
  if (query.host !== undefined) filter.host = query.host as HostName;
  if (query.route !== undefined) filter.route = new RegExp(query.route);
  if (query.status !== undefined) filter.status = Number(query.status);
  if (query.after !== undefined) filter.after = Number(query.after);
  return filter;
}

export async function json<T = Body>(request: FastifyRequest): Promise<T> {
  const pieces: Buffer[] = [];
  let size = 0;
  for await (const piece of request.raw as AsyncIterable<Buffer>) {
    pieces.push(piece);
    size += piece.length;
    if (size > mostJson) throw new Error('the body is too long');
  }
  return JSON.parse(size === 0 ? '{}' : Buffer.concat(pieces).toString('utf8')) as T;
}

export function text(body: Body, name: string): string {
  const value = body[name];
  if (typeof value !== 'string') throw new Error(`${name} must be a string`);
  return value;
}
