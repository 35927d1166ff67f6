/**
 * Namespace changes of several requests, written down before the first, so that the next mount can finish or undo them.
 */
import { messageOf } from '../../base/errors.js';
import type { RemoteEntry, RemoteFile } from '../../providers/provider.js';
import type { Ino, Inode } from '../../tree/inode.js';
import { conflictName } from '../core/conflict-name.js';
import type { Core } from '../core/core.js';
import { orGone } from '../core/or-gone.js';
import type { Intent, ReplaceIntent } from '../core/replace-intent.js';
import { isUndeletable, type Orphans } from '../uploads/orphans.js';

/** A file that has lost its name and stays as long as somebody has it open. */
interface AsideIntent {
  readonly replace: ReplaceIntent;
  readonly file: RemoteFile;
}

/** Of a rename by copying: what is stored under the new name. */
export interface BegunCopy {
  /** The file under the old name, which is to go. */
  readonly from: RemoteFile;
  /** What has the new name at the provider. */
  readonly replaces: RemoteFile | null;
  /** Of the copy, bytes. */
  readonly size: number;
  readonly md5: string;
}

/** A rename as it was begun. */
export interface BegunRename {
  readonly source: Ino;
  /** What has the new name at the beginning. */
  readonly target: Ino | null;
  readonly parent: Ino;
  readonly name: string;
  /** Where the source was at the provider: a listing may have told the table of another place since. */
  readonly from?: { readonly parentId: string | null; readonly name: string };
  /** Where the provider cannot rename, once it is about to be sent. */
  readonly copy?: BegunCopy;
}

export function begunRename({ ino, remote }: Inode, target: Inode | undefined, parent: Ino, name: string): BegunRename {
  const from = remote === null ? undefined : { parentId: remote.parentId, name: remote.name };
  return { source: ino, target: target?.ino ?? null, parent, name, from };
}

interface Change {
  /** Whose entries change. */
  readonly directories: readonly Ino[];
  readonly rename?: BegunRename;
}

interface IntentRow {
  readonly id: number;
  readonly data: string;
}

/** What could not be settled is tried again after so long, then less and less often, ms. */
const FIRST_PAUSE = 10_000;
const LONGEST_PAUSE = 600_000;

export class Intents {
  readonly #core: Core;
  readonly #onNameRestored: (ino: Ino, file: RemoteFile) => void;
  readonly #orphans: Orphans;
  /** By id: begun, and neither finished nor undone though nobody is at it any more. */
  readonly #pending = new Map<number, Intent>();
  readonly #ending = new AbortController();
  #isWaiting = false;

  /** `moved` is told of a file that has got its name back, maybe under a new id. */
  constructor(core: Core, orphans: Orphans, moved: (ino: Ino, file: RemoteFile) => void) {
    this.#core = core;
    this.#orphans = orphans;
    this.#onNameRestored = moved;
  }

  begin(replace: ReplaceIntent): Intent {
    const { sql } = this.#core.state;
    const { lastInsertRowid } = sql
      .prepare("INSERT INTO intent (kind, data) VALUES ('replace', ?)")
      .run(JSON.stringify(replace));
    return { id: Number(lastInsertRowid), replace };
  }

  /** Did an earlier mount leave any? */
  hasUnfinished(): boolean {
    return (
      this.#core.state.sql
        .prepare("SELECT 1 FROM intent WHERE kind IN ('replace', 'change', 'remove', 'held')")
        .get() !== undefined
    );
  }

  end({ id }: Pick<Intent, 'id'>): void {
    this.#core.state.sql.prepare('DELETE FROM intent WHERE id = ?').run(id);
  }

  /**
   * Runs a change of what these directories hold: at the provider, then in the table. Where the process dies in between,
   * the next mount does not show them before it has listed them anew. `begins` adds to a rename what is about to be stored.
   */
  async withChangeIntent<T>(
    directories: readonly Ino[],
    act: (noteCopy: (copy: BegunCopy) => void) => Promise<T>,
    rename?: BegunRename,
  ): Promise<T> {
    const { sql } = this.#core.state;
    const change: Change = { directories, rename };
    const { lastInsertRowid } = sql
      .prepare("INSERT INTO intent (kind, data) VALUES ('change', ?)")
      .run(JSON.stringify(change));
    const noteCopy = (copy: BegunCopy): void => {
      if (rename === undefined) return;
      const begun: Change = { directories, rename: { ...rename, copy } };
      sql.prepare('UPDATE intent SET data = ? WHERE id = ?').run(JSON.stringify(begun), lastInsertRowid);
    };
    try {
      return await act(noteCopy);
    } finally {
      this.end({ id: Number(lastInsertRowid) });
    }
  }

  /** The replacement failed: the old file gets its name back, if it lost it. Where that fails too it is done later. */
  async undo(intent: Intent): Promise<void> {
    try {
      await this.#settle(intent);
      this.#pending.delete(intent.id);
    } catch (error) {
      this.#core.log.warn({ intent: intent.id }, `a rename waits to be settled: ${messageOf(error)}`);
      this.retryLater(intent);
    }
  }

  /** All but the last step is done, or nothing could be undone: the rest follows in the background. */
  retryLater(intent: Intent): void {
    this.#pending.set(intent.id, intent);
    this.#scheduleRetry();
  }

  /** The name is gone, or another's: what stepped aside stays until the last close, and then goes. */
  markAside({ id, replace }: Intent, file: RemoteFile): void {
    const held: AsideIntent = { replace, file };
    this.#core.state.sql
      .prepare("UPDATE intent SET kind = 'held', data = ? WHERE id = ?")
      .run(JSON.stringify(held), id);
  }

  /** What was held goes in the background. */
  disposeLater({ id }: Intent, file: RemoteFile): void {
    this.#orphans.adopt(id, file);
    this.#scheduleRetry();
  }

  /** Removes a file whose content is stored under another name by now: at once, or later. */
  async removeOrphan(file: RemoteFile, remove: () => Promise<unknown>): Promise<void> {
    if (!(await this.#orphans.remove(file, remove))) this.#scheduleRetry();
  }

  /** Something is about to be stored under this name. */
  clearOrphansAt(place: { readonly parentId: string; readonly name: string }): Promise<void> {
    return this.#orphans.clear(place);
  }

  #scheduleRetry(): void {
    if (this.#isWaiting) return;
    this.#isWaiting = true;
    this.#keepTrying().catch(() => undefined);
  }

  /** All is done but that the replaced version goes, which the service does not do. It is not asked again by itself. */
  retain({ id, replace }: Intent): void {
    this.#core.state.sql
      .prepare("UPDATE intent SET kind = 'kept', data = ? WHERE id = ?")
      .run(JSON.stringify(replace), id);
    this.#core.log.warn(
      { aside: replace.aside },
      `the service does not delete: a replaced version stays as ${replace.aside}`,
    );
  }

  /** Tries what waits to be settled now, and whether what was kept has gone or can go. */
  async retry(): Promise<void> {
    const kept = this.#core.state.sql.prepare("SELECT id, data FROM intent WHERE kind = 'kept'").all() as IntentRow[];
    for (const { id, data } of kept) this.#pending.set(id, { id, replace: JSON.parse(data) as ReplaceIntent });
    await this.#settleAll();
  }

  async #settleAll(): Promise<void> {
    for (const intent of [...this.#pending.values()]) await this.undo(intent);
    await this.#orphans.retry();
  }

  /** Ends background work; what is not settled is written down for the next mount. */
  close(): void {
    this.#ending.abort();
  }

  async #keepTrying(): Promise<void> {
    try {
      for (
        let pause = FIRST_PAUSE;
        this.#pending.size > 0 || !this.#orphans.isEmpty;
        pause = Math.min(pause * 2, LONGEST_PAUSE)
      ) {
        await this.#core.clock.sleep(pause, this.#ending.signal);
        await this.#settleAll();
      }
    } finally {
      this.#isWaiting = false;
    }
  }

  /**
   * Finishes or undoes what an earlier mount left. One that cannot be settled now is tried at the next mount. `finish` ends
   * a rename in the way that it was meant.
   */
  async recover(finish: (rename: BegunRename) => Promise<void>): Promise<void> {
    const rows = this.#core.state.sql
      .prepare("SELECT id, data FROM intent WHERE kind = 'replace'")
      .all() as IntentRow[];
    for (const row of rows) await this.undo({ id: row.id, replace: JSON.parse(row.data) as ReplaceIntent });
    // Nobody has them open any more.
    const held = this.#core.state.sql.prepare("SELECT id, data FROM intent WHERE kind = 'held'").all() as IntentRow[];
    for (const { id, data } of held) this.#orphans.adopt(id, (JSON.parse(data) as AsideIntent).file);
    await this.#orphans.recover();
    if (!this.#orphans.isEmpty) this.#scheduleRetry();
    // By now a replacement is done or undone at the provider; what it means for the names here comes next.
    await this.#recoverChanges(finish);
  }

  async #recoverChanges(finish: (rename: BegunRename) => Promise<void>): Promise<void> {
    const { state, directories, table, log } = this.#core;
    const rows = state.sql.prepare("SELECT id, data FROM intent WHERE kind = 'change'").all() as IntentRow[];
    for (const { id, data } of rows) {
      const { directories: inos, rename } = JSON.parse(data) as Change;
      for (const ino of inos) directories.expire(ino);
      try {
        if (rename !== undefined) await finish(rename);
        // A directory that is gone has nothing to show.
        const known = inos.filter((ino) => table.get(ino)?.remote != null);
        await Promise.all(known.map((ino) => directories.refresh(ino)));
        this.end({ id });
      } catch (error) {
        log.warn({ inos }, `what came of a change of names is not known yet: ${messageOf(error)}`);
      }
    }
  }

  /** By the names in the folder, not by ids: some providers give a moved file a new one, and nobody may have heard it. */
  async #settle(intent: Intent): Promise<void> {
    const { provider, directories, table } = this.#core;
    const { old, parentId, aside, asideIn } = intent.replace;
    const folder = await orGone(provider.stat({ kind: 'folder', id: parentId }));
    const entries = folder?.kind === 'folder' ? await provider.list(folder) : [];
    const isBeside = asideIn === undefined || asideIn === parentId;
    const other = isBeside ? null : await orGone(provider.stat({ kind: 'folder', id: asideIn }));
    const beside = other?.kind === 'folder' ? await provider.list(other) : entries;
    const stepped = beside.find((entry) => entry.kind === 'file' && entry.name === aside);
    if (stepped !== undefined) {
      const back = await this.#finish(intent.replace, stepped, entries);
      if (back === 'kept') return this.retain(intent);
      const row = table.byRemote('file', old.id);
      if (back?.kind === 'file' && row !== undefined) {
        table.update(row.ino, { remote: back });
        this.#onNameRestored(row.ino, back);
      }
    }
    this.end(intent);
    const directory = table.byRemote('folder', parentId);
    if (directory !== undefined) await directories.refresh(directory.ino);
  }

  /** Removes the old file where its successor has the name; else gives it back a name, and answers it as it is then. */
  async #finish(
    { name, parentId, successor }: ReplaceIntent,
    stepped: RemoteEntry,
    entries: readonly RemoteEntry[],
  ): Promise<RemoteEntry | null | 'kept'> {
    const { provider, options, clock } = this.#core;
    const holder = entries.find((entry) => entry.name === name);
    if (holder === undefined) return provider.move(stepped, { parentId, name });
    if (successor !== null && (await this.#isSuccessor(holder, successor))) {
      try {
        if (options.disposal === 'trash' && provider.capabilities.trash) await provider.trash(stepped);
        else await provider.remove(stepped);
        return null;
      } catch (error) {
        if (isUndeletable(error)) return 'kept';
        throw error;
      }
    }
    // Another client took the name meanwhile: both stay.
    const { maxNameLength } = provider.capabilities;
    const beside = conflictName(name, new Date(clock.now()), options.host, maxNameLength);
    return provider.move(stepped, { parentId, name: beside });
  }

  async #isSuccessor(holder: RemoteEntry, successor: RemoteFile): Promise<boolean> {
    if (holder.kind !== 'file') return false;
    if (holder.id === successor.id) return true;
    if (holder.size !== successor.size || holder.md5 !== successor.md5) return false;
    return (await orGone(this.#core.provider.stat({ kind: 'file', id: successor.id }))) === null;
  }
}
