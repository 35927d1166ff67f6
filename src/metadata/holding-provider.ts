/**
 * The provider as the file system sees it: files that the service refuses to hold where they belong are there all the same.
 * held-files.ts says how.
 */
import { codeOf } from '../base/errors.js';
import type { ByteRange, RangeBody, UploadSource } from '../providers/content.js';
import { ProviderError } from '../providers/errors.js';
import { orAborted } from '../providers/or-aborted.js';
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
} from '../providers/provider.js';
import type { RequestMetrics } from '../providers/request-metrics.js';
import type { NamePlace } from './entry.js';
import { isEntryOnly, newEntryOnlyFile } from './entry-only.js';
import { folderOnTheWay, type Held, type HeldObject, heldName, shownAs } from './held-files.js';
import { isRefusalOfEmpty } from './refusal-of-empty.js';

export interface HoldingProviderOptions {
  readonly provider: Provider;
  readonly held: Held;
  /** The account's root. */
  readonly root: RemoteFolder;
  /** Resolves when what is known of a folder's entries is here, or cannot be had now. */
  readonly prepare: (folder: RemoteFolder, options: RequestOptions) => Promise<void>;
  /** The root was listed, which tells where the metadata is. */
  readonly rootListed: (entries: readonly RemoteEntry[]) => void;
  /** A name with the folders on the way to it; null where they are not known. */
  readonly placeOf: (folder: string, name: string) => NamePlace | null;
  /** A folder that the mount knows. */
  readonly folderOf: (id: string) => RemoteFolder | null;
  readonly now: () => number;
}

export class HoldingProvider implements Provider {
  readonly #o: HoldingProviderOptions;
  readonly #provider: Provider;
  readonly #held: Held;
  /** The service has refused an empty file: it is not asked again for each. */
  #refusesEmpty = false;
  /** The service has put contents of so many bytes into the root only. */
  #onlyInRootFrom = Number.POSITIVE_INFINITY;
  /** Empty files without an object whose name another client has taken since. */
  readonly #displaced = new Set<string>();
  /** Where the objects of the root belong whose upload failed, by name: a service may have stored them all the same. */
  readonly #unconfirmed = new Map<string, NamePlace>();

  constructor(options: HoldingProviderOptions) {
    this.#o = options;
    this.#provider = options.provider;
    this.#held = options.held;
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
    await this.#confirm(folder, entries, options);
    return this.#shown(folder, entries, options);
  }

  /** Absent where the provider has none. The root has what is not to be shown, and where the metadata is: it is read every time. */
  get listAgain(): Provider['listAgain'] {
    if (this.#provider.listAgain === undefined) return undefined;
    return async (folder, options) => {
      const { prepare, root } = this.#o;
      const listing = folder.id === root.id ? undefined : this.#provider.listAgain?.(folder, options);
      if (listing === undefined) return { entries: await this.list(folder, options), memory: null };
      const [{ entries, memory }] = await Promise.all([listing, prepare(folder, options)]);
      await this.#confirm(folder, [], options);
      const isWhole = this.#held.objects().size === 0 && this.#held.entryOnlyIn(folder.id).length === 0;
      if (isWhole) return { entries, memory };
      const all = entries === 'same' ? await this.#provider.list(folder, options) : entries;
      return { entries: await this.#shown(folder, all, options), memory: null };
    };
  }

  /** A listing of the service as it is to be seen. */
  async #shown(folder: RemoteFolder, entries: RemoteEntry[], options: ListOptions): Promise<RemoteEntry[]> {
    const objects = this.#held.objects();
    const shown = objects.size === 0 ? entries : await this.#withObjects(folder, entries, objects, options);
    const empty = this.#held.entryOnlyIn(folder.id);
    return empty.length === 0 ? shown : [...shown, ...empty];
  }

  /** Holds the objects whose upload failed and that are there: like every file that was stored without our hearing of it. */
  async #confirm(folder: RemoteFolder, entries: readonly RemoteEntry[], options: ListOptions): Promise<void> {
    const { root } = this.#o;
    const isRoot = folder.id === root.id;
    if (this.#unconfirmed.size === 0) return;
    if (!isRoot && ![...this.#unconfirmed.values()].some((place) => place.folder === folder.id)) return;
    const inRoot = isRoot ? entries : await this.#provider.list(root, { ...options, countsAreFresh: false });
    for (const { kind, id, name } of inRoot) {
      const place = kind === 'file' ? this.#unconfirmed.get(name) : undefined;
      if (place === undefined) continue;
      this.#unconfirmed.delete(name);
      this.#held.hold?.({ id, name, place });
    }
  }

  /** A listing of a folder with the objects that belong into it, and without those that belong elsewhere. */
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
      const file = this.#displaced.has(ref.id) ? undefined : this.#held.entryOnly(ref);
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

  async upload(target: UploadTarget, source: UploadSource, options: UploadOptions = {}): Promise<RemoteFile> {
    const { replaces } = target;
    const object = replaces === undefined ? undefined : this.#object(replaces.id);
    // Once it is in the root it stays there, also where it has become small: so each version replaces the one before it.
    if (object !== undefined) return this.#storeInRoot(target, source, options);
    if (source.size === 0) return this.#storeEmpty(target, source, options);
    if (replaces !== undefined && isEntryOnly(replaces)) return this.#storeInsteadOfEntry(target, source, options);
    return this.#store(target, source, options);
  }

  /** Stores a content where it belongs, or in the root where the service does not let it be elsewhere. */
  async #store(target: UploadTarget, source: UploadSource, options: UploadOptions): Promise<RemoteFile> {
    if (source.size < this.#onlyInRootFrom || target.parentId === this.#o.root.id) {
      try {
        return await this.#provider.upload(target, source, options);
      } catch (error) {
        const isElsewhere = error instanceof ProviderError && error.data.onlyInRoot === true;
        if (!isElsewhere || this.#held.hold === undefined) throw error;
        this.#onlyInRootFrom = source.size;
      }
    }
    return this.#storeInRoot(target, source, options);
  }

  async #storeInRoot(target: UploadTarget, source: UploadSource, options: UploadOptions): Promise<RemoteFile> {
    const { root, placeOf } = this.#o;
    const { replaces } = target;
    const place = placeOf(target.parentId, target.name);
    if (place === null) throw new ProviderError('not-found', 'its folder is not known', { data: {} });
    const objects = this.#held.objects();
    const before = replaces && objects.get(replaces.id);
    const name = before?.name ?? heldName(target);
    const { signal, priority, waitBudget } = options;
    const inRoot = await this.#provider.list(root, { signal, priority, waitBudget });
    // The version before, or what an attempt has left that was cut.
    const there = inRoot.find((entry): entry is RemoteFile => entry.kind === 'file' && entry.name === name);
    const other = there && objects.get(there.id);
    if (other !== undefined && (other.place.folder !== place.folder || other.place.name !== place.name))
      throw new ProviderError('exists', 'the name in the root is taken by a file of another folder', { data: {} });
    const where = { parentId: root.id, name, ...(there === undefined ? {} : { replaces: there }) };
    this.#unconfirmed.delete(name);
    const stored = await this.#provider.upload(where, source, options).catch((error: unknown) => {
      if (there === undefined) this.#unconfirmed.set(name, place);
      throw error;
    });
    const object = { id: stored.id, name, place };
    this.#held.hold?.(object);
    if (replaces !== undefined && before === undefined && !isEntryOnly(replaces)) await this.#remove(replaces, options);
    return shownAs(stored, object);
  }

  /** The content takes the place of an empty file that is an entry alone: there is nothing to replace at the service. */
  async #storeInsteadOfEntry(target: UploadTarget, source: UploadSource, options: UploadOptions): Promise<RemoteFile> {
    const { parentId, name, replaces } = target;
    try {
      // Where an upload makes a revision of whatever has the name, nobody else would say so.
      await this.#requireFree(target, options);
      return await this.#store({ parentId, name }, source, options);
    } catch (error) {
      if (codeOf(error) !== 'exists' || replaces === undefined) throw error;
      // Another client's file has taken the name since: that is a conflict.
      this.#displaced.add(replaces.id);
      throw new ProviderError('not-found', 'another client has stored a file of its name', { cause: error, data: {} });
    }
  }

  /** Stores an empty file, as an entry where the service refuses it. A version that it replaces goes then. */
  async #storeEmpty(target: UploadTarget, source: UploadSource, options: UploadOptions): Promise<RemoteFile> {
    const { replaces } = target;
    if (replaces !== undefined && isEntryOnly(replaces)) return replaces;
    if (!this.#refusesEmpty) {
      try {
        return await this.#provider.upload(target, source, options);
      } catch (error) {
        if (!isRefusalOfEmpty(error, target.name)) throw error;
        this.#refusesEmpty = true;
      }
    }
    options.signal?.throwIfAborted();
    if (replaces === undefined) await this.#requireFree(target, options);
    // The caller keeps the content in its journal until it has noted the new file: nothing is lost in between.
    if (replaces !== undefined) await this.#remove(replaces, options);
    return newEntryOnlyFile(target, this.#o.now());
  }

  /** Throws `exists` where the service has an object of the name. */
  async #requireFree({ parentId, name }: UploadTarget, options: UploadOptions): Promise<void> {
    const folder = this.#o.folderOf(parentId);
    if (folder === null) return;
    const { signal, priority, waitBudget } = options;
    const entries = await this.#provider.list(folder, { signal, priority, waitBudget });
    if (entries.some((entry) => entry.name === name))
      throw new ProviderError('exists', 'the name is taken', { data: {} });
  }

  async #remove(file: RemoteFile, { signal, priority, waitBudget }: UploadOptions): Promise<void> {
    const options = { signal, priority, waitBudget };
    try {
      if (this.capabilities.trash) await this.#provider.trash(file, options);
      else await this.#provider.remove(file, options);
    } catch (error) {
      if (codeOf(error) !== 'not-found') throw error;
    }
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

  /** A change in the root may be one of the objects there that belong elsewhere. */
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

  get catchUp(): Provider['catchUp'] {
    return this.#provider.catchUp?.bind(this.#provider);
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

  /** A file as the service has it. */
  #atService(file: RemoteFile): RemoteFile {
    const object = this.#object(file.id);
    return object === undefined ? file : { ...file, parentId: this.#o.root.id, name: object.name };
  }
}

/** The pause after which a provider without a feed is asked again, ms: the longest that setTimeout takes. */
const NEVER = 2 ** 31 - 1;
