/**
 * Finds out whether the service keeps two similar names apart, and whether it stores a folder under the requested path. The service stores
 * by name: if it takes two names to be one, the second file overwrites the first. Probe files of one byte show what it does.
 */
import { randomBytes } from 'node:crypto';
import { type Log, silentLog } from '../../base/log.js';
import { ProviderError } from '../errors.js';
import type { CallOptions } from '../http/client/call.js';
import { hasUnsafeCharacters } from '../names.js';
import type { UploadOptions } from '../provider.js';
import type { FiveSyncApi } from './api.js';
import { type FileRecord, rootPath } from './entities.js';
import type { FileIndex } from './file-index.js';
import { formData, type NameForm } from './form-data.js';
import { naming } from './temporaries.js';
import type { UploadOutcome } from './upload-outcome.js';

const oneByte = {
  size: 1,
  async *read() {
    yield new Uint8Array(1);
  },
  md5: () => Promise.resolve('93b885adfe0da089cdf634904fd59f71'),
};

export class NameProbes {
  readonly #api: FiveSyncApi;
  readonly #index: FileIndex;
  readonly #outcome: UploadOutcome;
  readonly #log: Log;
  /** Folders that got a file under the requested path. */
  readonly #kept = new Set<string>();
  /** By the difference between two names (`differenceOf`): whether the service keeps such names apart. */
  readonly #apart = new Map<string, boolean>();

  constructor(api: FiveSyncApi, index: FileIndex, outcome: UploadOutcome, log: Log = silentLog) {
    this.#api = api;
    this.#index = index;
    this.#outcome = outcome;
    this.#log = log;
  }

  /**
   * Throws `invalid-name` if the service stores the folder under another path, and `exists` if it would take the new file to be another
   * one. Sends no request unless names are alike, or the folder's path has something that services change.
   */
  async require(folder: string, name: string, form: NameForm, options: UploadOptions): Promise<void> {
    await this.#requireFolder(folder, form, options);
    for (const other of this.#index.alike(folder, name)) {
      if (await this.#areApart(folder, other.name, name, form, options)) continue;
      throw new ProviderError('exists', `the service takes the name for '${other.name}'`, { data: {} });
    }
  }

  async #requireFolder(folder: string, form: NameForm, options: UploadOptions): Promise<void> {
    if (folder === rootPath || this.#kept.has(folder) || this.#index.hasFiles(folder)) return;
    const isDoubtful = folder.normalize('NFC') !== folder || folder.split('/').some(hasUnsafeCharacters);
    if (!isDoubtful && this.#index.alikeFolders(folder).length === 0) return;
    const record = await this.#probe(folder, 'probe', await newMark(options), form, options);
    await this.#remove([record], options);
    if (record.folder !== folder)
      throw new ProviderError('invalid-name', `the service has ${record.folder} for ${folder}: give it another name`, {
        data: {},
      });
    this.#kept.add(folder);
  }

  async #areApart(folder: string, a: string, b: string, form: NameForm, options: UploadOptions): Promise<boolean> {
    const key = differenceOf(a, b);
    const known = this.#apart.get(key);
    if (known !== undefined) return known;
    const mark = await newMark(options);
    const first = await this.#probe(folder, a, mark, form, options);
    const second = await this.#probe(folder, b, mark, form, options);
    await this.#remove(first.id === second.id ? [first] : [first, second], options);
    const areKept = first.name === probeName(a, mark) && second.name === probeName(b, mark);
    const areApart = first.id !== second.id && areKept;
    this.#apart.set(key, areApart);
    return areApart;
  }

  async #probe(folder: string, name: string, mark: string, form: NameForm, options: CallOptions): Promise<FileRecord> {
    const file = { name: probeName(name, mark), form, source: oneByte };
    const { content, contentType } = formData({ path: folder }, file);
    const item = await this.#api.put(content, contentType, options, async () => undefined);
    return await this.#outcome.find(item, folder, { isNew: true, sure: true }, options);
  }

  async #remove(records: readonly FileRecord[], options: CallOptions): Promise<void> {
    for (const { id, name } of records)
      await this.#api.remove(id, options).catch((error: unknown) => {
        this.#log.warn({ code: (error as { code?: unknown }).code }, `${name} could not be removed`);
      });
  }
}

/** A long name loses as many characters as the mark has. Blanks at the beginning stay there, because services may cut them. */
function probeName(name: string, mark: string): string {
  const rest = name.trimStart();
  const blanks = name.slice(0, name.length - rest.length);
  return `${blanks}${mark}${rest.length > 60 ? rest.slice(24) : rest}`;
}

/** No other name has it. The checkpoint names it before anything is stored, so a later attempt removes what this one leaves, wherever it is. */
async function newMark(options: UploadOptions): Promise<string> {
  const mark = `.syncmount-${randomBytes(6).toString('hex')}-`;
  await naming([{ mark }], options).onCheckpoint?.({ ...options.resume, v: 1 });
  return mark;
}

/** The kind of difference between two names: their Unicode form, their letter case, or other characters than letters. */
function differenceOf(a: string, b: string): string {
  const [formedA, formedB] = [a.normalize('NFC'), b.normalize('NFC')];
  if (formedA === formedB) return 'form';
  if (formedA.toLowerCase() === formedB.toLowerCase()) return formedA === a && formedB === b ? 'case' : 'case and form';
  const others = (name: string): string => name.replace(/[\p{L}\p{N}\p{M}]+/gu, 'x');
  return JSON.stringify([others(a), others(b)]);
}
