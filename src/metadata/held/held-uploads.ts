/**
 * Uploads of contents that the service may refuse in their folder. An empty content becomes an entry of the metadata only; a large content
 * becomes an object of the root, with an entry that names its place (held-files.ts). After one refusal the service is not asked again.
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
  /** A name with the folders on the way to it; null if they are not known. */
  readonly placeOf: (folder: string, name: string) => NamePlace | null;
  /** The folder with this id; null if the mount does not know it. */
  readonly folderOf: (id: string) => RemoteFolder | null;
  readonly now: () => number;
  /** Absent if the mount holds nothing in the root. */
  readonly begun?: BegunUploads;
}

export class HeldUploads {
  readonly #o: HeldUploadsOptions;
  /** The service has refused an empty file. */
  #refusesEmpty = false;
  /** The size of a content that the service accepted in the root only, bytes. Larger contents go there at once. */
  #onlyInRootFrom = Number.POSITIVE_INFINITY;
  /** Ids of empty files that are entries only, if another client has taken their name since. */
  readonly #displaced = new Set<string>();

  constructor(options: HeldUploadsOptions) {
    this.#o = options;
  }

  /** True if another client has taken the name of this empty file, which is an entry only. */
  isDisplaced({ id }: RemoteRef): boolean {
    return this.#displaced.has(id);
  }

  async upload(target: UploadTarget, source: UploadSource, options: UploadOptions = {}): Promise<RemoteFile> {
    const { replaces } = target;
    const object = replaces === undefined ? undefined : this.#o.held.objects().get(replaces.id);
    // A file in the root stays there, also when it has become small. So each version replaces the one before it.
    if (object !== undefined) return this.#storeInRoot(target, source, options);
    if (source.size === 0) return this.#storeEmpty(target, source, options);
    if (replaces !== undefined && isEntryOnly(replaces)) return this.#storeInsteadOfEntry(target, source, options);
    return this.#store(target, source, options);
  }

  /** Stores a content in its folder, or in the root if the service accepts it only there. */
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
    // The previous version, or what an interrupted attempt has left.
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

  /** Stores the first content of an empty file that is an entry only: the service has no object to replace. */
  async #storeInsteadOfEntry(target: UploadTarget, source: UploadSource, options: UploadOptions): Promise<RemoteFile> {
    const { parentId, name, replaces } = target;
    try {
      // Some services store a new revision of any file that has the name, and do not report that.
      await this.#requireFree(target, options);
      return await this.#store({ parentId, name }, source, options);
    } catch (error) {
      if (codeOf(error) !== 'exists' || replaces === undefined) throw error;
      // Another client's file has taken the name meanwhile: that is a conflict.
      this.#displaced.add(replaces.id);
      throw new ProviderError('not-found', 'another client has stored a file of its name', { cause: error, data: {} });
    }
  }

  /** Stores an empty file; as an entry if the service refuses it, and then removes the version that it replaces. */
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
    // Nothing is lost here: the caller keeps the content in its journal until it has noted the new file.
    if (replaces !== undefined) await this.#remove(replaces, options);
    return newEntryOnlyFile(target, this.#o.now());
  }

  /** Throws `exists` if the service has an object of the name. */
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

  /** Notes the places of objects that a listing shows although nobody confirmed their upload (begun-uploads.ts). */
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
