/**
 * A provider that survives new credentials: `syncmount login` can replace them while the mount lives.
 *
 * When the provider refuses the credentials, the account's file is read again. If `syncmount login` has written new ones
 * since, the provider is replaced and the request repeated. Otherwise the refusal stands, and `status` shows it until a
 * request succeeds.
 */
import { codeOf } from '../../base/errors.js';
import { InUse } from '../../base/in-use.js';
import type { Log } from '../../base/log.js';
import type { ByteRange, RangeBody, UploadSource } from '../../providers/content.js';
import { ProviderError } from '../../providers/errors.js';
import type {
  Account,
  ApiAnswer,
  ApiRequest,
  Capabilities,
  Provider,
  ProviderName,
  RemoteEntry,
  RemoteFile,
  RemoteFolder,
  RemoteRef,
  RequestOptions,
  UploadOptions,
  UploadTarget,
} from '../../providers/provider.js';
import type { RequestMetrics } from '../../providers/request-metrics.js';

/** A provider and the fingerprint of its credentials: new credentials have another fingerprint. */
export interface MadeProvider {
  readonly provider: Provider;
  readonly fingerprint: string;
}

/** The pause after which a provider without a feed is asked again, ms: the longest that setTimeout takes. */
const NEVER = 2 ** 31 - 1;

export class RenewingProvider implements Provider {
  #made: MadeProvider;
  /** Makes a provider from the account's file; null if that still has the fingerprint `current`. */
  readonly #renew: (current: string) => MadeProvider | null;
  readonly #log: Log;
  /** The login command that replaces refused credentials. */
  readonly #login: string;
  /** Requests of the present provider that are in flight. */
  #uses = new InUse();
  /** Replaced providers that still have requests in flight. */
  readonly #retired = new Set<Provider>();
  /** The metrics of the providers that were replaced and are closed. */
  #before: RequestMetrics = { total: 0, byRoute: {}, outcomes: {}, rateLimit: null, outage: null };
  isRefused = false;
  /** By id: files that the next provider must hide as well. */
  readonly #hidden = new Map<string, RemoteFile>();

  constructor(made: MadeProvider, renew: (current: string) => MadeProvider | null, login: string, log: Log) {
    this.#made = made;
    this.#renew = renew;
    this.#log = log;
    this.#login = login;
  }

  get name(): ProviderName {
    return this.#made.provider.name;
  }

  get capabilities(): Capabilities {
    return this.#made.provider.capabilities;
  }

  account(options?: RequestOptions): Promise<Account> {
    return this.#ask((provider) => provider.account(options));
  }

  list(folder: RemoteFolder, options?: RequestOptions & { readonly countsAreFresh?: boolean }): Promise<RemoteEntry[]> {
    return this.#ask((provider) => provider.list(folder, options));
  }

  /** Absent if it would save nothing. */
  get revalidateListing(): Provider['revalidateListing'] {
    if (this.#made.provider.revalidateListing === undefined) return undefined;
    return (folder, options) =>
      this.#ask(
        async (provider) =>
          (await provider.revalidateListing?.(folder, options)) ?? {
            entries: await provider.list(folder, options),
            memory: null,
          },
      );
  }

  stat(ref: RemoteRef, options?: RequestOptions): Promise<RemoteEntry> {
    return this.#ask((provider) => provider.stat(ref, options));
  }

  read(file: RemoteFile, range: ByteRange, options?: RequestOptions): Promise<RangeBody> {
    return this.#ask((provider) => provider.read(file, range, options));
  }

  createFolder(parentId: string, name: string, options?: RequestOptions): Promise<RemoteFolder> {
    return this.#ask((provider) => provider.createFolder(parentId, name, options));
  }

  upload(target: UploadTarget, source: UploadSource, options?: UploadOptions): Promise<RemoteFile> {
    return this.#ask((provider) => provider.upload(target, source, options));
  }

  move(
    entry: RemoteEntry,
    to: { readonly parentId: string; readonly name: string },
    options?: RequestOptions,
  ): Promise<RemoteEntry> {
    return this.#ask((provider) => provider.move(entry, to, options));
  }

  copy(
    file: RemoteFile,
    to: { readonly parentId: string; readonly name: string },
    options?: RequestOptions,
  ): Promise<RemoteFile> {
    return this.#ask((provider) => provider.copy(file, to, options));
  }

  trash(entry: RemoteEntry, options?: RequestOptions): Promise<RemoteEntry> {
    return this.#ask((provider) => provider.trash(entry, options));
  }

  untrash(entry: RemoteEntry, options?: RequestOptions & { readonly name?: string }): Promise<RemoteEntry> {
    return this.#ask((provider) => provider.untrash(entry, options));
  }

  /** Absent if the service has no trash. */
  get listTrash(): Provider['listTrash'] {
    if (this.#made.provider.listTrash === undefined) return undefined;
    return (options) => this.#ask((provider) => provider.listTrash?.(options) ?? Promise.resolve([]));
  }

  remove(entry: RemoteEntry, options?: RequestOptions & { readonly onlyEmpty?: boolean }): Promise<void> {
    return this.#ask((provider) => provider.remove(entry, options));
  }

  /** Absent if the provider has no feed of changes. */
  get changes(): Provider['changes'] {
    if (this.#made.provider.changes === undefined) return undefined;
    return (options) =>
      this.#ask((provider) => provider.changes?.(options) ?? Promise.resolve({ folders: [], nextInMs: NEVER }));
  }

  /** Absent if `list` asks the service anyway. */
  get refreshIndex(): Provider['refreshIndex'] {
    if (this.#made.provider.refreshIndex === undefined) return undefined;
    return (options) => this.#ask((provider) => provider.refreshIndex?.(options) ?? Promise.resolve());
  }

  /** Absent if abandoned uploads leave nothing at the provider. */
  get discardUpload(): Provider['discardUpload'] {
    if (this.#made.provider.discardUpload === undefined) return undefined;
    return (checkpoint, options) =>
      this.#ask((provider) => provider.discardUpload?.(checkpoint, options) ?? Promise.resolve());
  }

  /** Absent if the documents have no links. */
  get link(): Provider['link'] {
    if (this.#made.provider.link === undefined) return undefined;
    return (entry, wish, options) =>
      this.#ask((provider) => provider.link?.(entry, wish, options) ?? Promise.reject(noSuch(provider, 'links')));
  }

  /** Absent if the documents do not share folders. */
  get members(): Provider['members'] {
    if (this.#made.provider.members === undefined) return undefined;
    return (folder, options) =>
      this.#ask((provider) => provider.members?.(folder, options) ?? Promise.reject(noSuch(provider, 'members')));
  }

  get share(): Provider['share'] {
    if (this.#made.provider.share === undefined) return undefined;
    return (folder, email, rights, options) =>
      this.#ask(
        (provider) => provider.share?.(folder, email, rights, options) ?? Promise.reject(noSuch(provider, 'members')),
      );
  }

  /** Absent if the documents have no search. */
  get search(): Provider['search'] {
    if (this.#made.provider.search === undefined) return undefined;
    return (query, options) => this.#ask((provider) => provider.search?.(query, options) ?? Promise.resolve([]));
  }

  send(made: ApiRequest, options?: RequestOptions): Promise<ApiAnswer> {
    return this.#ask((provider) => {
      if (provider.send === undefined) return Promise.reject(noSuch(provider, 'such requests'));
      return provider.send(made, options);
    });
  }

  /** Absent if the provider does not limit the number of requests. */
  get assertBudget(): Provider['assertBudget'] {
    if (this.#made.provider.assertBudget === undefined) return undefined;
    return (work) => this.#made.provider.assertBudget?.(work);
  }

  /** Absent if files can be moved out of sight. */
  get hide(): Provider['hide'] {
    if (this.#made.provider.hide === undefined) return undefined;
    return (file) => {
      this.#hidden.set(file.id, file);
      this.#made.provider.hide?.(file);
    };
  }

  metrics(): RequestMetrics {
    const former = [...this.#retired].reduce((all, provider) => sum(all, provider.metrics()), this.#before);
    return sum(former, this.#made.provider.metrics());
  }

  async close(): Promise<void> {
    await Promise.all([this.#made.provider, ...this.#retired].map((provider) => provider.close()));
  }

  /** Closes a provider once its requests have ended: an upload that goes on with the old credentials may well succeed. */
  async #retire(provider: Provider, uses: InUse): Promise<void> {
    this.#retired.add(provider);
    await uses.idle();
    this.#retired.delete(provider);
    this.#before = sum(this.#before, provider.metrics());
    await provider.close().catch((error) => this.#log.debug({ error }, 'closing the old connections'));
  }

  async #ask<T>(request: (provider: Provider) => Promise<T>): Promise<T> {
    const asked = this.#made;
    try {
      const answer = await this.#uses.during(() => request(asked.provider));
      this.isRefused = false;
      return answer;
    } catch (error) {
      if (codeOf(error) !== 'auth') throw error;
      if (this.#made === asked && !this.#replaceProvider(asked)) {
        if (!this.isRefused)
          this.#log.error({}, `${asked.provider.name} refuses the credentials; to mend it: ${this.#login}`);
        this.isRefused = true;
        throw error;
      }
      return this.#ask(request);
    }
  }

  #replaceProvider(old: MadeProvider): boolean {
    const made = this.#renew(old.fingerprint);
    if (made === null) return false;
    this.#log.info({}, 'taking up the new credentials of the account');
    this.#made = made;
    for (const file of this.#hidden.values()) made.provider.hide?.(file);
    void this.#retire(old.provider, this.#uses);
    this.#uses = new InUse();
    return true;
  }
}

function noSuch({ name }: Provider, what: string): ProviderError {
  return new ProviderError('unsupported', `${name} has no ${what}`, { data: {} });
}

/** The sum of both, with the rate limit of `b`, the later one. */
function sum(a: RequestMetrics, b: RequestMetrics): RequestMetrics {
  const outcomes: Record<string, Record<string, number>> = { ...a.outcomes };
  for (const [route, counts] of Object.entries(b.outcomes)) outcomes[route] = added(outcomes[route] ?? {}, counts);
  const { rateLimit, outage } = b;
  return { total: a.total + b.total, byRoute: added(a.byRoute, b.byRoute), outcomes, rateLimit, outage };
}

function added(a: Readonly<Record<string, number>>, b: Readonly<Record<string, number>>): Record<string, number> {
  const sums = { ...a };
  for (const [key, count] of Object.entries(b)) sums[key] = (sums[key] ?? 0) + count;
  return sums;
}
