/**
 * Removes orphans at the provider: files that are stored under another name now (a rename at a provider that cannot rename), and files
 * that were open when they lost their name.
 *
 * Invariant: an orphan that cannot be removed at once is in the table `intent`, and is retried.
 */
import { codeOf, messageOf } from '../../base/errors.js';
import { mayBecome } from '../../providers/names.js';
import type { RemoteFile, UploadTarget } from '../../providers/provider.js';
import { isTemporaryName } from '../../providers/temporary-names.js';
import { type CopiedFile, isAsCopied } from '../core/copied-file.js';
import type { Core } from '../core/core.js';
import { disposeRemote } from '../core/dispose-remote.js';

/** Is it certain that this object can never be removed? */
export function isUndeletable(error: unknown): boolean {
  return codeOf(error) === 'unsupported' || codeOf(error) === 'EPERM';
}

/** Does the service refuse the removal? Otherwise it failed, and may succeed later. */
function isRefusal(error: unknown): boolean {
  return isUndeletable(error) || codeOf(error) === 'permission';
}

interface Orphan {
  readonly file: CopiedFile;
  /** The provider does not list it (`Provider.hide`). */
  readonly isHidden: boolean;
  /** The service refused to remove it: only a person's request tries again, and `status` lists it. */
  isRefused?: boolean;
}

export class Orphans {
  /**
   * Called before something is stored: fetches content that programs have open in that place, and makes the file an orphan
   * (`AsideFiles.vacate`).
   */
  vacate: (target: UploadTarget, signal?: AbortSignal) => Promise<void> = () => Promise.resolve();
  readonly #core: Core;
  /** By id of the row: orphans that wait for their removal. */
  readonly #waiting = new Map<number, Orphan>();
  /** Removals run one after the other, so that an upload can wait for the one in its way. */
  #last: Promise<unknown> = Promise.resolve();

  constructor(core: Core) {
    this.#core = core;
  }

  /** True if no orphan waits for an automatic retry. */
  get isEmpty(): boolean {
    return [...this.#waiting.values()].every(({ isRefused }) => isRefused);
  }

  /** Removes a file with `remove`. False: it failed and is retried later. */
  remove(file: CopiedFile, remove: () => Promise<unknown>): Promise<boolean> {
    return this.removeNoted(this.note(file), file, remove);
  }

  /** Records that a file must be removed. For the transaction that gives its name to another file. */
  note(file: CopiedFile): number {
    const { lastInsertRowid } = this.#core.state.sql
      .prepare("INSERT INTO intent (kind, data) VALUES ('remove', ?)")
      .run(JSON.stringify(file));
    return Number(lastInsertRowid);
  }

  /** Removes with `remove` a file that `note` has recorded. False: it failed and is retried later. */
  async removeNoted(id: number, file: CopiedFile, remove: () => Promise<unknown>): Promise<boolean> {
    // No retry may run meanwhile.
    this.#waiting.delete(id);
    try {
      await remove();
      this.#end(id);
      this.#forget(file);
      return true;
    } catch (error) {
      this.#core.log.warn({ id: file.id }, `${file.name} stays for now: ${messageOf(error)}`);
      this.#waiting.set(id, { file, isHidden: false });
      return false;
    }
  }

  /** Takes over the intent row of a file that must also be removed. */
  adopt(id: number, file: CopiedFile): void {
    const { sql } = this.#core.state;
    sql.prepare("UPDATE intent SET kind = 'remove', data = ? WHERE id = ?").run(JSON.stringify(file), id);
    this.#waiting.set(id, { file, isHidden: false });
  }

  /** The same for a hidden file. Its row stays as it is, so that the next mount hides the file too. */
  adoptHidden(id: number, file: RemoteFile): void {
    this.#waiting.set(id, { file, isHidden: true });
  }

  /** Removes an adopted orphan. False: it failed and is retried later. */
  async removeAdopted(id: number): Promise<boolean> {
    await this.#removeInTurn(id);
    return !this.#waiting.has(id);
  }

  /** Loads the orphans of an earlier mount, and tries to remove them. */
  recover(): Promise<void> {
    const rows = this.#core.state.sql.prepare("SELECT id, data FROM intent WHERE kind = 'remove'").all();
    for (const { id, data } of rows as { id: number; data: string }[])
      this.#waiting.set(id, { file: JSON.parse(data), isHidden: false });
    return this.retry();
  }

  /** Tries to remove all waiting orphans, but those that the service has refused only with `isAsked`. Those that fail keep waiting. */
  async retry(isAsked = false): Promise<void> {
    for (const [id, { isRefused }] of [...this.#waiting]) if (isAsked || !isRefused) await this.#removeInTurn(id);
  }

  /** Returns the error that keeps the orphan; undefined if it is gone. */
  #removeInTurn(id: number): Promise<unknown> {
    this.#last = this.#last
      .catch(() => undefined)
      .then(() => {
        const orphan = this.#waiting.get(id);
        return orphan === undefined ? undefined : this.#removeNow(id, orphan);
      });
    return this.#last;
  }

  /**
   * Call this when a file is about to be stored under this name: removes an orphan of that name first. If that fails even now, the orphan
   * stays for good, because the new content may become its new version. A hidden orphan would be taken for another client's file, so this
   * throws the error of its removal.
   */
  async clear(target: UploadTarget, signal?: AbortSignal): Promise<void> {
    await this.vacate(target, signal);
    for (const [id, { file, isHidden }] of [...this.#waiting]) {
      if (file.parentId !== target.parentId || !mayBecome(target.name, file.name)) continue;
      const error = await this.#removeInTurn(id);
      if (!this.#waiting.has(id)) continue;
      if (isHidden) throw error;
      this.#end(id);
    }
  }

  /** Removes the file, unless anybody has changed or moved it since. Returns the error that keeps it; undefined if it is gone. */
  async #removeNow(id: number, orphan: Orphan): Promise<unknown> {
    const { file, isHidden } = orphan;
    const { provider, log, table, directories } = this.#core;
    try {
      const now = await provider.stat(file);
      const isStill = now.kind === 'file' && mayBecome(file.name, now.name) && now.parentId === file.parentId;
      // Only our mounts give temporary names, so such a file is ours, whatever its revision.
      const isSame = isStill && (isTemporaryName(now.name) || (await isAsCopied(this.#core, now, file)));
      if (isSame && this.#waiting.has(id)) {
        await disposeRemote(this.#core, now);
        this.#forget(file);
      }
    } catch (error) {
      if (codeOf(error) !== 'not-found') {
        log.warn({ id: file.id }, `${file.name} stays for now: ${messageOf(error)}`);
        if (isHidden && isRefusal(error)) this.#noteRefusal(id, orphan);
        return error;
      }
    }
    this.#end(id);
    const directory = table.byRemote('folder', file.parentId);
    if (directory !== undefined) directories.expire(directory.ino);
    return undefined;
  }

  #noteRefusal(id: number, orphan: Orphan): void {
    orphan.isRefused = true;
    this.#core.state.sql.prepare("UPDATE intent SET data = json_set(data, '$.isRefused', 1) WHERE id = ?").run(id);
  }

  /**
   * A listing requested before the removal may have brought the entry back. Drops it: no other event would do so for a
   * long time.
   */
  #forget(file: RemoteFile): void {
    const { table, directories, invalidate } = this.#core;
    directories.changes.note('file', file.id);
    const row = table.byRemote('file', file.id);
    if (row === undefined || row.parent === null) return;
    const { parent, name } = row;
    // It was written to meanwhile: it is now a file of its own.
    if (row.localSize !== null) {
      table.update(row.ino, { remote: null });
      return;
    }
    table.update(row.ino, { parent: null });
    setImmediate(() => invalidate({ kind: 'entry', parent, name }));
  }

  #end(id: number): void {
    this.#waiting.delete(id);
    this.#core.state.sql.prepare('DELETE FROM intent WHERE id = ?').run(id);
  }
}
