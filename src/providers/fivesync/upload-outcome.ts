/**
 * Finds out how the server stored an upload: its id, folder and time. The answers of `PUT /files` and `…/complete` have
 * neither folder nor modification time. The first uploads show how the server behaves, which saves later ones this request.
 */

import { protocolFailure } from '../http/answers/http-error.js';
import { timeIn } from '../http/answers/times.js';
import type { CallOptions } from '../http/client/call.js';
import type { FiveSyncApi } from './api.js';
import { type FileRecord, hasPath, type Item, recordOf, rootPath } from './entities.js';

export class UploadOutcome {
  readonly #api: FiveSyncApi;
  readonly #onUnknownState: () => void;
  /** The server stores files in the folder that `path` names. One upload to a folder other than the root has shown that. */
  #pathHonoured = false;
  /** A new file's `modified` is its `created`. */
  #createdIsModified = false;

  /** `onUnknownState` is called when a file is stored, but its state could not be requested. */
  constructor(api: FiveSyncApi, onUnknownState: () => void) {
    this.#api = api;
    this.#onUnknownState = onUnknownState;
  }

  /**
   * Resolves with the stored file. `isNew`: its id was not known before, so `created` is the time of this upload. `sure`:
   * request the file even if this server's behaviour is known.
   */
  async find(
    answer: Item,
    folder: string,
    seen: { readonly isNew: boolean; readonly sure?: boolean },
    options: CallOptions,
  ): Promise<FileRecord> {
    const knowsPath = hasPath(answer) || (!seen.sure && (this.#pathHonoured || folder === rootPath));
    const knowsTime =
      timeIn(answer.modified) !== undefined ||
      (seen.isNew && this.#createdIsModified && timeIn(answer.created) !== undefined);
    const knowsSize = typeof answer.size === 'number';
    let item = answer;
    if (!knowsPath || !knowsTime || !knowsSize) {
      const asked = await this.#api.stored(answer.id, options).catch((error: unknown) => {
        this.#onUnknownState();
        throw error;
      });
      if (seen.isNew && timeIn(asked.modified) !== undefined)
        this.#createdIsModified = timeIn(asked.modified) === timeIn(answer.created);
      item = { ...asked, path: hasPath(asked) ? asked.path : await this.#searchedPath(asked.id, folder, options) };
    }
    const record = recordOf(item, folder);
    if (record === undefined) throw protocolFailure('GET /files/{id}', 'a stored file without a size');
    if (folder !== rootPath && record.folder === folder) this.#pathHonoured = true;
    return record;
  }

  /** For a server that reports no folders: the file's folder is `folder` if the list of that folder has it, else the root. */
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
