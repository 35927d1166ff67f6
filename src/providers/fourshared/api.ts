/**
 * The requests of the 4shared and 4Sync documents, one method each: paths, parameters, status codes. The files beside
 * this one decide which request serves which purpose.
 */
import type { z } from 'zod';
import { silentLog } from '../../base/log.js';
import { ProviderError } from '../errors.js';
import { type Answer, decodeJson } from '../http/answers/answer.js';
import { BadEntries, type BadEntry, type UncheckedEntries } from '../http/answers/entries.js';
import { protocolFailure } from '../http/answers/http-error.js';
import { oauth1Signer } from '../http/auth/oauth1.js';
import type { Call, CallOptions, Outcome } from '../http/client/call.js';
import { HttpClient, type HttpClientOptions } from '../http/client/client.js';
import { RateLimiter } from '../http/client/rate-limit.js';
import { contentOf, sendDocumented, urlBelow } from '../http/ranges/documented-request.js';
import type { Content, HttpMethod } from '../http/transport/wire.js';
import type { ApiAnswer, ApiRequest } from '../provider.js';
import {
  type FileResponse,
  type FolderResponse,
  fileListSchema,
  fileSchema,
  folderListSchema,
  folderSchema,
  trashSchema,
  userSchema,
} from './entities.js';
import { readError } from './error-table.js';
import { type KnownPages, type Page, pageOf } from './known-pages.js';
import { pageSize } from './page-plan.js';

export interface FourSharedEndpoints {
  /** `https://api.…/v1_2` */
  readonly api: string;
  /** `https://upload.…/v1_2` */
  readonly upload: string;
}

export interface FourSharedCredentials {
  readonly consumerKey: string;
  readonly consumerSecret: string;
  readonly token: string;
  readonly tokenSecret: string;
}

type Fields = Readonly<Record<string, string>>;
type Host = keyof FourSharedEndpoints;
type FolderSpelling = 'folder' | 'folders';
type Kind = 'file' | 'folder';
type Decode<T> = (answer: Answer, route: string) => Promise<T>;

/** The collection of a kind of object, in the paths that the documents spell in one way only. */
export const collectionOf = { file: 'files', folder: 'folders' } as const;

/**
 * A GET that wants JSON says so in Content-Type, although it has no body: "You should set your HTTP Content-Type request
 * header accordingly".
 */
const jsonGet = { 'content-type': 'application/json' };

export class FourSharedApi {
  readonly http: HttpClient;
  readonly bad: BadEntries;
  readonly #endpoints: FourSharedEndpoints;
  /** The spelling of each folder route that this server has answered. */
  readonly #spelling = new Map<string, FolderSpelling>();

  constructor(
    endpoints: FourSharedEndpoints,
    credentials: FourSharedCredentials,
    options: Omit<HttpClientOptions, 'signer' | 'readError' | 'secrets' | 'limiter'>,
  ) {
    this.#endpoints = { api: endpoints.api.replace(/\/+$/, ''), upload: endpoints.upload.replace(/\/+$/, '') };
    const clock = options.clock ?? { now: () => Date.now() };
    this.bad = new BadEntries(options.log ?? silentLog);
    this.http = new HttpClient({
      ...options,
      // "429.0107: Just [max_number_of_calls] per [time_range]": the limit counts for the account, on both hosts together.
      limiter: new RateLimiter(options.clock, options.log),
      signer: oauth1Signer(credentials, clock),
      readError,
      secrets: [credentials.consumerKey, credentials.consumerSecret, credentials.token, credentials.tokenSecret],
    });
  }

  /** A request from its template: `call('GET', 'api', '/files/{id}', 'x1')`. */
  call(method: HttpMethod, host: Host, template: string, id: string, more: Partial<Call> = {}): Call {
    return {
      method,
      route: `${method} ${template}`,
      url: this.#endpoints[host] + template.replace('{id}', encodeURIComponent(id)),
      ...more,
    };
  }

  /**
   * Sends any request of the documents. "Two main API endpoints": uploads go to the upload host. The search of all of 4shared has a host
   * of its own.
   */
  send({ method, path, endpoint, fields, data, headers }: ApiRequest, options: CallOptions): Promise<ApiAnswer> {
    const isUpload = data !== undefined || /^\/upload(?:\/|\?|$)/.test(path);
    const isSearch = method === 'GET' && /^\/files\/?(?:\?|$)/.test(path);
    const host = endpoint ?? (isUpload ? 'upload' : isSearch ? 'search' : 'api');
    const { api, upload } = this.#endpoints;
    // "https://search.4shared.com/v1_2/files"
    const bases = new Map([
      ['api', api],
      ['upload', upload],
      ['search', api.replace(/^https:\/\/api\./, 'https://search.')],
    ]);
    const base = bases.get(host);
    if (base === undefined)
      throw new ProviderError('invalid-name', `'${host}' is none of ${[...bases.keys()].join(', ')}`, { data: {} });
    const { url, query: given } = urlBelow(base, path);
    const isForm = data === undefined && (method === 'POST' || method === 'PUT') && Object.keys(fields).length > 0;
    const query = isForm ? given : { ...given, ...fields };
    const call: Call = {
      method,
      route: `${method} ${path.split('?')[0]}`,
      url,
      ...(Object.keys(query).length === 0 ? {} : { query }),
      ...(isForm ? { form: fields } : {}),
      ...(data === undefined ? {} : { content: contentOf(data.bytes) }),
      headers: { ...(method === 'GET' ? jsonGet : {}), ...headers },
    };
    return sendDocumented(this.http, call, options);
  }

  async json<T>(call: Call, schema: z.ZodType<T>, options: CallOptions, lookup?: Outcome<T>['lookup']): Promise<T> {
    const decode = (answer: Answer): Promise<T> => decodeJson(schema, answer, call.route);
    return await this.http.request(call, { decode, lookup }, options);
  }

  async user(options: CallOptions): Promise<z.infer<typeof userSchema>> {
    return await this.json(this.call('GET', 'api', '/user', '', { headers: jsonGet }), userSchema, options);
  }

  /** A page of the trash: its folders and its files. The documents name no parameters for it, so a server may ignore the offset. */
  async trash(
    offset: number,
    options: CallOptions,
  ): Promise<{ readonly folders: (FolderResponse | BadEntry)[]; readonly files: (FileResponse | BadEntry)[] }> {
    const query = { limit: String(pageSize), offset: String(offset) };
    const call = this.call('GET', 'api', '/user/trash', '', { query, headers: jsonGet });
    const { folders, files } = await this.json(call, trashSchema, options);
    return { folders: (await folders?.validate()) ?? [], files: (await files?.validate()) ?? [] };
  }

  /** The file as the server reports it, also in the trash or incomplete. */
  async file(id: string, options: CallOptions): Promise<FileResponse> {
    return await this.json(this.call('GET', 'api', '/files/{id}', id, { headers: jsonGet }), fileSchema, options);
  }

  /** The folder as the server reports it, also in the trash. */
  async folder(id: string, options: CallOptions): Promise<FolderResponse> {
    const decode: Decode<FolderResponse> = (answer, route) => decodeJson(folderSchema, answer, route);
    return await this.#folderGet('', id, undefined, decode, options);
  }

  filePage(folderId: string, offset: number, options: CallOptions, earlier?: KnownPages): Promise<Page<FileResponse>> {
    return this.#folderGet('/files', folderId, offset, this.#paged(fileListSchema, earlier), options);
  }

  childPage(
    folderId: string,
    offset: number,
    options: CallOptions,
    earlier?: KnownPages,
  ): Promise<Page<FolderResponse>> {
    return this.#folderGet('/children', folderId, offset, this.#paged(folderListSchema, earlier), options);
  }

  /** Decodes an answer as a page, unless the page is known. */
  #paged<T>(schema: z.ZodType<UncheckedEntries<T> | null>, earlier: KnownPages | undefined): Decode<Page<T>> {
    return (answer, route) =>
      pageOf(answer.text, earlier, async () => (await (await decodeJson(schema, answer, route))?.validate()) ?? []);
  }

  async files(folderId: string, offset: number, options: CallOptions): Promise<(FileResponse | BadEntry)[]> {
    return await (await this.filePage(folderId, offset, options)).read();
  }

  async children(folderId: string, offset: number, options: CallOptions): Promise<(FolderResponse | BadEntry)[]> {
    return await (await this.childPage(folderId, offset, options)).read();
  }

  /**
   * The documents title these routes `/folders/{id}…` and then give `/folder/{id}…` as their URL. We try the URL's
   * spelling first. If the server refuses it before it ever worked, we try the other one, and remember what works.
   */
  async #folderGet<T>(
    part: '' | '/files' | '/children',
    id: string,
    offset: number | undefined,
    decode: Decode<T>,
    options: CallOptions,
  ): Promise<T> {
    const query = offset === undefined ? undefined : { limit: String(pageSize), offset: String(offset) };
    const get = (spelling: FolderSpelling): Promise<T> => {
      const call = this.call('GET', 'api', `/${spelling}/{id}${part}`, id, { query, headers: jsonGet });
      return this.http.request(call, { decode: (answer) => decode(answer, call.route) }, options);
    };
    const known = this.#spelling.get(part);
    if (known !== undefined) return await get(known);
    const first = this.#spelling.values().next().value ?? 'folder';
    try {
      const answer = await get(first);
      this.#spelling.set(part, first);
      return answer;
    } catch (error) {
      if (!(error instanceof ProviderError) || (error.data.status !== 404 && error.data.status !== 405)) throw error;
      const second = first === 'folder' ? 'folders' : 'folder';
      const answer = await get(second).catch(() => {
        throw error;
      });
      this.#spelling.set(part, second);
      return answer;
    }
  }

  downloadCall(id: string): Call {
    return this.call('GET', 'api', '/files/{id}/download', id);
  }

  async createFolder(
    parentId: string,
    name: string,
    options: CallOptions,
    lookup: Outcome<FolderResponse>['lookup'],
  ): Promise<FolderResponse> {
    return await this.json(
      this.call('POST', 'api', '/folders', '', { form: { parentId, name } }),
      folderSchema,
      options,
      lookup,
    );
  }

  /** `PUT /files/{id}` or `/folders/{id}` on the api host sets the name. Repeating it changes nothing. */
  async rename<T>(
    kind: Kind,
    id: string,
    name: string,
    schema: z.ZodType<T>,
    options: CallOptions,
    lookup: Outcome<T>['lookup'],
  ): Promise<T> {
    const call = this.call('PUT', 'api', `/${collectionOf[kind]}/{id}`, id, { form: { name }, idempotent: true });
    return await this.json(call, schema, options, lookup);
  }

  /** `POST …/move`, `/copy`, `/trash` or `/untrash`. */
  async act<T>(
    kind: Kind,
    action: 'move' | 'copy' | 'trash' | 'untrash',
    id: string,
    form: Fields | undefined,
    schema: z.ZodType<T>,
    options: CallOptions,
    lookup: Outcome<T>['lookup'],
  ): Promise<T> {
    const call = this.call('POST', 'api', `/${collectionOf[kind]}/{id}/${action}`, id, { form });
    return await this.json(call, schema, options, lookup);
  }

  async remove(
    kind: Kind,
    id: string,
    options: CallOptions,
    isGone: (options: CallOptions) => Promise<boolean>,
  ): Promise<void> {
    const call = this.call('DELETE', 'api', `/${collectionOf[kind]}/{id}`, id, { idempotent: true });
    const lookup = async (lookupOptions: CallOptions): Promise<true | undefined> =>
      (await isGone(lookupOptions)) ? true : undefined;
    const decode = (answer: Answer): true => {
      // "No content with HTTP Status 204". We also accept an empty or a JSON answer, but not a sign-in page.
      if (answer.status !== 204 && !/^\s*([{[]|$)/.test(answer.text))
        throw protocolFailure(call.route, 'an answer that is not JSON', { status: answer.status });
      return true;
    };
    await this.http.request(call, { decode, lookup }, options);
  }

  /** `POST /files` on the upload host: a new file with its whole content. */
  async uploadNew(
    folderId: string,
    fileName: string,
    content: Content,
    options: CallOptions,
    lookup: Outcome<FileResponse>['lookup'],
  ): Promise<FileResponse> {
    const call = this.call('POST', 'upload', '/files', '', { query: { folderId, fileName }, content });
    return await this.json(call, fileSchema, options, lookup);
  }

  /** `PUT /files/{id}` on the upload host: a new version with its whole content. Repeating it stores the same bytes again. */
  async uploadVersion(
    id: string,
    folderId: string,
    fileName: string,
    content: Content,
    options: CallOptions,
    lookup: Outcome<FileResponse>['lookup'],
  ): Promise<FileResponse> {
    const call = this.call('PUT', 'upload', '/files/{id}', id, {
      query: { folderId, fileName },
      content,
      idempotent: true,
    });
    return await this.json({ ...call, route: 'PUT /files/{id} (content)' }, fileSchema, options, lookup);
  }
}
