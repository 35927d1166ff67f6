/**
 * Uploads of contents that the service may refuse to hold where they belong. An empty one becomes an entry of the metadata alone, a large
 * one an object of the root with an entry that names its place (held-files.ts). What the service has refused once it is not asked again.
 */
import { codeOf } from '../../base/errors.js';
import type { UploadSource } from '../../providers/content.js';
import { ProviderError } from '../../providers/errors.js';
import type {
  ListOptions,
  Provider,
  RemoteEntry,
  RemoteFile,
  RemoteFolder,
  RemoteRef,
  UploadOptions,
  UploadTarget,
} from '../../providers/provider.js';
import type { NamePlace } from '../entry.js';
import type { BegunUploads } from './begun-uploads.js';
import { isEntryOnly, newEntryOnlyFile } from './entry-only.js';
import { type Held, heldName, shownAs } from './held-files.js';
import { isRefusalOfEmpty } from './refusal-of-empty.js';

export interface HeldUploadsOptions {
  readonly provider: Provider;
  readonly held: Held;
  /** The account's root. */
  readonly root: RemoteFolder;
  /** A name with the folders on the way to it; null where they are not known. */
  readonly placeOf: (folder: string, name: string) => NamePlace | null;
  /** A folder that the mount knows. */
  readonly folderOf: (id: string) => RemoteFolder | null;
  readonly now: () => number;
  /** Absent where nothing is held in the root. */
  readonly begun?: BegunUploads;
}

export class HeldUploads {
  readonly #o: HeldUploadsOptions;
  /** The service has refused an empty file: it is not asked again for each. */
  #refusesEmpty = false;
  /** The service has put contents of so many bytes into the root only. */
  #onlyInRootFrom = Number.POSITIVE_INFINITY;
  /** Empty files without an object whose name another client has taken since. */
  readonly #displaced = new Set<string>();

  constructor(options: HeldUploadsOptions) {
    this.#o = options;
  }

  /** Another client has taken the name of this empty file, which is an entry alone. */
  isDisplaced({ id }: RemoteRef): boolean {
    return this.#displaced.has(id);
  }

  async upload(target: UploadTarget, source: UploadSource, options: UploadOptions = {}): Promise<RemoteFile> {
    const { replaces } = target;
    const object = replaces === undefined ? undefined : this.#o.held.objects().get(replaces.id);
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
        return await this.#o.provider.upload(target, source, options);
      } catch (error) {
        const isElsewhere = error instanceof ProviderError && error.data.onlyInRoot === true;
        if (!isElsewhere || this.#o.held.hold === undefined) throw error;
        this.#onlyInRootFrom = source.size;
      }
    }
    return this.#storeInRoot(target, source, options);
  }

  async #storeInRoot(target: UploadTarget, source: UploadSource, options: UploadOptions): Promise<RemoteFile> {
    const { root, placeOf, begun } = this.#o;
    const { replaces } = target;
    const place = placeOf(target.parentId, target.name);
    if (place === null) throw new ProviderError('not-found', 'its folder is not known', { data: {} });
    const objects = this.#o.held.objects();
    const before = replaces && objects.get(replaces.id);
    const name = before?.name ?? heldName(target);
    const { signal, priority, waitBudget } = options;
    const inRoot = await this.#o.provider.list(root, { signal, priority, waitBudget });
    // The version before, or what an attempt has left that was cut.
    const there = inRoot.find((entry): entry is RemoteFile => entry.kind === 'file' && entry.name === name);
    const other = there && objects.get(there.id);
    if (other !== undefined && (other.place.folder !== place.folder || other.place.name !== place.name))
      throw new ProviderError('exists', 'the name in the root is taken by a file of another folder', { data: {} });
    const where = { parentId: root.id, name, ...(there === undefined ? {} : { replaces: there }) };
    const isUnknown = other === undefined;
    if (isUnknown) begun?.begin(name, place);
    const stored = await this.#o.provider.upload(where, source, options).catch((error: unknown) => {
      if (isUnknown) begun?.seek(name, place);
      throw error;
    });
    const object = { id: stored.id, name, place };
    this.#o.held.hold?.(object);
    if (isUnknown) begun?.end(name);
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
        return await this.#o.provider.upload(target, source, options);
      } catch (error) {
        if (!isRefusalOfEmpty(error, target.name, replaces?.name === target.name)) throw error;
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
    const entries = await this.#o.provider.list(folder, { signal, priority, waitBudget });
    if (entries.some((entry) => entry.name === name))
      throw new ProviderError('exists', 'the name is taken', { data: {} });
  }

  async #remove(file: RemoteFile, { signal, priority, waitBudget }: UploadOptions): Promise<void> {
    const options = { signal, priority, waitBudget };
    try {
      if (this.#o.provider.capabilities.trash) await this.#o.provider.trash(file, options);
      else await this.#o.provider.remove(file, options);
    } catch (error) {
      if (codeOf(error) !== 'not-found') throw error;
    }
  }

  /** Holds the objects whose upload was not confirmed and that are there: like every file that was stored without our hearing of it. */
  async holdUnconfirmed(folder: RemoteFolder, entries: readonly RemoteEntry[], options: ListOptions): Promise<void> {
    const { root, begun } = this.#o;
    if (begun === undefined || begun.isEmpty) return;
    const isRoot = folder.id === root.id;
    if (!isRoot && !begun.isSoughtIn(folder.id)) return;
    const inRoot = isRoot ? entries : await this.#o.provider.list(root, { ...options, countsAreFresh: false });
    for (const { kind, id, name } of inRoot) {
      const place = kind === 'file' ? begun.placeOf(name) : undefined;
      if (place === undefined) continue;
      this.#o.held.hold?.({ id, name, place });
      begun.end(name);
    }
    begun.giveUpOld();
  }
}
