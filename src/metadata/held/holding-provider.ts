/** The provider as the file system sees it: held files (held-files.ts) appear in their folders, although the service has them elsewhere. */
import type { ByteRange, RangeBody, UploadSource } from '../../providers/content.js';
import { ProviderError } from '../../providers/errors.js';
import { orAborted } from '../../providers/or-aborted.js';
import type {
  Account,
  Capabilities,
  ListOptions,
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
import { isEntryOnly, newEntryOnlyFile } from './entry-only.js';
import { folderOnTheWay, type Held, type HeldObject, shownAs } from './held-files.js';
import { HeldUploads, type HeldUploadsOptions } from './held-uploads.js';

export interface HoldingProviderOptions extends HeldUploadsOptions {
  /** Resolves when a folder's entries were read from the account, or cannot be read now. */
  readonly prepare: (folder: RemoteFolder, options: RequestOptions) => Promise<void>;
  /** Receives a listing of the root, which shows the folder of the metadata. */
  readonly rootListed: (entries: readonly RemoteEntry[]) => void;
}

export class HoldingProvider implements Provider {
  readonly #o: HoldingProviderOptions;
  readonly #provider: Provider;
  readonly #held: Held;
  readonly #uploads: HeldUploads;

  constructor(options: HoldingProviderOptions) {
    this.#o = options;
    this.#provider = options.provider;
    this.#held = options.held;
    this.#uploads = new HeldUploads(options);
  }

  get name(): ProviderName {
    return this.#provider.name;
  }

  get capabilities(): Capabilities {
    return this.#provider.capabilities;
  }

  account(options?: RequestOptions): Promise<Account> {
    return this.#provider.account(options);
  }

  async list(folder: RemoteFolder, options: ListOptions = {}): Promise<RemoteEntry[]> {
    const { prepare, rootListed, root } = this.#o;
    const [entries] = await Promise.all([this.#provider.list(folder, options), prepare(folder, options)]);
    if (folder.id === root.id) {
      rootListed(entries);
      await orAborted(prepare(folder, options), options.signal);
    }
    await this.#uploads.holdUnconfirmed(folder, entries, options);
    return this.#shown(folder, entries, options);
  }

  /**
   * Absent if the provider has none. The root is listed in full every time: it contains objects that the mount hides, and the folder of
   * the metadata.
   */
  get revalidateListing(): Provider['revalidateListing'] {
    if (this.#provider.revalidateListing === undefined) return undefined;
    return async (folder, options) => {
      const { prepare, root } = this.#o;
      const listing = folder.id === root.id ? undefined : this.#provider.revalidateListing?.(folder, options);
      if (listing === undefined) return { entries: await this.list(folder, options), memory: null };
      const [{ entries, memory }] = await Promise.all([listing, prepare(folder, options)]);
      await this.#uploads.holdUnconfirmed(folder, [], options);
      const isWhole = this.#held.objects().size === 0 && this.#held.entryOnlyIn(folder.id).length === 0;
      if (isWhole) return { entries, memory };
      const all = entries === 'same' ? await this.#provider.list(folder, options) : entries;
      return { entries: await this.#shown(folder, all, options), memory: null };
    };
  }

  /** A listing of the service, with held files where they belong. */
  async #shown(folder: RemoteFolder, entries: RemoteEntry[], options: ListOptions): Promise<RemoteEntry[]> {
    const objects = this.#held.objects();
    const shown = objects.size === 0 ? entries : await this.#withObjects(folder, entries, objects, options);
    const empty = this.#held.entryOnlyIn(folder.id);
    return empty.length === 0 ? shown : [...shown, ...empty];
  }

  /** Adds the held objects that belong into a folder to its listing, and removes those that belong elsewhere. */
  async #withObjects(
    folder: RemoteFolder,
    entries: readonly RemoteEntry[],
    objects: ReadonlyMap<string, HeldObject>,
    options: ListOptions,
  ): Promise<RemoteEntry[]> {
    const shown = entries.filter(({ kind, id }) => kind !== 'file' || !objects.has(id));
    const known = new Set(shown.flatMap(({ kind, id }) => (kind === 'folder' ? [id] : [])));
    let inRoot: readonly RemoteEntry[] | null = folder.id === this.#o.root.id ? entries : null;
    for (const object of objects.values()) {
      const { place } = object;
      const next = folderOnTheWay(folder.id, place);
      if (place.folder !== folder.id && next === undefined) continue;
      inRoot ??= await this.#provider.list(this.#o.root, { ...options, countsAreFresh: false });
      const file = inRoot.find((entry) => entry.id === object.id);
      // Another client has removed it.
      if (file?.kind !== 'file') continue;
      if (place.folder === folder.id) shown.push(shownAs(file, object));
      else if (next !== undefined && !known.has(next.id)) {
        known.add(next.id);
        shown.push(next);
      }
    }
    return shown;
  }

  async stat(ref: RemoteRef, options?: RequestOptions): Promise<RemoteEntry> {
    if (isEntryOnly(ref)) {
      const file = this.#uploads.isDisplaced(ref) ? undefined : this.#held.entryOnly(ref);
      if (file === undefined) throw new ProviderError('not-found', 'the empty file is gone', { data: {} });
      return file;
    }
    const object = ref.kind === 'file' ? this.#object(ref.id) : undefined;
    if (object === undefined) return this.#provider.stat(ref, options);
    const found = await this.#provider.stat({ ...ref, parentId: this.#o.root.id }, options);
    return found.kind === 'file' ? shownAs(found, object) : found;
  }

  read(file: RemoteFile, range: ByteRange, options?: RequestOptions): Promise<RangeBody> {
    return this.#provider.read(this.#atService(file), range, options);
  }

  createFolder(parentId: string, name: string, options?: RequestOptions): Promise<RemoteFolder> {
    return this.#provider.createFolder(parentId, name, options);
  }

  upload(target: UploadTarget, source: UploadSource, options: UploadOptions = {}): Promise<RemoteFile> {
    return this.#uploads.upload(target, source, options);
  }

  async move(
    entry: RemoteEntry,
    to: { readonly parentId: string; readonly name: string },
    options?: RequestOptions,
  ): Promise<RemoteEntry> {
    if (isEntryOnly(entry)) return { ...entry, parentId: to.parentId, name: to.name };
    return this.#provider.move(entry, to, options);
  }

  async copy(
    file: RemoteFile,
    to: { readonly parentId: string; readonly name: string },
    options?: RequestOptions,
  ): Promise<RemoteFile> {
    if (isEntryOnly(file)) return newEntryOnlyFile(to, this.#o.now());
    return this.#provider.copy(this.#atService(file), to, options);
  }

  async trash(entry: RemoteEntry, options?: RequestOptions): Promise<RemoteEntry> {
    if (isEntryOnly(entry)) return entry;
    const object = this.#object(entry.id);
    if (object === undefined || entry.kind === 'folder') return this.#provider.trash(entry, options);
    const gone = await this.#provider.trash(this.#atService(entry), options);
    this.#held.drop(object);
    return gone;
  }

  async untrash(entry: RemoteEntry, options?: RequestOptions & { readonly name?: string }): Promise<RemoteEntry> {
    if (isEntryOnly(entry)) return { ...entry, name: options?.name ?? entry.name };
    return this.#provider.untrash(entry, options);
  }

  get listTrash(): Provider['listTrash'] {
    return this.#provider.listTrash?.bind(this.#provider);
  }

  get link(): Provider['link'] {
    if (this.#provider.link === undefined) return undefined;
    return async (entry, wish, options) => {
      if (isEntryOnly(entry) || this.#provider.link === undefined)
        throw new ProviderError('unsupported', 'the service itself does not have it', { data: {} });
      return await this.#provider.link(entry, wish, options);
    };
  }

  get members(): Provider['members'] {
    return this.#provider.members?.bind(this.#provider);
  }

  get share(): Provider['share'] {
    return this.#provider.share?.bind(this.#provider);
  }

  get search(): Provider['search'] {
    return this.#provider.search?.bind(this.#provider);
  }

  get send(): Provider['send'] {
    return this.#provider.send?.bind(this.#provider);
  }

  async remove(entry: RemoteEntry, options?: RequestOptions & { readonly onlyEmpty?: boolean }): Promise<void> {
    if (isEntryOnly(entry)) return;
    const object = entry.kind === 'file' ? this.#object(entry.id) : undefined;
    if (object === undefined || entry.kind === 'folder') return this.#provider.remove(entry, options);
    await this.#provider.remove(this.#atService(entry), options);
    this.#held.drop(object);
  }

  /** If the root has changed, a held object may have: so the folders of all held objects count as changed. */
  get changes(): Provider['changes'] {
    if (this.#provider.changes === undefined) return undefined;
    return async (options) => {
      const none = { folders: [], nextInMs: NEVER };
      const changes = (await this.#provider.changes?.(options)) ?? none;
      if (changes.folders === 'all' || !changes.folders.includes(this.#o.root.id)) return changes;
      const places = [...this.#held.objects().values()].map(({ place }) => place.folder);
      return { ...changes, folders: [...new Set([...changes.folders, ...places])] };
    };
  }

  get refreshIndex(): Provider['refreshIndex'] {
    return this.#provider.refreshIndex?.bind(this.#provider);
  }

  get discardUpload(): Provider['discardUpload'] {
    return this.#provider.discardUpload?.bind(this.#provider);
  }

  get assertBudget(): Provider['assertBudget'] {
    return this.#provider.assertBudget?.bind(this.#provider);
  }

  get hide(): Provider['hide'] {
    if (this.#provider.hide === undefined) return undefined;
    return (file) => {
      if (!isEntryOnly(file)) this.#provider.hide?.(this.#atService(file));
    };
  }

  metrics(): RequestMetrics {
    return this.#provider.metrics();
  }

  close(): Promise<void> {
    return this.#provider.close();
  }

  #object(id: string): HeldObject | undefined {
    const objects = this.#held.objects();
    return objects.size === 0 ? undefined : objects.get(id);
  }

  /** A file with its folder and name at the service. */
  #atService(file: RemoteFile): RemoteFile {
    const object = this.#object(file.id);
    return object === undefined ? file : { ...file, parentId: this.#o.root.id, name: object.name };
  }
}

/** The interval of polls of a provider without a change feed, ms: the longest that setTimeout takes. */
const NEVER = 2 ** 31 - 1;
