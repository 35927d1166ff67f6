/**
 * Records changes of names that take several requests.
 *
 * Invariant: an intent is written before the first request and removed after the last, so that the next mount can finish
 * or undo the change.
 */
import { messageOf } from '../../base/errors.js';
import { ProviderError } from '../../providers/errors.js';
import type { RemoteEntry, RemoteFile, UploadTarget } from '../../providers/provider.js';
import type { Ino } from '../../tree/inode.js';
import { conflictName } from '../core/conflict-name.js';
import type { CopiedFile } from '../core/copied-file.js';
import type { Core } from '../core/core.js';
import { disposeRemote } from '../core/dispose-remote.js';
import { FsError } from '../core/fs-error.js';
import { entriesIn, orGone } from '../core/or-gone.js';
import type { Intent, ReplaceIntent } from '../core/replace-intent.js';
import { isUndeletable, type Orphans } from '../uploads/orphans.js';
import type { BegunRename } from './begun-rename.js';
import { type BegunCopy, Copies } from './copies.js';
import { Exchanges } from './exchanges.js';
import { RetryLoop } from './retry-loop.js';
import { mayBeStored, UnsettledRenames } from './unsettled-renames.js';

/** A file that lost its name and stays aside while it is open. */
interface AsideIntent {
  /** Absent if the file stays under its name, hidden. */
  readonly replace?: ReplaceIntent;
  readonly file: RemoteFile;
}

interface Change {
  /** The directories whose entries change. */
  readonly directories: readonly Ino[];
  readonly rename?: BegunRename;
}

interface IntentRow {
  readonly id: number;
  readonly data: string;
}

export class Intents {
  readonly #core: Core;
  readonly #onNameRestored: (ino: Ino, file: RemoteFile) => void;
  readonly #orphans: Orphans;
  /** By id: intents that were begun and wait to be finished or undone in the background. */
  readonly #pending = new Map<number, Intent>();
  readonly #retries: RetryLoop;
  /** Of directories that are renamed by copying. */
  readonly copies: Copies;
  readonly exchanges: Exchanges;
  readonly unsettled: UnsettledRenames;

  /** Calls `moved` for a file that has got its name back, maybe under a new id. */
  constructor(core: Core, orphans: Orphans, moved: (ino: Ino, file: RemoteFile) => void) {
    this.#core = core;
    this.#orphans = orphans;
    this.#retries = new RetryLoop(
      core.clock,
      () => this.#settleAll(),
      () => !this.#isAnythingPending(),
    );
    this.copies = new Copies(core, orphans, () => this.#scheduleRetry());
    this.exchanges = new Exchanges(core, moved, () => this.#scheduleRetry());
    this.unsettled = new UnsettledRenames(core, (id) => this.end({ id }));
    this.unsettled.isSuperseded = (id, rename) => this.#isSuperseded(id, rename);
    this.#onNameRestored = moved;
    // Before anything is listed.
    for (const { file } of this.#asideFiles()) core.provider.hide?.(file);
  }

  begin(replace: ReplaceIntent): Intent {
    const { sql } = this.#core.state;
    const { lastInsertRowid } = sql
      .prepare("INSERT INTO intent (kind, data) VALUES ('replace', ?)")
      .run(JSON.stringify(replace));
    return { id: Number(lastInsertRowid), replace };
  }

  #asideFiles(): { readonly id: number; readonly file: RemoteFile }[] {
    const rows = this.#core.state.sql.prepare("SELECT id, data FROM intent WHERE kind = 'held'").all() as IntentRow[];
    return rows.map(({ id, data }) => ({ id, file: (JSON.parse(data) as AsideIntent).file }));
  }

  /** Did an earlier mount leave intents? */
  hasUnfinished(): boolean {
    return (
      this.#core.state.sql
        .prepare(
          "SELECT 1 FROM intent WHERE kind IN ('replace', 'change', 'remove', 'held', 'copy', 'emptied', 'exchange')",
        )
        .get() !== undefined
    );
  }

  end({ id }: Pick<Intent, 'id'>): void {
    this.#core.state.sql.prepare('DELETE FROM intent WHERE id = ?').run(id);
  }

  /**
   * Runs a change of these directories' entries, at the provider and in the table. If the process dies in between, the next mount lists
   * the directories again before it shows them. `noteCopy` adds to a rename the copy that is about to be stored. If it stays unknown
   * whether the copy was stored, the background finds out.
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
    const id = Number(lastInsertRowid);
    let copying: BegunRename | undefined;
    const noteCopy = (copy: BegunCopy): void => {
      if (rename === undefined) return;
      copying = { ...rename, copy };
      const begun: Change = { directories, rename: copying };
      sql.prepare('UPDATE intent SET data = ? WHERE id = ?').run(JSON.stringify(begun), id);
    };
    try {
      const result = await act(noteCopy);
      this.end({ id });
      return result;
    } catch (error) {
      // The database has failed: the service may have made the change, and the table does not show it.
      if (!(error instanceof ProviderError || error instanceof FsError))
        for (const ino of directories) this.#core.directories.expire(ino);
      if (copying === undefined || !mayBeStored(error)) this.end({ id });
      else {
        this.#lookLater(id, copying);
        void this.unsettled.settle();
      }
      throw error;
    }
  }

  /** The service may still store the copy, or has stored it and does not answer. */
  #lookLater(id: number, rename: BegunRename): void {
    this.unsettled.add(id, rename);
    this.#scheduleRetry();
  }

  /**
   * The replacement failed: gives the old file its name back, if it lost it. If that fails too, it is retried in the
   * background.
   */
  async undo(intent: Intent): Promise<void> {
    try {
      await this.#settle(intent);
      this.#pending.delete(intent.id);
    } catch (error) {
      this.#core.log.warn({ intent: intent.id }, `a rename waits to be settled: ${messageOf(error)}`);
      this.retryLater(intent);
    }
  }

  /** Only the last step is missing, or undoing failed: the background does the rest. */
  retryLater(intent: Intent): void {
    this.#pending.set(intent.id, intent);
    this.#scheduleRetry();
  }

  /** The name is gone or belongs to another file: the file that was moved aside stays until its last close. */
  markAside({ id, replace }: Intent, file: RemoteFile): void {
    const aside: AsideIntent = { replace, file };
    this.#core.state.sql
      .prepare("UPDATE intent SET kind = 'held', data = ? WHERE id = ?")
      .run(JSON.stringify(aside), id);
  }

  /** The same for a file that the provider hides where it lies. Returns the journal row. */
  markHidden(file: RemoteFile): number {
    const aside: AsideIntent = { file };
    const { lastInsertRowid } = this.#core.state.sql
      .prepare("INSERT INTO intent (kind, data) VALUES ('held', ?)")
      .run(JSON.stringify(aside));
    return Number(lastInsertRowid);
  }

  /** Removes a hidden file now, or in the background. It keeps its row, and stays hidden, until it is gone. */
  async disposeHidden(row: number, file: RemoteFile): Promise<void> {
    this.#orphans.adoptHidden(row, file);
    if (!(await this.#orphans.removeAdopted(row))) this.#scheduleRetry();
  }

  /** Leaves a hidden file to the next `clearOrphansAt` of its place, or to the background. */
  adoptHidden(row: number, file: RemoteFile): void {
    this.#orphans.adoptHidden(row, file);
    this.#scheduleRetry();
  }

  /** Removes a file that was kept aside, in the background. */
  disposeLater({ id }: Intent, file: RemoteFile): void {
    this.#orphans.adopt(id, file);
    this.#scheduleRetry();
  }

  /** Removes a file, at once or in the background, after its content was stored under another name. */
  async removeOrphan(file: CopiedFile, remove: () => Promise<unknown>): Promise<void> {
    if (!(await this.#orphans.remove(file, remove))) this.#scheduleRetry();
  }

  /** For the transaction in which another entry takes the name of the file. Returns the row for `removeNoted`. */
  noteOrphan(file: RemoteFile): number {
    return this.#orphans.note(file);
  }

  async removeNoted(id: number, file: RemoteFile, remove: () => Promise<unknown>): Promise<void> {
    if (!(await this.#orphans.removeNoted(id, file, remove))) this.#scheduleRetry();
  }

  /** Removes an orphan of this name. Call this before a file is stored under the name. */
  clearOrphansAt(place: UploadTarget, signal?: AbortSignal): Promise<void> {
    return this.#orphans.clear(place, signal);
  }

  #scheduleRetry(): void {
    this.#retries.schedule().catch((error: unknown) => {
      if (!this.#retries.isClosed)
        this.#core.log.error({ error }, 'unfinished changes of names wait for the next mount');
    });
  }

  /** Only the removal of the replaced version is missing, and the service does not offer it. It is retried only on request. */
  retain({ id, replace }: Intent): void {
    this.#core.state.sql
      .prepare("UPDATE intent SET kind = 'kept', data = ? WHERE id = ?")
      .run(JSON.stringify(replace), id);
    this.#core.log.warn(
      { aside: replace.aside },
      `the service does not delete: a replaced version stays as ${replace.aside}`,
    );
  }

  /** Retries all pending intents now, and the removal of retained versions. */
  async retry(): Promise<void> {
    const retained = this.#core.state.sql
      .prepare("SELECT id, data FROM intent WHERE kind = 'kept'")
      .all() as IntentRow[];
    for (const { id, data } of retained) this.#pending.set(id, { id, replace: JSON.parse(data) as ReplaceIntent });
    await this.#settleAll(true);
  }

  async #settleAll(isAsked = false): Promise<void> {
    for (const intent of [...this.#pending.values()]) await this.undo(intent);
    await this.exchanges.settlePending();
    await this.unsettled.settle();
    await this.copies.undoWaiting();
    await this.#orphans.retry(isAsked);
  }

  /** Ends background work; pending intents stay in the database for the next mount. */
  close(): void {
    this.#retries.close();
  }

  #isAnythingPending(): boolean {
    const all = [this.#orphans, this.exchanges, this.unsettled, this.copies];
    return this.#pending.size > 0 || all.some(({ isEmpty }) => !isEmpty);
  }

  /** Finishes or undoes the intents of an earlier mount. One that cannot be settled now is tried at the next mount. */
  async recover(): Promise<void> {
    // Before the first request: programs may look at these directories while the rest is being settled.
    for (const { data } of this.#changes())
      for (const ino of (JSON.parse(data) as Change).directories) this.#core.directories.expire(ino);
    const rows = this.#core.state.sql
      .prepare("SELECT id, data FROM intent WHERE kind = 'replace'")
      .all() as IntentRow[];
    for (const row of rows) await this.undo({ id: row.id, replace: JSON.parse(row.data) as ReplaceIntent });
    // No program has these files open any longer.
    for (const { id, file } of this.#asideFiles()) {
      if (this.#core.provider.hide === undefined) this.#orphans.adopt(id, file);
      else this.#orphans.adoptHidden(id, file);
    }
    await this.exchanges.recover();
    await this.copies.recover();
    await this.#orphans.recover();
    await this.copies.undoWaiting();
    if (!this.#orphans.isEmpty || !this.copies.isEmpty) this.#scheduleRetry();
    // Replacements are now done or undone at the provider; next, the names here follow.
    await this.#recoverChanges();
  }

  /** One change may free a name for another: the changes that wait for a name come last. */
  #changes(): IntentRow[] {
    return this.#core.state.sql
      .prepare(
        "SELECT id, data FROM intent WHERE kind = 'change' ORDER BY data ->> '$.rename.vacatedFor' IS NOT NULL, id",
      )
      .all() as IntentRow[];
  }

  /** Does a later rename by copying go to the same name? A copy found there may be of that one. */
  #isSuperseded(id: number, { parent, name, copy }: BegunRename): boolean {
    if (copy === undefined) return false;
    const later = this.#core.state.sql.prepare(`
      SELECT 1 FROM intent WHERE kind = 'change' AND id > ? AND data ->> '$.rename.parent' = ?
      AND data ->> '$.rename.name' = ? AND data ->> '$.rename.copy' IS NOT NULL
    `);
    return later.get(id, parent, name) !== undefined;
  }

  async #recoverChanges(): Promise<void> {
    const { directories, table, log } = this.#core;
    for (const { id, data } of this.#changes()) {
      const { directories: inos, rename } = JSON.parse(data) as Change;
      for (const ino of inos) directories.expire(ino);
      try {
        const isFinished =
          rename === undefined || this.#isSuperseded(id, rename) || (await this.unsettled.finish(rename));
        // A directory that is gone needs no listing.
        const known = inos.filter((ino) => table.get(ino)?.remote != null);
        await Promise.all(known.map((ino) => directories.refresh(ino)));
        if (isFinished || rename.copy === undefined) this.end({ id });
        else this.#lookLater(id, rename);
      } catch (error) {
        log.warn({ inos }, `what came of a change of names is not known yet: ${messageOf(error)}`);
      }
    }
  }

  /**
   * Looks at the names in the folder, not at ids: some providers give a moved file a new id, and the answer with it
   * may be lost.
   */
  async #settle(intent: Intent): Promise<void> {
    const { provider, directories, table } = this.#core;
    const { old, parentId, aside, asideIn } = intent.replace;
    const entries = await entriesIn(provider, parentId);
    const isBeside = asideIn === undefined || asideIn === parentId;
    const beside = isBeside ? entries : await entriesIn(provider, asideIn);
    const stepped = beside.find((entry) => entry.kind === 'file' && entry.name === aside);
    if (stepped !== undefined) {
      const back = await this.#finish(intent.replace, stepped, entries);
      if (back === 'retained') return this.retain(intent);
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

  /** Removes the old file if its successor has the name. Otherwise gives the old file a name again, and returns it with that name. */
  async #finish(
    { name, parentId, successor }: ReplaceIntent,
    stepped: RemoteEntry,
    entries: readonly RemoteEntry[],
  ): Promise<RemoteEntry | null | 'retained'> {
    const { provider, options, clock } = this.#core;
    const holder = entries.find((entry) => entry.name === name);
    if (holder === undefined) return provider.move(stepped, { parentId, name });
    if (successor !== null && (await this.#isSuccessor(holder, successor))) {
      try {
        await disposeRemote(this.#core, stepped);
        return null;
      } catch (error) {
        if (isUndeletable(error)) return 'retained';
        throw error;
      }
    }
    // Another client took the name meanwhile: both files stay.
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
