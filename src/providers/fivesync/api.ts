/**
 * The requests of the 5sync document, one method each: paths, parameters, answers. If the document leaves a form open, this
 * module tries the possible forms and remembers the one that the server accepts.
 */
import type { z } from 'zod';
import { silentLog } from '../../base/log.js';
import { ProviderError } from '../errors.js';
import { type Answer, decodeJson, header } from '../http/answers/answer.js';
import { BadEntries } from '../http/answers/entries.js';
import { protocolFailure } from '../http/answers/http-error.js';
import type { Call, CallOptions, Outcome } from '../http/client/call.js';
import { decodeNothing, HttpClient, type HttpClientOptions } from '../http/client/client.js';
import { RateLimiter, reserveOf } from '../http/client/rate-limit.js';
import { contentOf, nested, sendDocumented, urlBelow } from '../http/ranges/documented-request.js';
import type { Content, HttpMethod } from '../http/transport/wire.js';
import type { ApiAnswer, ApiRequest } from '../provider.js';
import type { RateLimit } from '../request-metrics.js';
import {
  type ChangeEvent,
  changesSchema,
  type Item,
  itemSchema,
  type Page,
  pageSchema,
  partSchema,
  startedSchema,
} from './entities.js';
import { readError } from './error-table.js';
import { formData } from './form-data.js';

export interface FiveSyncCredentials {
  /** `sk_5s_…` */
  readonly apiKey: string;
}

/** "Items per page, max 100". */
const largestPage = 100;

/** Possible queries for a page, the best first. A query that the server refuses with 400 is not used again. */
const pageForms: readonly { readonly limit?: number; readonly orderBy?: string }[] = [
  // New files come last, so that pages do not shift while they are read.
  { limit: largestPage, orderBy: 'created' },
  { limit: largestPage },
  { limit: 50 },
  { limit: 20 },
  {},
];

/** Possible encodings of the parameters of `init`, which the document does not name. */
const initForms = ['json', 'form', 'multipart', 'query'] as const;

/** A page of the feed, without its bad entries. */
interface Changes {
  readonly events: readonly ChangeEvent[];
  readonly cursor?: string | null | undefined;
  readonly has_more?: boolean | null | undefined;
}

export class FiveSyncApi {
  readonly http: HttpClient;
  readonly limiter: RateLimiter;
  readonly #base: string;
  readonly #bad: BadEntries;
  #pageForm = 0;
  #initForm = 0;
  /** Server's clock minus ours, ms. */
  #clockOffset = 0;
  /** True once an answer has brought the server's time of day. */
  knowsTime = false;

  constructor(
    base: string,
    credentials: FiveSyncCredentials,
    options: Omit<HttpClientOptions, 'signer' | 'readError' | 'secrets' | 'limiter'>,
  ) {
    this.#base = base.replace(/\/+$/, '');
    this.#bad = new BadEntries(options.log ?? silentLog);
    this.limiter = new RateLimiter(options.clock, options.log);
    this.http = new HttpClient({
      ...options,
      limiter: this.limiter,
      signer: { authorization: () => `Bearer ${credentials.apiKey}` },
      readError,
      secrets: [credentials.apiKey],
    });
  }

  /** The server's time of day as far as known, ms since the epoch. */
  serverNow(): number {
    return this.http.clock.now() + this.#clockOffset;
  }

  get rateLimit(): RateLimit | null {
    return this.limiter.snapshot();
  }

  /** True if so few requests are left that they should serve foreground work only. */
  isScarce(): boolean {
    const known = this.rateLimit;
    return (
      this.limiter.retryAfterMs() !== undefined ||
      (known !== null && known.resetAt > this.http.clock.now() && known.remaining <= reserveOf(known.limit))
    );
  }

  call(method: HttpMethod, template: string, values: Readonly<Record<string, string>>, more: Partial<Call> = {}): Call {
    const path = template.replace(/\{(\w+)\}/g, (_, key: string) => encodeURIComponent(values[key] ?? ''));
    return { method, route: `${method} ${template}`, url: this.#base + path, ...more };
  }

  /** Sends any request of the document. Data goes into the form of `PUT /files`; for other requests, such as a part, it is the body. */
  send({ method, path, fields, data, headers }: ApiRequest, options: CallOptions): Promise<ApiAnswer> {
    const { url, query: given } = urlBelow(this.#base, path);
    const call = { method, route: `${method} ${path.split('?')[0]}`, url, query: given, headers };
    const send = (more: Partial<Call>): Promise<ApiAnswer> => sendDocumented(this.http, { ...call, ...more }, options);
    if (data !== undefined && /^\/files\/?(?:\?|$)/.test(path)) {
      const { bytes, name } = data;
      const source = { size: bytes.length, read: contentOf(bytes).open, md5: async () => '' };
      const { content, contentType } = formData(fields, { name, form: 'percent', source });
      return send({ content, headers: { 'content-type': contentType, ...headers } });
    }
    if (data !== undefined) return send({ content: contentOf(data.bytes), query: { ...given, ...fields } });
    if (method === 'GET' || Object.keys(fields).length === 0) return send({ query: { ...given, ...fields } });
    return send({ json: nested(fields) });
  }

  async json<T>(call: Call, schema: z.ZodType<T>, options: CallOptions, lookup?: Outcome<T>['lookup']): Promise<T> {
    const decode = (answer: Answer): Promise<T> => {
      const date = Date.parse(header(answer.headers, 'date') ?? '');
      if (!Number.isNaN(date)) {
        this.#clockOffset = date - this.http.clock.now();
        this.knowsTime = true;
      }
      // Only for calls that accept 404, see `stored`.
      if (answer.status === 404)
        throw protocolFailure(call.route, 'what was just stored is not found', { status: 404 });
      return decodeJson(schema, answer, call.route);
    };
    return await this.http.request(call, { decode, lookup }, options).catch((error: unknown) => {
      // A GET takes no name, so `exists` makes no sense as its answer.
      if (call.method !== 'GET' || !isCode(error, 'exists')) throw error;
      throw new ProviderError('protocol', (error as ProviderError).message, { cause: error, data: {} });
    });
  }

  async file(id: string, options: CallOptions): Promise<Item> {
    return await this.json(this.call('GET', '/files/{id}', { id }), itemSchema, options);
  }

  /** A file that the server has just confirmed as stored. A 404 is repeated, because the server may not know it yet. */
  async stored(id: string, options: CallOptions): Promise<Item> {
    return await this.json(this.call('GET', '/files/{id}', { id }, { accept: [404] }), itemSchema, options);
  }

  downloadCall(id: string): Call {
    const call = this.call('GET', '/files/{id}', { id }, { query: { download: 'true' } });
    return { ...call, route: 'GET /files/{id}?download' };
  }

  /** True if pages are requested in order of creation. False once the server has refused that. */
  get isOrderedByCreation(): boolean {
    return pageForms[this.#pageForm]?.orderBy === 'created';
  }

  /** One page of the flat list. `perPage` is given if the server turned out to return smaller pages than we request. */
  async page(page: number, options: CallOptions, perPage?: number, path?: string): Promise<Page> {
    for (let known = this.#pageForm; ; known++) {
      const form = pageForms[known] ?? {};
      const limit = perPage ?? form.limit;
      const query: Record<string, string> = { page: String(page) };
      if (limit !== undefined) query.limit = String(limit);
      if (form.orderBy !== undefined) query.order_by = form.orderBy;
      if (path !== undefined) query.path = path;
      try {
        const call = this.call('GET', '/files', {}, { query });
        const { items, total, limit: granted } = await this.json(call, pageSchema, options);
        // Remember the form only now that it works: an earlier 400 may have had another reason than the form.
        this.#pageForm = Math.max(this.#pageForm, known);
        const good = await this.#bad.filter(await items.validate(), call.route);
        return { items: good, length: items.length, total, limit: granted };
      } catch (error) {
        if (!isStatus(error, 400) || perPage !== undefined || known >= pageForms.length - 1) throw error;
      }
    }
  }

  async changes(since: number, cursor: string | undefined, options: CallOptions): Promise<Changes> {
    const query: Record<string, string> = { since: isoSeconds(since) };
    if (cursor !== undefined) query.cursor = cursor;
    const call = this.call('GET', '/changes', {}, { query });
    const answer = await this.json(call, changesSchema, options);
    return { ...answer, events: await this.#bad.filter((await answer.events?.validate()) ?? [], call.route) };
  }

  async put(
    content: Content,
    contentType: string,
    options: CallOptions,
    lookup: Outcome<Item>['lookup'],
  ): Promise<Item> {
    const headers = { 'content-type': contentType };
    return await this.json(this.call('PUT', '/files', {}, { content, headers }), itemSchema, options, lookup);
  }

  /** Begins an upload in parts. Beginning it twice does no harm, because an unused upload expires. */
  async init(
    fields: Readonly<Record<string, string | number>>,
    options: CallOptions,
  ): Promise<z.infer<typeof startedSchema>> {
    for (let known = this.#initForm; ; known++) {
      const form = initForms[known] ?? 'json';
      const words = Object.fromEntries(Object.entries(fields).map(([key, value]) => [key, String(value)]));
      const encoded: Record<typeof form, Partial<Call>> = {
        json: { json: fields },
        form: { form: words },
        multipart: multipartFields(words),
        query: { query: words },
      };
      const call = this.call('POST', '/files/multipart/init', {}, { ...encoded[form], idempotent: true });
      try {
        const started = await this.json(call, startedSchema, options);
        this.#initForm = known;
        return started;
      } catch (error) {
        const isForm = isStatus(error, 400) || isStatus(error, 415) || isStatus(error, 422);
        if (!isForm || known >= initForms.length - 1 || known < this.#initForm) throw error;
      }
    }
  }

  async part(
    uploadId: string,
    part: number,
    content: Content,
    options: CallOptions,
  ): Promise<z.infer<typeof partSchema>> {
    const call = this.call(
      'PUT',
      '/files/multipart/{upload_id}/{part}',
      { upload_id: uploadId, part: String(part) },
      { content, idempotent: true },
    );
    return await this.json(call, partSchema, options);
  }

  async complete(uploadId: string, options: CallOptions, lookup: Outcome<Item>['lookup']): Promise<Item> {
    const call = this.call('POST', '/files/multipart/{upload_id}/complete', { upload_id: uploadId });
    return await this.json(call, itemSchema, options, lookup);
  }

  /**
   * Removes a file for ever. Rejects with `not-found` if the file does not exist, or no longer exists, unless an earlier try
   * of this call has removed it and only its answer was lost.
   */
  async remove(id: string, options: CallOptions): Promise<void> {
    const call = this.call('DELETE', '/files/{id}', { id }, { idempotent: true });
    const lookup = async (lookupOptions: CallOptions): Promise<Answer | undefined> => {
      const gone = await this.file(id, lookupOptions).then(
        () => false,
        (error: unknown) => isCode(error, 'not-found'),
      );
      return gone ? { status: 200, headers: {}, text: '' } : undefined;
    };
    const decode = (answer: Answer): Answer => {
      decodeNothing(answer, call.route);
      // An undocumented answer counts as lost: then `lookup` finds out whether the file is gone.
      if (!/"deleted"\s*:/.test(answer.text)) throw protocolFailure(call.route, 'no word of what was deleted');
      return answer;
    };
    const answer = await this.http.request(call, { decode, lookup }, options);
    if (/"deleted"\s*:\s*false/.test(answer.text))
      throw new ProviderError('permission', `${call.route}: the server did not delete the file`, {
        data: { route: call.route },
      });
  }
}

function multipartFields(fields: Readonly<Record<string, string>>): Partial<Call> {
  const boundary = 'syncmount-fields-7d1f0c';
  const text = Object.entries(fields)
    .map(([key, value]) => `--${boundary}\r\nContent-Disposition: form-data; name="${key}"\r\n\r\n${value}\r\n`)
    .join('');
  const bytes = Buffer.from(`${text}--${boundary}--\r\n`);
  return {
    content: {
      size: bytes.length,
      async *open() {
        yield bytes;
      },
    },
    headers: { 'content-type': `multipart/form-data; boundary=${boundary}` },
  };
}

/** A time as the document writes it: `2025-02-10T00:00:00Z`. Rounded down, so that the feed misses no event. */
/** The route of `put`. A refusal of another request, such as one about the stored file, says nothing about names. */
const uploadRoute = 'PUT /files';

export function isoSeconds(ms: number): string {
  return `${new Date(Math.max(0, ms)).toISOString().slice(0, 19)}Z`;
}

export function isStatus(error: unknown, status: number): boolean {
  return error instanceof ProviderError && error.data.status === status;
}

/** May an upload have failed because the server takes no second file of the name? The document has no error for that. */
export function mayMeanTaken(error: unknown): boolean {
  const isRefusal = error instanceof ProviderError && error.data.route === uploadRoute;
  return isCode(error, 'exists') || (isRefusal && (isStatus(error, 400) || isStatus(error, 403)));
}

export function isCode(error: unknown, code: ProviderError['code']): boolean {
  return error instanceof ProviderError && error.code === code;
}
