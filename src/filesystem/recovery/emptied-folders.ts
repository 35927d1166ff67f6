/**
 * Folders from which a rename by copying removes the files one by one. The old folder goes after its last file, and so do rows that a
 * listing has added for it meanwhile: if a folder exists by its files, nothing else would hide those rows again.
 *
 * Invariant: a folder that must be removed is in the journal from the moment when the table knows its successor.
 */
import { messageOf } from '../../base/errors.js';
import type { RemoteFolder } from '../../providers/provider.js';
import { hasOwnTimes } from '../../tree/inode.js';
import type { Core } from '../core/core.js';
import { orGone } from '../core/or-gone.js';
import type { Orphans } from '../uploads/orphans.js';

export class EmptiedFolders {
  readonly #core: Core;
  readonly #orphans: Pick<Orphans, 'isEmpty'>;
  /** By journal row: ids of folders whose files wait for their removal. */
  readonly #waiting = new Map<number, string>();

  constructor(core: Core, orphans: Pick<Orphans, 'isEmpty'>) {
    this.#core = core;
    this.#orphans = orphans;
  }

  get isEmpty(): boolean {
    return this.#waiting.size === 0;
  }

  /** Records that a folder must be removed. For the transaction that gives its directory another one. Returns the journal row. */
  note({ id }: RemoteFolder): number {
    const { lastInsertRowid } = this.#core.state.sql
      .prepare("INSERT INTO intent (kind, data) VALUES ('emptied', ?)")
      .run(JSON.stringify({ id }));
    return Number(lastInsertRowid);
  }

  /** Call this when the folder's files are removed, or wait for that. False: the folder is removed later. */
  async removeNoted(row: number, { id }: RemoteFolder): Promise<boolean> {
    this.#waiting.set(row, id);
    await this.removeWaiting();
    return !this.#waiting.has(row);
  }

  /** Loads the folders of an earlier mount. */
  recover(): void {
    const rows = this.#core.state.sql.prepare("SELECT id, data FROM intent WHERE kind = 'emptied'").all();
    for (const { id, data } of rows as { readonly id: number; readonly data: string }[])
      this.#waiting.set(id, (JSON.parse(data) as { readonly id: string }).id);
  }

  /** Removes the folders whose files are gone. Another client's file in a folder keeps it. */
  async removeWaiting(): Promise<void> {
    for (const [row, id] of [...this.#waiting]) {
      // An orphan may be a file of this folder.
      if (!this.#orphans.isEmpty) return;
      if (!(await this.remove(id))) continue;
      this.#waiting.delete(row);
      this.#core.state.sql.prepare('DELETE FROM intent WHERE id = ?').run(row);
    }
  }

  /**
   * Removes a folder and those below it, except folders that somebody has put a file into or made again. `keepsTop`: all but the folder
   * itself. False: the service could not be asked.
   */
  async remove(top: string, keepsTop = false): Promise<boolean> {
    const { provider, log } = this.#core;
    try {
      const folder = await orGone(provider.stat({ kind: 'folder', id: top }));
      if (folder?.kind !== 'folder') {
        if (!keepsTop) this.#forget(top);
        return true;
      }
      const below: RemoteFolder[] = [folder];
      for (const one of below)
        for (const entry of await provider.list(one)) if (entry.kind === 'folder') below.push(entry);
      for (const one of below.toReversed()) {
        if ((one === folder && keepsTop) || this.#isUsed(one.id) || (await provider.list(one)).length > 0) continue;
        await provider.remove(one, { onlyEmpty: true });
        this.#forget(one.id);
      }
      return true;
    } catch (error) {
      log.debug({ id: top }, `an empty folder stays for now: ${messageOf(error)}`);
      return false;
    }
  }

  /** Has a program made the directory, or something in it? */
  #isUsed(id: string): boolean {
    const { table } = this.#core;
    const row = table.byRemote('folder', id);
    return row !== undefined && (hasOwnTimes(row) || table.children(row.ino).length > 0);
  }

  /** Hides the row that a listing has added for the folder, or is about to add. */
  #forget(id: string): void {
    const { table, directories, invalidate } = this.#core;
    directories.changes.note('folder', id);
    const row = table.byRemote('folder', id);
    if (row === undefined || this.#isUsed(id)) return;
    const { parent, name } = row;
    table.update(row.ino, { parent: null, remote: null });
    if (parent !== null) setImmediate(() => invalidate({ kind: 'entry', parent, name }));
  }
}
