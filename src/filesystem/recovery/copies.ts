/**
 * The journal of copies that a rename by copying stores.
 *
 * Invariant: a copy is in the journal before it is stored. Its row ends with the rename, turns into the removal of the old file,
 * or, after a crash or an error, of the copy.
 */
import { SteadyTime } from '../../base/clock.js';
import { messageOf } from '../../base/errors.js';
import { type Provider, type RemoteFile, type RemoteFolder, revisionKey } from '../../providers/provider.js';
import { storedMd5 } from '../../providers/stored-md5.js';
import { hasOwnTimes } from '../../tree/inode.js';
import type { CopiedFile } from '../core/copied-file.js';
import type { Core } from '../core/core.js';
import { entriesIn, orGone } from '../core/or-gone.js';
import type { Orphans } from '../uploads/orphans.js';
import { EmptiedFolders } from './emptied-folders.js';

/** A slow service may store a copy after the request for it was given up: so long it is looked for, ms. */
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
  /** The folder was there before: a directory that is replaced. Then it stays. */
  readonly keepsTop?: boolean;
}

/** The file in that place that holds the copied bytes and is not the file that the copy was to replace. */
export async function findCopy(
  provider: Provider,
  { parentId, name }: CopyPlace,
  copy: BegunCopy,
): Promise<RemoteFile | null> {
  for (const entry of await entriesIn(provider, parentId)) {
    if (entry.kind !== 'file' || entry.name !== name || entry.size !== copy.size) continue;
    if (copy.replaces !== null && revisionKey(entry) === revisionKey(copy.replaces)) continue;
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
  /** By journal row: copies to undo that are not found yet, and since when each is looked for, by `#time`. */
  readonly #waiting = new Map<number, number>();

  /** Calls `retryLater` where something failed that is to be tried again in the background. */
  constructor(core: Core, orphans: Orphans, retryLater: () => void) {
    this.#core = core;
    this.#orphans = orphans;
    this.#retryLater = retryLater;
    this.#time = new SteadyTime(core.clock);
    this.#emptied = new EmptiedFolders(core, orphans);
  }

  /** A copy is about to be stored. Answers the journal row; unless `commit` follows, the copy is removed again. */
  begin(copy: DirectoryCopy): number {
    const { lastInsertRowid } = this.#core.state.sql
      .prepare("INSERT INTO intent (kind, data) VALUES ('copy', ?)")
      .run(JSON.stringify(copy));
    return Number(lastInsertRowid);
  }

  /** The service has refused the copy. */
  drop(row: number): void {
    this.#core.state.sql.prepare('DELETE FROM intent WHERE id = ?').run(row);
  }

  /** The table is about to know the file by its copy: the old file is to go. For the transaction that says so. */
  commit(row: number, old: CopiedFile): void {
    this.#orphans.adopt(row, old);
  }

  /** The table is about to know the directory by its new folder: the old one is to go. For the transaction that says so. */
  leave(folder: RemoteFolder): number {
    return this.#emptied.note(folder);
  }

  /** Removes a folder that was left, once its files are gone, at once or in the background. */
  async removeLeft(row: number, folder: RemoteFolder): Promise<void> {
    if (!(await this.#emptied.removeNoted(row, folder))) this.#retryLater();
  }

  /** Removes the empty folders that were made for copies, and those below. `keepsTop`: the first one was there before. */
  async removeMade(top: RemoteFolder, keepsTop: boolean): Promise<void> {
    await this.#emptied.remove(top.id, keepsTop);
  }

  /** Removes a file, for which the row stands, at once or in the background. */
  async remove(row: number, file: CopiedFile, remove: () => Promise<unknown>): Promise<void> {
    this.#orphans.adopt(row, file);
    if (!(await this.#orphans.removeNoted(row, file, remove))) this.#retryLater();
  }

  /** Is there no copy that is still to be undone, and no folder that is still to go? */
  get isEmpty(): boolean {
    return this.#waiting.size === 0 && this.#emptied.isEmpty;
  }

  async undoWaiting(): Promise<void> {
    if (this.#waiting.size > 0) await this.undo(new Set(this.#waiting.keys()));
    await this.#emptied.removeWaiting();
  }

  /** Finishes or undoes what an earlier mount has left. Its orphans come after it. */
  async recover(): Promise<void> {
    this.#emptied.recover();
    await this.undo();
  }

  /**
   * Removes the copies of these rows that were not committed; without `only`, all that an earlier mount left. What cannot be
   * looked up now is looked up later, and so is for a while what is not there: a slow service may store it yet.
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
        // Where the original is gone, the copy is all that is left.
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
