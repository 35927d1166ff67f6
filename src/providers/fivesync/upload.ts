/**
 * Stores content so that exactly one file of the name remains. The document does not say what a PUT of an existing name
 * does. The server may:
 *
 * - `version`    store a new version with the same id
 * - `replace`    give the file a new id and remove the old one
 * - `duplicate`  store a second file of that name: then we remove the old one
 * - `aside`      give the new file another name, or refuse it: then a copy holds the content while we remove the old file
 *
 * Invariant: the old version is removed only after the new one has been stored and verified.
 */
import { randomBytes } from 'node:crypto';
import { type Log, silentLog } from '../../base/log.js';
import type { UploadSource } from '../content.js';
import { ProviderError } from '../errors.js';
import type { CallOptions } from '../http/client/call.js';
import { NameLocks } from '../name-locks.js';
import { checkName, collisionKey, mayBecome, sameName } from '../names.js';
import type { Provider, RemoteFile, UploadCheckpoint, UploadOptions, UploadTarget } from '../provider.js';
import { storedMd5 } from '../stored-md5.js';
import { type FiveSyncApi, isCode, isStatus, mayMeanTaken } from './api.js';
import type { Catalog } from './catalog.js';
import { childPath, type FileRecord, fileOf, type Item, normalPath, recordOf } from './entities.js';
import { formData, isPlainName, type NameForm, nameForms } from './form-data.js';
import { NameProbes } from './name-probes.js';
import { PartsUploader, type TargetState } from './parts.js';
import { naming, removeTemporaries, temporariesOf } from './temporaries.js';
import { UploadOutcome } from './upload-outcome.js';

export type Overwriting = 'version' | 'replace' | 'duplicate' | 'aside';

/** "Larger than 100 MB": below the smaller reading of it, with a margin for "less than", bytes. */
export const defaultSimpleUploadLimit = 100_000_000 - 1_000_000;

/** UTF-16 code units. Not documented: the limit of common file systems. */
export const maxNameLength = 255;

/** Bytes. If the server refuses a smaller content as too large, it means the account's limit, not that of one request. */
const minForParts = 1_000_000;

interface Place {
  readonly folder: string;
  readonly name: string;
}

export class Uploader {
  readonly #api: FiveSyncApi;
  readonly #catalog: Catalog;
  readonly #outcome: UploadOutcome;
  readonly #parts: PartsUploader;
  readonly #keptNames: NameProbes;
  /** The service stores by name. If it may take the names of two uploads to be one, the second must see the result of the first. */
  readonly #nameLocks = new NameLocks();
  readonly #log: Log;
  #simpleLimit: number;
  #nameForm: NameForm = nameForms[0];
  #overwriting: Overwriting | undefined;
  /** By path: new versions that are stored and verified while the old one still exists. A retry only has to remove the old one. */
  readonly #unfinished = new Map<string, { readonly md5: string; readonly record: FileRecord }>();

  readonly #read: Provider['read'];

  /** `read`: to tell our content from another client's of the same size. */
  constructor(
    api: FiveSyncApi,
    catalog: Catalog,
    read: Provider['read'],
    settings: { readonly simpleUploadLimit?: number; readonly partBytes?: number; readonly log?: Log },
  ) {
    this.#api = api;
    this.#read = read;
    this.#catalog = catalog;
    this.#log = settings.log ?? silentLog;
    this.#outcome = new UploadOutcome(api, () => catalog.doubt());
    this.#parts = new PartsUploader(api, this.#outcome, this.#log, settings.partBytes);
    this.#keptNames = new NameProbes(api, catalog.index, this.#outcome, this.#log);
    this.#simpleLimit = settings.simpleUploadLimit ?? defaultSimpleUploadLimit;
  }

  /** Estimated number of requests to store this many bytes and to check the result. */
  requestsOf(size: number): number {
    return size <= this.#simpleLimit ? 2 : this.#parts.requestsOf(size) + 1;
  }

  async upload(target: UploadTarget, source: UploadSource, options: UploadOptions): Promise<RemoteFile> {
    const { signal, priority, waitBudget } = options;
    const call: CallOptions = { signal, priority, waitBudget };
    if (options.resume !== undefined) await this.discard(options.resume, call);
    const parentId = target.parentId.split('/').map(collisionKey).join('/');
    return await this.#nameLocks.during({ parentId, name: target.name }, signal, () =>
      this.#upload(target, source, options, call),
    );
  }

  /** Removes the temporary files that an earlier try has left. */
  async discard(checkpoint: UploadCheckpoint, call: CallOptions): Promise<void> {
    const left = temporariesOf(checkpoint);
    if (left.length === 0) return;
    await this.#catalog.certain(call);
    await removeTemporaries(left, { api: this.#api, catalog: this.#catalog }, call);
  }

  async #upload(
    target: UploadTarget,
    source: UploadSource,
    options: UploadOptions,
    call: CallOptions,
  ): Promise<RemoteFile> {
    checkName(target.name, maxNameLength);
    await this.#catalog.certain(call);
    const place: Place = { folder: normalPath(target.parentId), name: target.name };
    const { index } = this.#catalog;
    const failed = (error: unknown): never => {
      this.#catalog.failed(error);
      throw error;
    };
    const old = target.replaces;
    if (old === undefined) {
      const isTaken =
        index.named(place.folder, place.name).length > 0 || index.hasFolder(childPath(place.folder, place.name));
      if (isTaken) {
        const earlier = await this.#completedEarlier(place, source, options, call);
        if (earlier === undefined) throw new ProviderError('exists', 'the name is taken', { data: {} });
        options.onProgress?.(source.size);
        return fileOf(earlier);
      }
      await this.#keptNames.require(place.folder, place.name, this.#nameForm, options).catch(failed);
    }
    const record = await this.#stored(place, old, source, options, call).catch(failed);
    options.onProgress?.(source.size);
    if (old === undefined || old.id === record.id) {
      if (old !== undefined) this.#overwriting ??= 'version';
    } else if (normalPath(old.parentId) === place.folder && sameName(old.name, place.name)) {
      // Put the new version also if the removal fails: both versions may exist, and a later removal of the name must see both.
      const removing = this.#removeOld(place, old, record, await source.md5(), call);
      await removing.finally(() => this.#catalog.put(record));
    }
    this.#catalog.put(record);
    return fileOf(record);
  }

  /** The existing file of this name, if the checkpoint shows that an earlier attempt sent all of it except `complete`. */
  async #completedEarlier(
    { folder, name }: Place,
    source: UploadSource,
    { resume }: UploadOptions,
    call: CallOptions,
  ): Promise<FileRecord | undefined> {
    const [there, ...others] = this.#catalog.index.named(folder, name);
    if (there?.size !== source.size || others.length > 0 || resume === undefined) return undefined;
    const content = { size: source.size, md5: await source.md5() };
    if (!this.#parts.wasSent({ folder, name }, content, resume)) return undefined;
    if (!(await this.#holds(there, source, call))) return undefined;
    return recordOf(await this.#api.file(there.id, call), folder);
  }

  async #stored(
    place: Place,
    old: RemoteFile | undefined,
    source: UploadSource,
    options: UploadOptions,
    call: CallOptions,
  ): Promise<FileRecord> {
    const unfinished = this.#unfinished.get(childPath(place.folder, place.name));
    if (old !== undefined && unfinished !== undefined && unfinished.md5 === (await source.md5())) {
      const there = await this.#api.file(unfinished.record.id, call).catch(() => undefined);
      if (there?.size === source.size) return unfinished.record;
    }
    // If several files have the name, the server chooses which one a PUT replaces.
    if (old !== undefined && this.#catalog.index.named(place.folder, place.name).some(({ id }) => id !== old.id))
      throw new ProviderError('exists', 'several files have this name: rename one of them first', { data: {} });
    if (old !== undefined && this.#overwriting === 'aside') return await this.#swap(place, old, source, options, call);
    // No error is documented for a name that exists. One refusal may have another reason, and be temporary: try twice.
    if (old === undefined) return await this.#put(place, old, source, options, call);
    for (let tries = 1; tries <= 2; tries++) {
      try {
        return await this.#put(place, old, source, options, call);
      } catch (error) {
        if (!mayMeanTaken(error)) throw error;
      }
    }
    const record = await this.#swap(place, old, source, options, call);
    this.#overwriting = 'aside';
    return record;
  }

  /** Stores the content under its name, and verifies the size, folder and name of the result. */
  async #put(
    place: Place,
    old: RemoteFile | undefined,
    source: UploadSource,
    options: UploadOptions,
    call: CallOptions,
  ): Promise<FileRecord> {
    const { index } = this.#catalog;
    const before = new Map(
      this.#catalog.index.namedOrAlike(place.folder, place.name).map((record) => [record.id, record]),
    );
    let inDoubt = false;
    const lookUp = (lookupOptions: CallOptions): Promise<Item | undefined> =>
      this.#lookUp(place, source, before, old, lookupOptions);
    const state: TargetState = {
      isKnown: (id) => index.file(id) !== undefined || id === old?.id,
      requireUnchanged: async (options) => void (await lookUp(options)),
      lookup: (options) => {
        inDoubt = true;
        return lookUp(options);
      },
    };
    const { isKnown } = state;
    const record =
      source.size > this.#simpleLimit
        ? await this.#parts.upload(place, source, state, options)
        : await this.#putWhole(place, source, state, options, call).catch(async (error: unknown) => {
            // The server's limit for one request is lower than the document's.
            if (!isCode(error, 'too-large') || source.size < minForParts) throw error;
            const record = await this.#parts.upload(place, source, state, options);
            this.#simpleLimit = Math.min(this.#simpleLimit, source.size - 1);
            return record;
          });
    if (record.size !== source.size || record.folder !== place.folder) {
      if (!isKnown(record.id)) await this.#discard(record, call);
      if (record.size !== source.size)
        throw new ProviderError('integrity', 'the server did not store what was sent', {
          data: { size: source.size, storedSize: record.size },
        });
      throw new ProviderError('unsupported', `the server put the file in ${record.folder}`, { data: {} });
    }
    const isOurs = old?.id === record.id || !before.has(record.id);
    if (!sameName(record.name, place.name) && !(isOurs && mayBecome(place.name, record.name))) {
      if (old === undefined || isKnown(record.id)) {
        if (!isKnown(record.id)) await this.#discard(record, call);
        throw new ProviderError('invalid-name', 'the server gave the file another name', { data: {} });
      }
      this.#overwriting = 'aside';
      return await this.#swap(place, old, source, options, call, record);
    }
    // Tries with a lost answer may have stored more copies.
    if (inDoubt) await this.#discardRepeats(place, record, source, before, call);
    return record;
  }

  async #putWhole(
    place: Place,
    source: UploadSource,
    { isKnown, lookup }: TargetState,
    options: UploadOptions,
    call: CallOptions,
  ): Promise<FileRecord> {
    const forms = isPlainName(place.name) ? [this.#nameForm] : [...new Set([this.#nameForm, ...nameForms])];
    for (const [i, form] of forms.entries()) {
      const body = formData(
        { path: place.folder },
        { name: place.name, form, source },
        options.onProgress?.bind(options),
      );
      const item = await this.#api.put(body.content, body.contentType, call, lookup).catch((error: unknown) => {
        // "Malformed": only the name can be malformed in an upload.
        if (isPlainName(place.name) || !isStatus(error, 400)) throw error;
        const { data } = error as ProviderError;
        throw new ProviderError('invalid-name', 'the service does not take this name', { cause: error, data });
      });
      const isNew = !isKnown(item.id);
      const record = await this.#outcome.find(item, place.folder, { isNew }, call);
      const isRight = mayBecome(place.name, record.name);
      if (sameName(record.name, place.name) && !isPlainName(place.name)) this.#nameForm = form;
      if (isRight || i === forms.length - 1 || !isNew) return record;
      await this.#discard(record, call);
    }
    throw new ProviderError('invalid-name', 'the server gave the file another name', { data: {} });
  }

  /** True if the file has our content: the service tells no checksum, and another client may have stored a file of this size. */
  async #holds(record: FileRecord, source: UploadSource, { signal }: CallOptions): Promise<boolean> {
    if (record.size !== source.size) return false;
    return (await storedMd5({ read: this.#read }, fileOf(record), signal)) === (await source.md5());
  }

  /**
   * The file that a try with a lost answer has stored. Throws `exists` or `revision-changed` if another client has stored one under the
   * name since the last try, because another try would replace it.
   */
  async #lookUp(
    place: Place,
    source: UploadSource,
    before: ReadonlyMap<string, FileRecord>,
    old: RemoteFile | undefined,
    options: CallOptions,
  ): Promise<Item | undefined> {
    await this.#catalog.settle(options);
    const named = this.#catalog.index.namedOrAlike(place.folder, place.name);
    const since = named.filter((record) => {
      const was = before.get(record.id) ?? (record.id === old?.id ? old : undefined);
      return was === undefined || was.modified !== record.modified || was.size !== record.size;
    });
    for (const record of since) {
      if (!(await this.#holds(record, source, options))) continue;
      const { id, name, folder, size } = record;
      const time = {
        created: new Date(record.created).toISOString(),
        modified: new Date(record.modified).toISOString(),
      };
      return { id, name, size, path: folder, ...time };
    }
    if (since.length === 0) return undefined;
    const isReplaced = old !== undefined && since.some(({ id }) => id === old.id);
    throw isReplaced
      ? new ProviderError('revision-changed', 'another client has stored a newer version', { data: {} })
      : new ProviderError('exists', 'the name is taken', { data: {} });
  }

  async #discardRepeats(
    place: Place,
    stored: FileRecord,
    source: UploadSource,
    before: ReadonlyMap<string, FileRecord>,
    options: CallOptions,
  ): Promise<void> {
    await this.#catalog.settle(options);
    for (const other of this.#catalog.index.namedOrAlike(place.folder, place.name)) {
      if (other.id === stored.id || before.has(other.id) || !(await this.#holds(other, source, options))) continue;
      await this.#discard(other, options);
    }
  }

  /** Removes the old version, now that the new one is stored. */
  async #removeOld(
    place: Place,
    old: RemoteFile,
    record: FileRecord,
    md5: string,
    options: CallOptions,
  ): Promise<void> {
    const { index } = this.#catalog;
    const key = childPath(place.folder, place.name);
    if (this.#overwriting === undefined) {
      const now = await this.#api.file(old.id, options).catch((error: unknown) => {
        if (isCode(error, 'not-found')) return undefined;
        throw error;
      });
      // If the old id now leads to the new file, it must not be deleted.
      this.#overwriting = now === undefined || now.id !== old.id ? 'replace' : 'duplicate';
      const left = now === undefined ? undefined : recordOf(now, place.folder);
      if (this.#overwriting === 'duplicate' && left !== undefined && left.modified !== old.modified) {
        // Another client has stored a newer version: keep both.
        this.#catalog.put(left);
        return;
      }
    }
    if (this.#overwriting === 'duplicate') {
      this.#unfinished.set(key, { md5, record });
      await this.#api.remove(old.id, options).catch((error: unknown) => {
        if (!isCode(error, 'not-found')) throw error;
      });
      this.#unfinished.delete(key);
    }
    index.remove(old.id);
  }

  /**
   * Replaces a file on a server that allows only one file per name. First stores the content under another name, then
   * removes the old version, then stores the content under the final name. `copy`: the server has already stored the new
   * file under another name.
   */
  async #swap(
    place: Place,
    old: RemoteFile,
    source: UploadSource,
    options: UploadOptions,
    call: CallOptions,
    copy?: FileRecord,
  ): Promise<FileRecord> {
    const name = `.syncmount-${randomBytes(6).toString('hex')}.part`;
    const temporary = { folder: place.folder, name };
    const telling = naming([copy === undefined ? temporary : { id: copy.id }], options);
    await telling.onCheckpoint?.({ v: 1, kind: 'swap' });
    const held = copy ?? (await this.#put(temporary, undefined, source, telling, call));
    await this.#api.remove(old.id, call).catch((error: unknown) => {
      if (!isCode(error, 'not-found')) throw error;
    });
    this.#catalog.removed(old.id);
    try {
      const record = await this.#put(place, undefined, source, { ...telling, resume: undefined }, call);
      await this.#discard(held, call);
      return record;
    } catch (error) {
      this.#catalog.put(held);
      this.#log.error({ copy: held.id }, `the new version is stored as ${held.name} only`);
      throw error;
    }
  }

  /** Removes a file that is no longer needed. A failure is only logged. */
  async #discard(record: FileRecord, options: CallOptions): Promise<void> {
    const removing = this.#api.remove(record.id, { priority: options.priority });
    const onFailure = (error: unknown): void =>
      this.#log.warn({ code: (error as { code?: unknown }).code }, 'a redundant upload could not be removed');
    await removing.then(() => this.#catalog.removed(record.id), onFailure);
  }
}
