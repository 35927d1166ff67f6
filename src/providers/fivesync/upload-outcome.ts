/**
 * What became of an upload: as whom, where and when the server stored it. The answers of `PUT /files` and `…/complete`
 * show neither folder nor time of change; what is learnt once about this server saves the question later.
 */

import { protocolFailure } from '../http/answers/http-error.js';
import type { CallOptions } from '../http/client/client.js';
import type { FiveSyncApi } from './api.js';
import { type FileRecord, hasPath, type Item, recordOf, rootPath, timeOf } from './entities.js';

export class UploadOutcome {
  readonly #api: FiveSyncApi;
  readonly #onUnseen: () => void;
  /** A file that was put with a `path` is there: seen with a folder other than the root. */
  #pathHonoured = false;
  /** A new file's `modified` is its `created`. */
  #createdIsModified = false;

  /** `onUnseen`: something is stored, and how it is cannot be seen. */
  constructor(api: FiveSyncApi, onUnseen: () => void) {
    this.#api = api;
    this.#onUnseen = onUnseen;
  }

  /**
   * The stored file as it is. `isNew`: its id was not known before, so that `created` is the moment of this upload.
   * `sure`: ask whatever is known of this server.
   */
  async find(
    answer: Item,
    folder: string,
    seen: { readonly isNew: boolean; readonly sure?: boolean },
    options: CallOptions,
  ): Promise<FileRecord> {
    const knowsPath = hasPath(answer) || (!seen.sure && (this.#pathHonoured || folder === rootPath));
    const knowsTime =
      timeOf(answer.modified) !== undefined ||
      (seen.isNew && this.#createdIsModified && timeOf(answer.created) !== undefined);
    const knowsSize = typeof answer.size === 'number';
    let item = answer;
    if (!knowsPath || !knowsTime || !knowsSize) {
      const asked = await this.#api.stored(answer.id, options).catch((error: unknown) => {
        this.#onUnseen();
        throw error;
      });
      if (seen.isNew && timeOf(asked.modified) !== undefined)
        this.#createdIsModified = timeOf(asked.modified) === timeOf(answer.created);
      item = { ...asked, path: hasPath(asked) ? asked.path : await this.#searchedPath(asked.id, folder, options) };
    }
    const record = recordOf(item, folder);
    if (record === undefined) throw protocolFailure('GET /files/{id}', 'a stored file without a size');
    if (folder !== rootPath && record.folder === folder) this.#pathHonoured = true;
    return record;
  }

  /** Where a server tells no file's folder: is it among those of `folder`? */
  async #searchedPath(id: string, folder: string, options: CallOptions): Promise<string> {
    if (this.#pathHonoured || folder === rootPath) return folder;
    const seen = new Set<string>();
    for (let page = 1; ; page++) {
      const answer = await this.#api.page(page, options, undefined, folder);
      if (answer.items.some((item) => item.id === id)) return folder;
      const before = seen.size;
      for (const item of answer.items) seen.add(item.id);
      // A page that brings nothing new is the end, whatever the total says.
      if (seen.size === before || seen.size >= (answer.total ?? Number.POSITIVE_INFINITY)) return rootPath;
    }
  }
}
