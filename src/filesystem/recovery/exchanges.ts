/**
 * RENAME_EXCHANGE if one entry or both have an object at the provider. No provider swaps two names at once: the first steps aside in its
 * own folder, the second takes its name, and the first takes the second's.
 *
 * Invariant: the exchange is in the journal before its first request. Whenever the process dies, the next mount finds out which names the
 * objects have and goes on, or back: in the end both names are swapped or neither is.
 */
import { messageOf } from '../../base/errors.js';
import { fromMs } from '../../base/timespec.js';
import type { RemoteEntry, RemoteFile } from '../../providers/provider.js';
import { type Ino, type Inode, isFirstName } from '../../tree/inode.js';
import type { Caller } from '../api.js';
import { touchStatus } from '../attributes/attributes.js';
import { conflictName } from '../core/conflict-name.js';
import type { Core } from '../core/core.js';
import { isPastDeadline, isUnavailable } from '../core/deadlines.js';
import { dropDuplicate } from '../core/drop-duplicate.js';
import { entriesIn } from '../core/or-gone.js';

/** One of the two names, and its object at the provider. */
export interface ExchangedName {
  readonly ino: Ino;
  readonly parent: Ino;
  readonly name: string;
  /** Null: only this machine knows the name. */
  readonly remote: RemoteEntry | null;
  /** Where the object is, or would be, at the provider. */
  readonly place: { readonly parentId: string; readonly name: string };
}

export interface Exchange {
  readonly first: ExchangedName;
  readonly second: ExchangedName;
  /** The name of the first object in between. */
  readonly aside: string;
}

/** The objects under their new names; null if the provider has none. */
interface Swapped {
  readonly first: RemoteEntry | null;
  readonly second: RemoteEntry | null;
}

export class Exchanges {
  readonly #core: Core;
  readonly #onMoved: (ino: Ino, file: RemoteFile) => void;
  readonly #retryLater: () => void;
  /** By journal row: exchanges that wait to be finished or undone in the background. */
  readonly #pending = new Map<number, Exchange>();

  /** Calls `onMoved` for a file that has another name or id at the provider, and `retryLater` if `settlePending` must be called. */
  constructor(core: Core, onMoved: (ino: Ino, file: RemoteFile) => void, retryLater: () => void) {
    this.#core = core;
    this.#onMoved = onMoved;
    this.#retryLater = retryLater;
  }

  get isEmpty(): boolean {
    return this.#pending.size === 0;
  }

  /** Exchanges the names at the provider and in the table. Rejects if neither is exchanged, or if the outcome is not known yet. */
  async carryOut(exchange: Exchange, caller?: Caller): Promise<void> {
    const { state, directories } = this.#core;
    const { lastInsertRowid } = state.sql
      .prepare("INSERT INTO intent (kind, data) VALUES ('exchange', ?)")
      .run(JSON.stringify(exchange));
    const row = Number(lastInsertRowid);
    await state.durable();
    try {
      this.#apply(row, exchange, await this.#move(exchange, caller));
    } catch (error) {
      for (const { parent } of [exchange.first, exchange.second]) directories.expire(parent);
      this.#pending.set(row, exchange);
      // The caller's time is over and the provider is unavailable: the background finds out the outcome.
      const isLate = isUnavailable(error) && isPastDeadline(this.#core, caller);
      if (!isLate && (await this.#trySettle(row, exchange)) === 'swapped') return;
      if (this.#pending.has(row)) this.#retryLater();
      throw error;
    }
  }

  /** Finishes or undoes the exchanges of an earlier mount. */
  async recover(): Promise<void> {
    const rows = this.#core.state.sql.prepare("SELECT id, data FROM intent WHERE kind = 'exchange'").all();
    for (const { id, data } of rows as { readonly id: number; readonly data: string }[])
      this.#pending.set(id, JSON.parse(data) as Exchange);
    await this.settlePending();
    if (!this.isEmpty) this.#retryLater();
  }

  async settlePending(): Promise<void> {
    for (const [row, exchange] of [...this.#pending]) await this.#trySettle(row, exchange);
  }

  async #trySettle(row: number, exchange: Exchange): Promise<'swapped' | 'unchanged' | 'unknown'> {
    try {
      const swapped = await this.#settle(exchange);
      if (swapped === null) this.#end(row);
      else this.#apply(row, exchange, swapped);
      this.#pending.delete(row);
      return swapped === null ? 'unchanged' : 'swapped';
    } catch (error) {
      this.#core.log.warn({ intent: row }, `an exchange of names waits to be settled: ${messageOf(error)}`);
      return 'unknown';
    }
  }

  async #move({ first, second, aside }: Exchange, caller: Caller | undefined): Promise<Swapped> {
    const { provider, directories } = this.#core;
    const move = async (remote: RemoteEntry, place: ExchangedName['place']): Promise<RemoteEntry> => {
      const moved = await provider.move(remote, place, { deadline: caller?.deadline });
      directories.changes.note(moved.kind, moved.id);
      return moved;
    };
    if (first.remote === null || second.remote === null)
      return {
        first: first.remote === null ? null : await move(first.remote, second.place),
        second: second.remote === null ? null : await move(second.remote, first.place),
      };
    const stepped = await move(first.remote, { parentId: first.place.parentId, name: aside });
    const moved = await move(second.remote, first.place);
    return { first: await move(stepped, second.place), second: moved };
  }

  /**
   * Goes on if the second object has the first one's name, or the only object its new name; otherwise goes back. Compares names, because
   * some providers give a moved object another id. Null: nothing is exchanged.
   */
  async #settle({ first, second, aside }: Exchange): Promise<Swapped | null> {
    const { provider } = this.#core;
    const atFirst = await entriesIn(provider, first.place.parentId);
    const isSame = first.place.parentId === second.place.parentId;
    const atSecond = isSame ? atFirst : await entriesIn(provider, second.place.parentId);
    const one = atFirst.find(({ name }) => name === first.place.name);
    const other = atSecond.find(({ name }) => name === second.place.name);
    if (second.remote === null) return isObject(other, first.remote) ? { first: other, second: null } : null;
    if (first.remote === null) return isObject(one, second.remote) ? { first: null, second: one } : null;
    const stepped = atFirst.find(({ name }) => name === aside);
    if (stepped === undefined) {
      const isDone = one?.id === second.remote.id || (one?.id !== first.remote.id && isObject(one, second.remote));
      return isDone && one !== undefined ? { first: other ?? null, second: one } : null;
    }
    if (isObject(one, second.remote))
      return { first: await provider.move(stepped, this.#free(second.place, other)), second: one };
    const back = await provider.move(stepped, this.#free(first.place, one));
    this.#core.table.update(first.ino, { remote: back });
    if (back.kind === 'file') this.#onMoved(first.ino, back);
    return null;
  }

  /** The place, or one beside it if another client has taken the name meanwhile. */
  #free(place: ExchangedName['place'], holder: RemoteEntry | undefined): ExchangedName['place'] {
    if (holder === undefined) return place;
    const { clock, options, provider } = this.#core;
    const { maxNameLength } = provider.capabilities;
    return { ...place, name: conflictName(place.name, new Date(clock.now()), options.host, maxNameLength) };
  }

  #apply(row: number, { first, second }: Exchange, swapped: Swapped): void {
    const { table } = this.#core;
    table.transaction(() => {
      this.#end(row);
      const [a, b] = [first, second].map(({ ino }) => table.get(ino));
      if (a === undefined || b === undefined) return;
      const giveFirst = takeName(this.#core, a, first);
      const giveSecond = takeName(this.#core, b, second);
      giveFirst(second, swapped.first);
      giveSecond(first, swapped.second);
    });
    if (swapped.first?.kind === 'file') this.#onMoved(first.ino, swapped.first);
    if (swapped.second?.kind === 'file') this.#onMoved(second.ino, swapped.second);
  }

  #end(row: number): void {
    this.#core.state.sql.prepare('DELETE FROM intent WHERE id = ?').run(row);
  }
}

/** Takes a name away, within a transaction. Returns a function that gives it another place, and the object that the provider has there. */
export function takeName(
  core: Core,
  inode: Inode,
  { parent, name }: Pick<ExchangedName, 'parent' | 'name'>,
): (to: Pick<ExchangedName, 'parent' | 'name'>, remote: RemoteEntry | null) => void {
  const { table } = core;
  const further = isFirstName(inode, parent, name) ? undefined : table.further.find(parent, name);
  if (further !== undefined) table.removeName(further);
  else table.update(inode.ino, { parent: null });
  return (to, remote) => {
    if (further !== undefined) table.addName(inode.ino, to.parent, to.name);
    else {
      if (remote !== null) dropDuplicate(core, inode.ino, remote);
      table.breakCycle(inode.ino, to.parent);
      const mtime = inode.overlay.mtime ?? (inode.remote === null ? null : fromMs(inode.remote.modified));
      table.update(inode.ino, {
        ...{ parent: to.parent, name: to.name },
        ...(remote !== null && { remote, overlay: { ...inode.overlay, mtime } }),
      });
    }
    touchStatus(core, inode.ino);
  };
}

function isObject(entry: RemoteEntry | undefined, remote: RemoteEntry | null): entry is RemoteEntry {
  if (entry === undefined || remote === null || entry.kind !== remote.kind) return false;
  if (entry.id === remote.id) return true;
  if (entry.kind !== 'file' || remote.kind !== 'file') return false;
  return entry.md5 !== null && entry.md5 === remote.md5 && entry.size === remote.size;
}
