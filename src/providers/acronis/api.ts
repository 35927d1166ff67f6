/** The requests of the Acronis document that a mount needs, one method each: paths, parameters, statuses. */
import type { z } from 'zod';
import { silentLog } from '../../base/log.js';
import { isLoopback } from '../../base/loopback.js';
import { ProviderError } from '../errors.js';
import { type Answer, decodeJson } from '../http/answers/answer.js';
import { BadEntries, type BadEntry } from '../http/answers/entries.js';
import type { Call, CallOptions, Outcome } from '../http/client/call.js';
import { decodeNothing, HttpClient, type HttpClientOptions } from '../http/client/client.js';
import { RateLimiter } from '../http/client/rate-limit.js';
import { contentOf, nested, sendDocumented, urlBelow } from '../http/ranges/documented-request.js';
import type { Content, HttpMethod } from '../http/transport/wire.js';
import type { ApiAnswer, ApiRequest } from '../provider.js';
import { type Node, nodeListSchema, nodeSchema, type User, userSchema } from './entities.js';
import { readError, withoutName } from './error-table.js';
import type { TokenKeeper } from './tokens.js';

/** Page sizes to try, because the document names no maximum. A size that the server refuses with 400 is not used again. */
const perPages = [1000, 500, 200, 100, 50, undefined] as const;

/** How often to try a change that the server reports as done although it is not. */
const actTries = 3;

/** One answer to `GET …/contents`. */
export interface Contents {
  readonly nodes: (Node | BadEntry)[];
  /** 200 "the list", 206 "part of the list". */
  readonly isPart: boolean;
  /** The requested page size. */
  readonly perPage: number | undefined;
}

export class AcronisApi {
  readonly http: HttpClient;
  readonly bad: BadEntries;
  readonly #base: string;
  #perPage = 0;
  /** Undocumented statuses, by route, that were found to mean success. */
  readonly #oddAnswers = new Set<string>();

  constructor(
    base: string,
    keeper: TokenKeeper,
    options: Omit<HttpClientOptions, 'signer' | 'readError' | 'secrets' | 'limiter'>,
  ) {
    this.#base = base.replace(/\/+$/, '');
    this.bad = new BadEntries(options.log ?? silentLog);
    this.http = new HttpClient({
      ...options,
      limiter: new RateLimiter(options.clock, options.log),
      signer: keeper,
      readError,
      secrets: () => keeper.secrets(),
    });
  }

  call(method: HttpMethod, template: string, uuid: string, more: Partial<Call> = {}): Call {
    const path = template.replace('{uuid}', encodeURIComponent(uuid));
    return { method, route: `${method} ${template}`, url: this.#base + path, ...more };
  }

  /** Any request of the document. "Transfer-Encoding: chunked" is required for uploads; every other body is JSON. */
  send({ method, path, fields, data, headers }: ApiRequest, options: CallOptions): Promise<ApiAnswer> {
    const { url, query: given } = urlBelow(this.#base, path);
    const isBody = data === undefined && (method === 'POST' || method === 'PUT');
    const isUpload = /\/upload(?:\?|$)/.test(path);
    const call: Call = {
      method,
      route: `${method} ${path.split('?')[0]}`,
      url,
      query: isBody ? given : { ...given, ...fields },
      ...(isBody ? { json: nested(fields) } : {}),
      ...(data === undefined ? {} : { content: contentOf(data.bytes), chunked: isUpload }),
      headers: { ...(data !== undefined && !isUpload ? { 'content-type': 'application/json' } : {}), ...headers },
    };
    return sendDocumented(this.http, call, options);
  }

  async json<T>(call: Call, schema: z.ZodType<T>, options: CallOptions, lookup?: Outcome<T>['lookup']): Promise<T> {
    const decode = (answer: Answer): Promise<T> => decodeJson(schema, answer, call.route);
    return await this.http.request(call, { decode, lookup }, options);
  }

  /**
   * Sends a request whose answer has no relevant body. `isDone` finds out whether a try succeeded when its answer was lost,
   * or when its status is not the documented one. A status that once meant success is trusted afterwards.
   */
  async act(
    call: Call,
    options: CallOptions,
    isDone: (options: CallOptions) => Promise<boolean>,
    documented = 204,
  ): Promise<void> {
    const lookup = async (lookupOptions: CallOptions): Promise<number | undefined> =>
      (await isDone(lookupOptions)) ? documented : undefined;
    const decode = (answer: Answer): number => decodeNothing(answer, call.route).status;
    for (let tries = 1; ; tries++) {
      const status = await this.http.request<number>(call, { decode, lookup }, options);
      const answered = `${call.route} ${status}`;
      if (status === documented || this.#oddAnswers.has(answered)) return;
      if (await isDone(options)) {
        this.#oddAnswers.add(answered);
        return;
      }
      if (tries < actTries) continue;
      throw new ProviderError('protocol', `${call.route}: the server answered ${status} and did nothing`, {
        data: { route: call.route, status },
      });
    }
  }

  /** One page of a folder; the first is 1. `perPage`: the number of nodes that the first page brought. */
  async contents(uuid: string, page: number, perPage: number | undefined, options: CallOptions): Promise<Contents> {
    for (let form = this.#perPage; ; form++) {
      const asked = perPage ?? perPages[form];
      const query: Record<string, string> = asked === undefined ? {} : { per_page: String(asked), page: String(page) };
      if (asked === undefined && page > 1) query.page = String(page);
      const call = this.call('GET', '/sync_and_share_nodes/{uuid}/contents', uuid, { query });
      try {
        const part = await this.http.request(
          call,
          {
            decode: async (answer) => ({
              nodes: await (await decodeJson(nodeListSchema, answer, call.route)).validate(),
              isPart: answer.status === 206,
              perPage: asked,
            }),
          },
          options,
        );
        // Remember the size only now that it works: an earlier 400 may have had another reason than the size.
        this.#perPage = Math.max(this.#perPage, form);
        return part;
      } catch (error) {
        const isRefused = error instanceof ProviderError && error.data.status === 400;
        if (!isRefused || perPage !== undefined || form >= perPages.length - 1) throw withoutName(error);
      }
    }
  }

  async createFolder(
    parentUuid: string,
    name: string,
    options: CallOptions,
    lookup: Outcome<Node>['lookup'],
  ): Promise<Node> {
    const json = { sync_and_share_node: { name, parent_uuid: parentUuid } };
    return await this.json(this.call('POST', '/sync_and_share_nodes', '', { json }), nodeSchema, options, lookup);
  }

  async rename(
    uuid: string,
    name: string,
    options: CallOptions,
    isDone: (o: CallOptions) => Promise<boolean>,
  ): Promise<void> {
    const json = { sync_and_share_node: { name } };
    await this.act(this.call('PUT', '/sync_and_share_nodes/{uuid}', uuid, { json, idempotent: true }), options, isDone);
  }

  async place(
    action: 'move' | 'copy',
    uuid: string,
    parentUuid: string,
    options: CallOptions,
    isDone: (o: CallOptions) => Promise<boolean>,
  ): Promise<void> {
    const json = { parent_uuid: parentUuid };
    const call = this.call('POST', `/sync_and_share_nodes/{uuid}/${action}`, uuid, { json });
    await this.act(call, options, isDone, action === 'copy' ? 200 : 204);
  }

  /** "If a file with same name exists in the target folder a new revision will be created." */
  async upload(
    parentUuid: string,
    file: { readonly name: string; readonly md5: string; readonly content: Content },
    options: CallOptions,
    lookup: Outcome<Node>['lookup'],
  ): Promise<Node> {
    const query = { filename: file.name, size: String(file.content.size), checksum: file.md5 };
    const call = this.call('POST', '/sync_and_share_nodes/{uuid}/upload', parentUuid, {
      query,
      content: file.content,
      chunked: true,
    });
    return await this.json(call, nodeSchema, options, lookup);
  }

  async user(uuid: string, options: CallOptions): Promise<User> {
    return await this.json(this.call('GET', '/users/{uuid}', uuid), userSchema, options);
  }

  /**
   * A node's own URL, relative to the service ("Relative URLs to actions that can be performed on the node"). Another
   * host gets no credentials, and plain http is for this machine only.
   */
  actionCall(method: HttpMethod, template: string, url: string, more: Partial<Call> = {}): Call {
    const home = new URL(this.#base);
    let target: URL;
    try {
      target = new URL(url, `${home.origin}/`);
    } catch {
      throw new ProviderError('protocol', `${method} ${template}: a URL that is none`, { data: {} });
    }
    const isHome = target.origin === home.origin;
    const isSafe =
      isHome ||
      target.protocol === 'https:' ||
      (target.protocol === 'http:' && isLoopback(target.hostname) && isLoopback(home.hostname));
    if (!isSafe || target.username !== '' || target.password !== '')
      throw new ProviderError('protocol', `${method} ${template}: a URL that must not be followed`, { data: {} });
    target.hash = '';
    return { method, route: `${method} ${template}`, url: target.href, unsigned: !isHome, ...more };
  }

  nodeUrl(uuid: string): string {
    return `${this.#base}/sync_and_share_nodes/${encodeURIComponent(uuid)}`;
  }
}
