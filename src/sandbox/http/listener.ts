/** One port. Routes requests to resources, and takes each through latency, faults, checks, its handler, and delivery. */
import type { IncomingMessage, Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setImmediate, setTimeout as sleep } from 'node:timers/promises';
import Fastify, {
  type FastifyHttpOptions,
  type FastifyInstance,
  type FastifyReply,
  type FastifyRequest,
} from 'fastify';
import type { FaultAction, FaultPlan } from '../faults.js';
import type { HostName } from '../hosts.js';
import type { LogEntry, RequestLog } from '../log.js';
import type { Speed, Tls } from '../options.js';
import { Refusal } from '../refusal.js';
import { deliver } from './deliver.js';
import { type Answer, ConnectionCut, type Exchange, jsonAnswer, noContent, type Resource } from './exchange.js';
import { Pacer } from './pacer.js';
import type { WireReadings } from './wire.js';

/** The services that all ports of a sandbox share. */
export interface Services {
  log: RequestLog;
  faults: FaultPlan;
  settings: Speed;
  readings: WireReadings;
  now: () => number;
  /** Absent: plain HTTP. */
  tls?: Tls | undefined;
}

/** The arguments from which an exchange is made. */
export type Seen = ConstructorParameters<typeof Exchange>;
type StatusFault = Extract<FaultAction, { kind: 'status' }>;

/** The part of the request handling that differs between protocols. */
export interface Dialect<M, X extends Exchange = Exchange> {
  /** The prefix of every resource's path. */
  base: string;
  rewriteUrl?(request: IncomingMessage): string;
  exchange(...seen: Seen): X;
  /** Checks the credentials and the form of the request, then performs it. Refuses a request that no resource takes. */
  perform(exchange: X, resource: Resource<M> | undefined): Promise<Answer>;
  /** The answer to a request that is not valid HTTP. */
  malformed(status: number, why: string): Refusal;
  internal(why: string): Refusal;
  /** The answer of an injected `status` fault. */
  fault(action: StatusFault): Refusal;
  /** Headers of every answer. */
  headers?(exchange: X): Record<string, string>;
}

export class Listener<M, X extends Exchange = Exchange> {
  readonly app: FastifyInstance;
  readonly #pacer: Pacer;

  constructor(
    readonly host: HostName,
    readonly services: Services,
    readonly dialect: Dialect<M, X>,
    resources: readonly Resource<M>[],
  ) {
    this.#pacer = new Pacer(services.settings);
    this.app = Fastify({
      logger: false,
      forceCloseConnections: true,
      keepAliveTimeout: 120_000,
      rewriteUrl: (request: IncomingMessage) => dialect.rewriteUrl?.(request) ?? request.url ?? '/',
      routerOptions: { maxParamLength: 4096 },
      ...(services.tls === undefined ? {} : { https: services.tls }),
    } as FastifyHttpOptions<Server>);
    // Handlers stream the bodies themselves.
    this.app.removeAllContentTypeParsers();
    this.app.addContentTypeParser('*', (_request, _payload, done) => done(null));
    for (const resource of resources) this.#route(resource);
    this.app.setNotFoundHandler((request, reply) => this.#take(request, reply, undefined));
    this.app.setErrorHandler((error: Error, request, reply) => {
      const status = 'statusCode' in error ? error.statusCode : 500;
      this.#take(request, reply, undefined, dialect.malformed(Number(status), error.message));
    });
  }

  async listen(host: string, port: number): Promise<string> {
    await this.app.listen({ host, port });
    const address = this.app.server.address() as AddressInfo;
    const scheme = this.services.tls === undefined ? 'http' : 'https';
    return `${scheme}://${host.includes(':') ? `[${host}]` : host}:${address.port}`;
  }

  /** Resolves when no client is connected. */
  async quiet(): Promise<void> {
    while ((await connectionsOf(this.app.server)) > 0) await setImmediate();
  }

  #route(resource: Resource<M>): void {
    this.app.all(`${this.dialect.base}${resource.path}`, (request, reply) => this.#take(request, reply, resource));
  }

  #take(request: FastifyRequest, reply: FastifyReply, resource: Resource<M> | undefined, refusal?: Refusal): void {
    reply.hijack();
    this.#serve(request, reply, resource, refusal).catch((error: unknown) => {
      // A client may go away. Any other error is a bug of the sandbox and must be visible.
      if (!(error instanceof ConnectionCut) && !request.raw.socket.destroyed) console.error('sandbox:', error);
      request.raw.socket.destroy();
    });
  }

  async #serve(
    request: FastifyRequest,
    reply: FastifyReply,
    resource: Resource<M> | undefined,
    refusal: Refusal | undefined,
  ): Promise<void> {
    const { services, host } = this;
    const method = request.method;
    const url = request.originalUrl;
    const question = url.indexOf('?');
    const path = question < 0 ? url : url.slice(0, question);
    const query = new URLSearchParams(question < 0 ? '' : url.slice(question + 1));
    const route = `${method} ${resource ? labelOf(resource, method, query) : 'unknown'}`;
    const { headers } = request.raw;
    const entry = services.log.begin({ time: services.now(), host, method, path, route, query, headers });
    const fault = services.faults.choose({ method, host, route, url });
    if (fault) entry.fault = fault.kind;
    const params = (request.params ?? {}) as Record<string, string>;
    const exchange = this.dialect.exchange(
      host,
      request.raw,
      reply.raw,
      params,
      path,
      query,
      entry,
      fault,
      this.#pacer,
    );

    if (services.settings.latencyMs > 0) await sleep(services.settings.latencyMs);
    const early = fault ? await this.#before(exchange, fault) : undefined;
    const answer = early ?? (await this.#answer(exchange, resource, refusal));
    try {
      const late = fault ? await this.#after(exchange, fault, answer) : answer;
      await deliver(exchange, late, services.readings);
    } finally {
      if ('content' in answer) await answer.content.close();
    }
  }

  /** Applies a fault that prevents the request. Resolves with the fault's answer, if it has one. */
  async #before(exchange: X, fault: FaultAction): Promise<Answer | undefined> {
    if (fault.kind === 'stall' && fault.when !== 'after') {
      if (fault.performed) await exchange.take();
      await this.#stall(fault.ms);
      // The client may have gone. The event loop notices that in its next round.
      await setImmediate();
      await setImmediate();
      const { socket } = exchange.request;
      if (!fault.performed && (socket.destroyed || socket.readableEnded)) throw new ConnectionCut();
    }
    if (fault.kind === 'ignore-range') delete exchange.request.headers.range;
    if (fault.kind === 'reset' && fault.when === 'before') cut(exchange);
    return 'performed' in fault && fault.performed ? undefined : this.#replacement(exchange, fault);
  }

  /** Applies a fault that takes effect after the request was performed. */
  async #after(exchange: X, fault: FaultAction, answer: Answer): Promise<Answer> {
    if (fault.kind === 'stall' && fault.when === 'after') await this.#stall(fault.ms);
    if (fault.kind === 'reset' && fault.when === 'after') cut(exchange);
    if (!('performed' in fault) || !fault.performed) return answer;
    return this.#replacement(exchange, fault) ?? answer;
  }

  async #stall(ms: number): Promise<void> {
    const signal = this.services.faults.cleared;
    await sleep(ms, undefined, { signal }).catch(() => undefined);
  }

  async #answer(exchange: X, resource: Resource<M> | undefined, refusal?: Refusal): Promise<Answer> {
    const { dialect } = this;
    const answer = await this.#perform(exchange, resource, refusal);
    return dialect.headers ? { ...answer, headers: { ...dialect.headers(exchange), ...answer.headers } } : answer;
  }

  async #perform(exchange: X, resource: Resource<M> | undefined, refusal?: Refusal): Promise<Answer> {
    try {
      if (refusal) throw refusal;
      return await this.dialect.perform(exchange, resource);
    } catch (error) {
      if (error instanceof ConnectionCut || exchange.request.socket.destroyed) throw new ConnectionCut();
      const known = error instanceof Refusal ? error : this.dialect.internal(String(error));
      if (known !== error) console.error('sandbox:', error);
      return refused(exchange.entry, known);
    }
  }

  /** The answer that a fault sends instead of the real one. */
  #replacement(exchange: X, fault: FaultAction): Answer | undefined {
    switch (fault.kind) {
      case 'status': {
        const answer = refused(exchange.entry, this.dialect.fault(fault));
        const retry: Record<string, string> =
          fault.retryAfter === undefined ? {} : { 'retry-after': String(fault.retryAfter) };
        return { ...answer, headers: { ...this.dialect.headers?.(exchange), ...answer.headers, ...retry } };
      }
      case 'html':
        return {
          status: fault.status ?? 200,
          headers: { 'content-type': 'text/html;charset=UTF-8' },
          body: '<!DOCTYPE html><html><head><title>Sign in</title></head><body>Please sign in to this network.</body></html>',
        };
      case 'answer':
        return {
          status: fault.status ?? 200,
          headers: { ...this.dialect.headers?.(exchange), 'content-type': 'application/json' },
          body: JSON.stringify(fault.json),
        };
      case 'empty':
        return { status: fault.status ?? 200 };
      case 'redirect':
        return { status: fault.status ?? 302, headers: { location: fault.to } };
      default:
        return undefined;
    }
  }
}

function refused(entry: LogEntry, refusal: Refusal): Answer {
  entry.code = refusal.code;
  const body = refusal.body();
  return body ? jsonAnswer(body, refusal.status, refusal.headers) : noContent(refusal.status, refusal.headers);
}

function cut(exchange: Exchange): never {
  exchange.request.socket.resetAndDestroy();
  throw new ConnectionCut();
}

function labelOf<M>({ label }: Resource<M>, method: string, query: URLSearchParams): string {
  return typeof label === 'string' ? label : label(method, query);
}

function connectionsOf(server: Server): Promise<number> {
  return new Promise((resolve, reject) => {
    server.getConnections((error, count) => (error ? reject(error) : resolve(count)));
  });
}
