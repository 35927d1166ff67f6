/**
 * The journal: contents that the provider does not have yet, in the state database beside their inodes.
 * tree/state-schema.ts has its tables, with all others of the database.
 * Invariant: a row is written before the act that it announces, so that the next mount knows what to do after any crash.
 */
import { ExtentSet } from '../base/extents.js';
import { type Sql, type Statement, transactionsOf } from '../base/sqlite.js';
import type { RemoteFile, UploadCheckpoint } from '../providers/provider.js';
import type { InlineContent } from './inline-content.js';
import type { SpoolState } from './spool-state.js';

/**
 * - `open`      being written; no program was promised anything
 * - `synced`    being written, and fsync was answered
 * - `queued`    closed, waiting for its upload (also if the end of the process interrupted the upload)
 * - `uploading` the upload is in flight
 * - `failed`    the upload was refused, see `code` and `message`; waits for a retry
 */
export type UploadState = 'open' | 'synced' | 'queued' | 'uploading' | 'failed';

/** In the attempts of a row: the upload of its present content has not begun. */
export const NOT_SENT = '';

export interface UploadRow {
  readonly ino: number;
  /** The name of the file in the spool directory. */
  readonly spool: string;
  readonly state: UploadState;
  readonly content: SpoolState;
  /** The content was truncated to 0, but its file may not be yet: the file's bytes may be older than the truncation. */
  readonly isTruncationPending?: boolean;
  readonly base: RemoteFile | null;
  readonly checkpoint: UploadCheckpoint | null;
  /**
   * MD5s of contents whose upload has begun and was not confirmed: the provider may have one of them. The last one is of this row's
   * content, unless it is `NOT_SENT`.
   */
  readonly attempts: readonly string[];
  readonly code: string | null;
  readonly message: string | null;
  /** The time at which the content began to differ from the provider's, ms. */
  readonly since: number;
}

/** The fields of a row that lists of pending contents show. */
export interface UploadSummary extends Pick<UploadRow, 'ino' | 'state' | 'code' | 'message' | 'since'> {
  /** The size of the content, bytes. */
  readonly size: number;
  /** 1: the content started from a remote file. */
  readonly hasBase: 0 | 1;
}

/** The key of `isTruncationPending` in column `extents`. Existing databases have it, so it must not change. */
const truncationPending = 'isUncut';

interface RawRow {
  ino: number;
  spool: string;
  state: UploadState;
  size: number;
  base: string | null;
  extents: string | null;
  checkpoint: string | null;
  attempts: string | null;
  code: string | null;
  message: string | null;
  since: number;
}

/** An upload that will not be resumed. */
export interface AbandonedUpload {
  readonly id: number;
  readonly checkpoint: UploadCheckpoint;
}

export class Journal {
  readonly #transaction: <T>(act: () => T) => T;
  readonly #put: Statement;
  readonly #state: Statement;
  readonly #checkpoint: Statement;
  readonly #changing: Statement;
  readonly #base: Statement;
  readonly #attempts: Statement;
  readonly #sending: Statement;
  readonly #truncationDone: Statement;
  readonly #abandon: Statement;
  readonly #abandoned: Statement;
  readonly #forgetAbandoned: Statement;
  readonly #remove: Statement;
  readonly #get: Statement;
  readonly #stateOf: Statement;
  readonly #all: Statement;
  readonly #spoolNames: Statement;
  readonly #summaries: Statement;
  readonly #putInline: Statement;
  readonly #inline: Statement;
  readonly #inlineFacts: Statement;
  readonly #truncateInline: Statement;
  readonly #dropInline: Statement;
  readonly #markGarbage: Statement;
  readonly #markFileGarbage: Statement;
  readonly #garbage: Statement;
  readonly #unmarkGarbage: Statement;
  /** Removed garbage whose names are still in the table. The next transaction that writes to the table deletes them. */
  readonly #removedGarbage = new Set<string>();

  constructor(sql: Sql) {
    this.#transaction = transactionsOf(sql);
    this.#put = sql.prepare(
      `INSERT OR REPLACE INTO upload (ino, spool, state, size, base, extents, checkpoint, attempts, code, message, since)
       VALUES (@ino, @spool, @state, @size, @base, @extents, @checkpoint, @attempts, @code, @message, @since)`,
    );
    this.#state = sql.prepare('UPDATE upload SET state = ?, code = ?, message = ? WHERE ino = ?');
    this.#checkpoint = sql.prepare('UPDATE upload SET checkpoint = ? WHERE ino = ?');
    this.#changing = sql.prepare(
      'UPDATE upload SET state = ?, checkpoint = NULL, code = NULL, message = NULL WHERE ino = ?',
    );
    this.#base = sql.prepare('UPDATE upload SET base = ? WHERE ino = ?');
    this.#attempts = sql.prepare('UPDATE upload SET attempts = ? WHERE ino = ?');
    this.#sending = sql.prepare(
      "UPDATE upload SET state = 'uploading', attempts = ?, checkpoint = coalesce(?, checkpoint), code = NULL, message = NULL WHERE ino = ?",
    );
    this.#truncationDone = sql.prepare(
      `UPDATE upload SET extents = json_remove(extents, '$.${truncationPending}') WHERE ino = ?`,
    );
    this.#abandon = sql.prepare(
      "INSERT INTO intent (kind, data) SELECT 'abandoned', checkpoint FROM upload WHERE ino = ? AND checkpoint IS NOT NULL",
    );
    this.#abandoned = sql.prepare("SELECT id, data FROM intent WHERE kind = 'abandoned'");
    this.#forgetAbandoned = sql.prepare('DELETE FROM intent WHERE id = ?');
    this.#remove = sql.prepare('DELETE FROM upload WHERE ino = ?');
    this.#get = sql.prepare('SELECT * FROM upload WHERE ino = ?');
    this.#stateOf = sql.prepare('SELECT state FROM upload WHERE ino = ?').pluck();
    this.#all = sql.prepare('SELECT * FROM upload ORDER BY since, ino');
    this.#spoolNames = sql.prepare('SELECT spool FROM upload').pluck();
    this.#summaries = sql.prepare(
      'SELECT ino, state, size, base IS NOT NULL AS hasBase, code, message, since FROM upload WHERE ino > ? ORDER BY ino LIMIT ?',
    );
    this.#putInline = sql.prepare('INSERT OR REPLACE INTO kept (ino, bytes, boot) VALUES (?, ?, ?)');
    this.#inline = sql.prepare('SELECT bytes FROM kept WHERE ino = ?').pluck();
    this.#inlineFacts = sql.prepare('SELECT length(bytes) AS length, boot FROM kept WHERE ino = ?');
    this.#truncateInline = sql.prepare('UPDATE kept SET bytes = substr(bytes, 1, ?) WHERE ino = ?');
    this.#dropInline = sql.prepare('DELETE FROM kept WHERE ino = ?');
    this.#markGarbage = sql.prepare('INSERT OR IGNORE INTO dropped (spool) VALUES (?)');
    this.#markFileGarbage = sql.prepare('INSERT OR IGNORE INTO dropped (spool) SELECT spool FROM upload WHERE ino = ?');
    this.#garbage = sql.prepare('SELECT spool FROM dropped').pluck();
    this.#unmarkGarbage = sql.prepare('DELETE FROM dropped WHERE spool = ?');
  }

  put(row: UploadRow): void {
    this.#transaction(() => {
      if (row.checkpoint === null) this.#abandon.run(row.ino);
      this.#put.run(parametersOf(row));
      this.#unmarkGarbage.run(row.spool);
    });
  }

  setState(ino: number, state: UploadState, error?: { readonly code: string; readonly message: string }): void {
    this.#state.run(state, error?.code ?? null, error?.message ?? null, ino);
  }

  setCheckpoint(ino: number, checkpoint: UploadCheckpoint | null): void {
    this.#checkpoint.run(checkpoint === null ? null : JSON.stringify(checkpoint), ino);
  }

  setAttempts(ino: number, attempts: Iterable<string>): void {
    this.#attempts.run(JSON.stringify([...attempts]), ino);
  }

  /**
   * Call before the upload of the row's content: from now on the provider may have one of `attempts`. Without a `checkpoint` the row keeps
   * the one that it has.
   */
  sending(ino: number, attempts: Iterable<string>, checkpoint: UploadCheckpoint | null = null): void {
    this.#sending.run(JSON.stringify([...attempts]), checkpoint === null ? null : JSON.stringify(checkpoint), ino);
  }

  /** Call before the content changes in place: the checkpoint and the error of its upload no longer apply. */
  changing(ino: number, state: 'open' | 'synced'): void {
    this.#transaction(() => {
      this.#abandon.run(ino);
      this.#changing.run(state, ino);
      if (state === 'open') this.#dropInline.run(ino);
    });
  }

  /** Gives up the upload of a content: it will not be resumed, even if the content stays. */
  abandon(ino: number): void {
    this.#transaction(() => {
      this.#abandon.run(ino);
      this.setCheckpoint(ino, null);
    });
  }

  /** Abandoned uploads: their content was changed or removed before they ended. */
  abandoned(): AbandonedUpload[] {
    return (this.#abandoned.all() as { id: number; data: string }[]).map(({ id, data }) => ({
      id,
      checkpoint: JSON.parse(data),
    }));
  }

  /** Forgets an abandoned upload that has left nothing at the provider. */
  forgetAbandoned(id: number): void {
    this.#forgetAbandoned.run(id);
  }

  /** Call before the content is truncated to `size` bytes. */
  shrink(ino: number, size: number): void {
    const row = this.get(ino);
    if (row === undefined || row.content.size <= size) return;
    const present = ExtentSet.from(row.content.present);
    present.truncate(size);
    const content = { size, baseEnd: Math.min(row.content.baseEnd, size), present: present.ranges() };
    this.put({ ...row, content, isTruncationPending: size === 0 });
    this.#truncateInline.run(size, ino);
  }

  /** Notes that the spool file of a content truncated to 0 was emptied: later bytes in it are newer than the truncation. */
  truncationDone(ino: number): void {
    this.#truncationDone.run(ino);
  }

  /**
   * Stores a small content beside its row, so that one sync of the database's log makes both durable; the spool file would need a second
   * sync. The inline content counts until `dropInline`, even if the spool file is lost.
   */
  putInline(ino: number, bytes: Uint8Array, boot: string | null): void {
    this.#putInline.run(ino, bytes, boot);
  }

  /** The length of an inline content, and the boot in which its spool file had the same bytes. */
  inlineFacts(ino: number): InlineContent | undefined {
    return this.#inlineFacts.get(ino) as InlineContent | undefined;
  }

  inline(ino: number): Uint8Array | undefined {
    return this.#inline.get(ino) as Uint8Array | undefined;
  }

  /** Drops the inline content: from now on the spool file counts. */
  dropInline(ino: number): void {
    this.#dropInline.run(ino);
  }

  /** Notes a new description of the base: it was renamed or moved at the provider. */
  setBase(ino: number, base: RemoteFile | null): void {
    this.#base.run(base === null ? null : JSON.stringify(base), ino);
  }

  /** Gives the same content another base. */
  setContent(ino: number, content: SpoolState, base: RemoteFile | null): void {
    const row = this.get(ino);
    if (row !== undefined) this.put({ ...row, content, isTruncationPending: false, base });
  }

  get(ino: number): UploadRow | undefined {
    const raw = this.#get.get(ino) as RawRow | undefined;
    return raw === undefined ? undefined : rowOf(raw);
  }

  stateOf(ino: number): UploadState | undefined {
    return this.#stateOf.get(ino) as UploadState | undefined;
  }

  /** Oldest first. */
  all(): UploadRow[] {
    return (this.#all.all() as RawRow[]).map(rowOf);
  }

  /** The names of all spool files in rows. */
  spoolNames(): string[] {
    return this.#spoolNames.all() as string[];
  }

  /** At most `count` rows with inode numbers above `ino`, in order: for work in pieces. */
  summaries(ino: number, count: number): UploadSummary[] {
    return this.#summaries.all(ino, count) as UploadSummary[];
  }

  /** Removes the row of a content that was removed or replaced. Its spool file becomes garbage. */
  remove(ino: number): void {
    this.#transaction(() => {
      this.#abandon.run(ino);
      this.#forget(ino);
    });
  }

  /** Removes the row of a content that the provider has. Its spool file becomes garbage. */
  stored(ino: number): void {
    this.#transaction(() => this.#forget(ino));
  }

  /** Removes the row of a missing inode. Its spool file does not become garbage: `Spool.sweep` sets it aside. */
  orphan(ino: number): void {
    this.#transaction(() => {
      this.#abandon.run(ino);
      this.#remove.run(ino);
      this.#dropInline.run(ino);
    });
  }

  /** Marks a spool file without a row as garbage. If the process dies before it removes the file, the next mount removes it. */
  markGarbage(spool: string): void {
    this.#removedGarbage.delete(spool);
    this.#markGarbage.run(spool);
  }

  /** The spool files that are garbage. Some may be removed already. */
  garbage(): string[] {
    this.forgetRemovedGarbage();
    return this.#garbage.all() as string[];
  }

  /**
   * Notes that a garbage file was removed. The next change of the table deletes its mark, because that costs nothing then. Until then the
   * mark does no harm: names are never reused, and the next mount checks whether the file exists.
   */
  garbageRemoved(spool: string): void {
    this.#removedGarbage.add(spool);
  }

  /** Deletes the marks of all removed files now. */
  forgetRemovedGarbage(): void {
    for (const spool of this.#removedGarbage) this.#unmarkGarbage.run(spool);
    this.#removedGarbage.clear();
  }

  #forget(ino: number): void {
    this.forgetRemovedGarbage();
    this.#markFileGarbage.run(ino);
    this.#remove.run(ino);
    this.#dropInline.run(ino);
  }
}

function parametersOf(row: UploadRow): RawRow {
  return {
    ino: row.ino,
    spool: row.spool,
    state: row.state,
    size: row.content.size,
    base: row.base === null ? null : JSON.stringify(row.base),
    extents: JSON.stringify({
      baseEnd: row.content.baseEnd,
      present: row.content.present,
      ...(row.isTruncationPending ? { [truncationPending]: true } : {}),
    }),
    checkpoint: row.checkpoint === null ? null : JSON.stringify(row.checkpoint),
    attempts: JSON.stringify(row.attempts),
    code: row.code,
    message: row.message,
    since: row.since,
  };
}

function rowOf(raw: RawRow): UploadRow {
  const extents = raw.extents === null ? { baseEnd: 0, present: [] } : JSON.parse(raw.extents);
  return {
    ino: raw.ino,
    spool: raw.spool,
    state: raw.state,
    content: { size: raw.size, baseEnd: extents.baseEnd, present: extents.present },
    ...(extents[truncationPending] ? { isTruncationPending: true } : {}),
    base: raw.base === null ? null : JSON.parse(raw.base),
    checkpoint: raw.checkpoint === null ? null : JSON.parse(raw.checkpoint),
    attempts: raw.attempts === null ? [] : JSON.parse(raw.attempts),
    code: raw.code,
    message: raw.message,
    since: raw.since,
  };
}
