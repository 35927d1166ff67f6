/**
 * The journal of copies that a rename by copying stores.
 *
 * Invariant: a copy is in the journal before it is stored. Its row ends with the rename, or turns into the removal of the old file. After
 * a crash or an error it turns into the removal of the copy.
 */
import { SteadyTime } from '../../base/clock.js';
import { messageOf } from '../../base/errors.js';
import type { Provider, RemoteFile, RemoteFolder } from '../../providers/provider.js';
import { isSameRevision } from '../../providers/revision.js';
import { storedMd5 } from '../../providers/stored-md5.js';
import { hasOwnTimes } from '../../tree/inode.js';
import type { CopiedFile } from '../core/copied-file.js';
import type { Core } from '../core/core.js';
import { entriesIn, orGone } from '../core/or-gone.js';
import type { Orphans } from '../uploads/orphans.js';
import { EmptiedFolders } from './emptied-folders.js';

/** How long a copy is looked for, ms: a slow service may store it after the request for it was given up. */
export const LOOKED_FOR = 60_000;

/** The copy that a rename by copying stores under the new name. */
export interface BegunCopy {
  /** The file under the old name, which will be removed. */
  readonly from: CopiedFile;
  /** The file that has the new name at the provider. */
  readonly replaces: RemoteFile | null;
  /** Size of the copy, bytes. */
  readonly size: number;
  readonly md5: string;
}

/** One of the copies of a directory, and where it is stored. */
export interface CopyPlace {
  readonly parentId: string;
  readonly name: string;
}

interface DirectoryCopy extends BegunCopy, CopyPlace {
  /** Id of the new folder that stands for the directory. */
  readonly top: string;
  /** The folder existed before, as that of a replaced directory. Then it stays. */
  readonly keepsTop?: boolean;
}

/** The file in that place that holds the copied bytes, and is not the file to be replaced by the copy. */
export async function findCopy(
  provider: Provider,
  { parentId, name }: CopyPlace,
  copy: BegunCopy,
): Promise<RemoteFile | null> {
  for (const entry of await entriesIn(provider, parentId)) {
    if (entry.kind !== 'file' || entry.name !== name || entry.size !== copy.size) continue;
    if (copy.replaces !== null && isSameRevision(entry, copy.replaces)) continue;
    if ((await storedMd5(provider, entry)) === copy.md5) return entry;
  }
  return null;
}

/** The copies of directories that are renamed by copying. */
export class Copies {
  readonly #core: Core;
  readonly #orphans: Orphans;
  readonly #retryLater: () => void;
  readonly #time: SteadyTime;
  readonly #emptied: EmptiedFolders;
  /** By journal row: copies to undo that are not found yet, and when the search for each began, by `#time`. */
  readonly #waiting = new Map<number, number>();

  /** Calls `retryLater` if something failed and must be tried again in the background. */
  constructor(core: Core, orphans: Orphans, retryLater: () => void) {
    this.#core = core;
    this.#orphans = orphans;
    this.#retryLater = retryLater;
    this.#time = new SteadyTime(core.clock);
    this.#emptied = new EmptiedFolders(core, orphans);
  }

  /** Call this before a copy is stored. Returns the journal row; unless `commit` follows, the copy is removed again. */
  begin(copy: DirectoryCopy): number {
    const { lastInsertRowid } = this.#core.state.sql
      .prepare("INSERT INTO intent (kind, data) VALUES ('copy', ?)")
      .run(JSON.stringify(copy));
    return Number(lastInsertRowid);
  }

  /** Call this when the service has refused the copy. */
  drop(row: number): void {
    this.#core.state.sql.prepare('DELETE FROM intent WHERE id = ?').run(row);
  }

  /** For the transaction that binds the file to its copy: the old file must be removed. */
  commit(row: number, old: CopiedFile): void {
    this.#orphans.adopt(row, old);
  }

  /** For the transaction that binds the directory to its new folder: the old folder must be removed. */
  leave(folder: RemoteFolder): number {
    return this.#emptied.note(folder);
  }

  /** Removes a folder that was left, once its files are gone, at once or in the background. */
  async removeLeft(row: number, folder: RemoteFolder): Promise<void> {
    if (!(await this.#emptied.removeNoted(row, folder))) this.#retryLater();
  }

  /** Removes the empty folders that were made for copies: `top` and those below it. `keepsTop`: `top` existed before. */
  async removeMade(top: RemoteFolder, keepsTop: boolean): Promise<void> {
    await this.#emptied.remove(top.id, keepsTop);
  }

  /** Removes a file at once or in the background. The row stands for that removal. */
  async remove(row: number, file: CopiedFile, remove: () => Promise<unknown>): Promise<void> {
    this.#orphans.adopt(row, file);
    if (!(await this.#orphans.removeNoted(row, file, remove))) this.#retryLater();
  }

  /** True if no copy waits to be undone, and no folder to be removed. */
  get isEmpty(): boolean {
    return this.#waiting.size === 0 && this.#emptied.isEmpty;
  }

  async undoWaiting(): Promise<void> {
    if (this.#waiting.size > 0) await this.undo(new Set(this.#waiting.keys()));
    await this.#emptied.removeWaiting();
  }

  /** Finishes or undoes what an earlier mount has left. Its orphans are recovered afterwards. */
  async recover(): Promise<void> {
    this.#emptied.recover();
    await this.undo();
  }

  /**
   * Removes the copies of these rows that were not committed; without `only`, all that an earlier mount left. A copy that cannot be
   * looked up now is looked up later. So is, for a while, a copy that is not there: a slow service may still store it.
   */
  async undo(only?: ReadonlySet<number>): Promise<void> {
    const { state, log, provider, table } = this.#core;
    const rows = state.sql.prepare("SELECT id, data FROM intent WHERE kind = 'copy'").all();
    /** The new folders, and whether each stays. */
    const tops = new Map<string, boolean>();
    for (const { id, data } of rows as { readonly id: number; readonly data: string }[]) {
      if (only?.has(id) === false) continue;
      const copy = JSON.parse(data) as DirectoryCopy;
      tops.set(copy.top, copy.keepsTop === true);
      const since = this.#waiting.get(id) ?? this.#time.now();
      this.#waiting.set(id, since);
      const isLastLook = this.#time.now() >= since + LOOKED_FOR;
      try {
        const stored = await findCopy(provider, copy, copy);
        if (stored === null && !isLastLook) continue;
        const shown = stored === null ? undefined : table.byRemote('file', stored.id);
        // A program has stored the same content there since.
        const isMade = shown !== undefined && hasOwnTimes(shown);
        // If the original is gone, the copy is all that is left.
        const isToGo = stored !== null && !isMade && (await orGone(provider.stat(copy.from))) !== null;
        if (isToGo) this.#orphans.adopt(id, stored);
        else this.drop(id);
        this.#waiting.delete(id);
      } catch (error) {
        log.warn({ id }, `a copy of ${copy.from.name} is not looked for yet: ${messageOf(error)}`);
      }
    }
    await this.#orphans.retry();
    for (const [top, isKept] of tops) await this.#emptied.remove(top, isKept);
    if (!this.#orphans.isEmpty || !this.isEmpty) this.#retryLater();
  }
}
