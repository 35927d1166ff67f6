/** One port: routes requests to resources and leads each through latency, faults, checks, its handler, and delivery. */
import type { IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import Fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify';
import * as refuse from '../errors.js';
import { ApiError } from '../errors.js';
import type { FaultAction, FaultPlan } from '../faults.js';
import type { LogEntry, RequestLog } from '../log.js';
import type { OAuthGuard } from '../oauth/guard.js';
import type { HostName, Settings } from '../options.js';
import { deliver } from './deliver.js';
import { type Answer, ConnectionCut, Exchange, jsonAnswer, type Method, type Resource } from './exchange.js';
import { Pacer } from './pacer.js';
import type { RateLimiter } from './rate-limiter.js';

/** What all ports of a sandbox share. */
export interface Services {
  guard: OAuthGuard;
  log: RequestLog;
  faults: FaultPlan;
  settings: Settings;
  limiter: RateLimiter;
  now: () => number;
}

const base = '/v1_2';

export class Listener {
  readonly app: FastifyInstance;
  readonly #pacer: Pacer;

  constructor(
    readonly host: HostName,
    readonly services: Services,
    resources: readonly Resource[],
  ) {
    this.#pacer = new Pacer(services.settings);
    this.app = Fastify({
      logger: false,
      forceCloseConnections: true,
      keepAliveTimeout: 120_000,
      // "You may also specify the desired format by appending .xml or .json extensions in the resource URI."
      rewriteUrl: withoutExtension,
      routerOptions: { maxParamLength: 4096 },
    });
    // Bodies are the handlers' to stream.
    this.app.removeAllContentTypeParsers();
    this.app.addContentTypeParser('*', (_request, _payload, done) => done(null));
    for (const resource of resources) this.#route(resource);
    this.app.setNotFoundHandler((request, reply) => this.#take(request, reply, undefined));
    this.app.setErrorHandler((error: Error, request, reply) => {
      const status = 'statusCode' in error ? error.statusCode : 500;
      const refusal = status === 415 ? refuse.badMediaType([]) : refuse.malformed(null, error.message);
      this.#take(request, reply, undefined, refusal);
    });
  }

  async listen(host: string, port: number): Promise<string> {
    await this.app.listen({ host, port });
    const address = this.app.server.address() as AddressInfo;
    return `http://${host.includes(':') ? `[${host}]` : host}:${address.port}`;
  }

  #route(resource: Resource): void {
    this.app.all(`${base}${resource.path}`, (request, reply) => this.#take(request, reply, resource));
  }

  #take(request: FastifyRequest, reply: FastifyReply, resource: Resource | undefined, refusal?: ApiError): void {
    reply.hijack();
    this.#serve(request, reply, resource, refusal).catch((error: unknown) => {
      // A client that went away is its own affair; anything else is a fault of the sandbox and must be seen.
      if (!(error instanceof ConnectionCut) && !request.raw.socket.destroyed) console.error('sandbox:', error);
      request.raw.socket.destroy();
    });
  }

  async #serve(
    request: FastifyRequest,
    reply: FastifyReply,
    resource: Resource | undefined,
    refusal: ApiError | undefined,
  ): Promise<void> {
    const { services, host } = this;
    const method = request.method;
    const url = request.originalUrl;
    const question = url.indexOf('?');
    const path = question < 0 ? url : url.slice(0, question);
    const query = new URLSearchParams(question < 0 ? '' : url.slice(question + 1));
    const route = `${method} ${resource ? labelOf(resource, method) : 'unknown'}`;
    const { headers } = request.raw;
    const entry = services.log.begin({ time: services.now(), host, method, path, route, query, headers });
    const fault = services.faults.choose({ method, host, route, url });
    if (fault) entry.fault = fault.kind;
    const params = (request.params ?? {}) as Record<string, string>;
    const exchange = new Exchange(host, request.raw, reply.raw, params, path, query, entry, fault, this.#pacer);

    if (services.settings.latencyMs > 0) await sleep(services.settings.latencyMs);
    const early = fault ? await this.#before(exchange, fault) : undefined;
    const answer = early ?? (await this.#answer(exchange, resource, refusal));
    try {
      const late = fault ? await this.#after(exchange, fault, answer) : answer;
      await deliver(exchange, late);
    } finally {
      if ('content' in answer) await answer.content.close();
    }
  }

  /** A fault that keeps the request from being performed; its answer if it has one. */
  async #before(exchange: Exchange, fault: FaultAction): Promise<Answer | undefined> {
    if (fault.kind === 'stall' && fault.when !== 'after') await this.#stall(fault.ms);
    if (fault.kind === 'ignore-range') delete exchange.request.headers.range;
    if (fault.kind === 'reset' && fault.when === 'before') cut(exchange);
    return 'performed' in fault && fault.performed ? undefined : replacement(exchange.entry, fault);
  }

  /** A fault that shows only once the request was performed. */
  async #after(exchange: Exchange, fault: FaultAction, answer: Answer): Promise<Answer> {
    if (fault.kind === 'stall' && fault.when === 'after') await this.#stall(fault.ms);
    if (fault.kind === 'reset' && fault.when === 'after') cut(exchange);
    if (!('performed' in fault) || !fault.performed) return answer;
    return replacement(exchange.entry, fault) ?? answer;
  }

  async #stall(ms: number): Promise<void> {
    const signal = this.services.faults.cleared;
    await sleep(ms, undefined, { signal }).catch(() => undefined);
  }

  async #answer(exchange: Exchange, resource: Resource | undefined, refusal?: ApiError): Promise<Answer> {
    try {
      if (!resource) throw refusal ?? refuse.notFound();
      return await this.#perform(exchange, resource);
    } catch (error) {
      if (error instanceof ConnectionCut || exchange.request.socket.destroyed) throw new ConnectionCut();
      const known = error instanceof ApiError ? error : refuse.internal(String(error));
      if (known !== error) console.error('sandbox:', error);
      exchange.entry.code = known.code;
      return jsonAnswer(known.body(), known.status, known.headers);
    }
  }

  async #perform(exchange: Exchange, resource: Resource): Promise<Answer> {
    const { guard, limiter } = this.services;
    const method = resource.methods[exchange.method];
    if (!method) throw refuse.badMethod(exchange.method, Object.keys(resource.methods));
    assertFormat(exchange, method);
    // An unsigned stranger's form is needed to verify it; a file is not read before its sender is known.
    await exchange.readBody(method.body);
    exchange.oauth = guard.verify(
      {
        method: exchange.method,
        authority: exchange.request.headers.host ?? '',
        path: exchange.path,
        query: exchange.query,
        form: exchange.formSigned ? exchange.form : undefined,
        authorization: exchange.request.headers.authorization,
      },
      method.auth,
    );
    if (method.auth === 'user') limiter.take();
    return method.handle(exchange);
  }
}

/** The answer that a fault puts in the place of the real one. */
function replacement(entry: LogEntry, fault: FaultAction): Answer | undefined {
  switch (fault.kind) {
    case 'status': {
      const code = fault.code ?? String(fault.status ?? 500);
      entry.code = code;
      const retry: Record<string, string> =
        fault.retryAfter === undefined ? {} : { 'retry-after': String(fault.retryAfter) };
      const body = { message: fault.message ?? 'A fault of the plan.', code, cause: null, fieldName: null };
      return jsonAnswer(body, fault.status ?? Number(code.slice(0, 3)), retry);
    }
    case 'html':
      return {
        status: fault.status ?? 200,
        headers: { 'content-type': 'text/html;charset=UTF-8' },
        body: '<!DOCTYPE html><html><head><title>Sign in</title></head><body>Please sign in to this network.</body></html>',
      };
    case 'empty':
      return { status: fault.status ?? 200 };
    case 'redirect':
      return { status: fault.status ?? 302, headers: { location: fault.to } };
    default:
      return undefined;
  }
}

function cut(exchange: Exchange): never {
  exchange.request.socket.resetAndDestroy();
  throw new ConnectionCut();
}

function labelOf({ label }: Resource, method: string): string {
  return typeof label === 'string' ? label : label(method);
}

/** Only JSON is spoken here; the documents' XML is refused as an unsupported format would be. */
function assertFormat({ path, request }: Exchange, { json }: Method): void {
  if (!json) return;
  if (path.endsWith('.xml')) throw refuse.badFormat();
  const { accept } = request.headers;
  if (accept === undefined || accept === '') return;
  const types = accept.split(',').map((type) => type.split(';', 1)[0]?.trim().toLowerCase());
  if (!types.some((type) => type === '*/*' || type === 'application/*' || type === 'application/json'))
    throw refuse.badFormat();
}

function withoutExtension(request: IncomingMessage): string {
  const url = request.url ?? '/';
  return url.startsWith(base) ? url.replace(/\.(?:json|xml)(?=\?|$)/, '') : url;
}
