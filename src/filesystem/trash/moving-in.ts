/**
 * Moves a named object to the service's trash, with everything in it, in one request.
 *
 * Invariant: the record of the object is written before the request. So after a crash, the next mount knows the object in the trash by
 * its name and its old place. Its attributes are still here.
 */
import { isEntryOnly } from '../../metadata/held/entry-only.js';
import { type Ino, type Inode, isFirstName, isSpecial } from '../../tree/inode.js';
import type { Caller } from '../api.js';
import type { SpaceAccounting } from '../attributes/statfs.js';
import { orAborted } from '../core/abortable.js';
import { type Core, requireWritable } from '../core/core.js';
import { FsError } from '../core/fs-error.js';
import type { FileState } from '../core/open-files.js';
import { learnOtherNames } from '../names/last-name.js';
import type { Namespace, NamespaceParts } from '../names/namespace.js';
import { needsProvider } from '../names/removed-while-open.js';
import type { TrashRecords } from './trash-records.js';

export interface MovingInParts extends NamespaceParts {
  readonly namespace: Namespace;
  readonly space: SpaceAccounting;
}

export class MovingIn {
  readonly #core: Core;
  readonly #parts: MovingInParts;
  readonly #records: TrashRecords;
  readonly #hasFurtherNamesBelow: (directory: Ino) => boolean;

  constructor(core: Core, parts: MovingInParts, records: TrashRecords) {
    this.#core = core;
    this.#parts = parts;
    this.#records = records;
    const found = core.state.sql
      .prepare(
        `WITH RECURSIVE below(ino) AS (
           SELECT ino FROM inode WHERE parent = ? UNION SELECT inode.ino FROM inode JOIN below ON inode.parent = below.ino
         ) SELECT 1 FROM below JOIN inode USING (ino) WHERE further_names > 0 LIMIT 1`,
      )
      .pluck();
    this.#hasFurtherNamesBelow = (directory) => found.get(directory) !== undefined;
  }

  /**
   * `as` is the name that the object gets in `files/`. Waits until all its content is stored. EXDEV for objects that the trash cannot
   * hold: entries that the service does not know, and objects with several names. EBUSY while a program writes to the object, or reads
   * more of it than is here.
   */
  async move(parent: Ino, name: string, as: string, caller: Caller | undefined): Promise<void> {
    requireWritable(this.#core);
    const { namespace, contents, disposal, intents } = this.#parts;
    const source = await namespace.find(parent, name, caller);
    await learnOtherNames(this.#core, { parent, name }, caller);
    this.#requireMovable(source, parent, name);
    await this.#storeFirst(source.ino, caller);
    const act = async (): Promise<void> => {
      const now = this.#core.table.child(parent, name);
      if (now?.ino !== source.ino) throw new FsError('ENOENT', `${name} does not exist`);
      this.#requireMovable(now, parent, name);
      for (const state of this.#statesIn(now.ino)) {
        this.#requireQuiet(state);
        await disposal.fetchForReaders(state, caller);
      }
      const state = this.#core.files.state(now.ino);
      const request = (): Promise<void> =>
        intents.withChangeIntent([parent], () => this.#trash(now, parent, as, caller));
      await (state === undefined ? request() : contents.whileRemoving(state, request));
    };
    await contents.withNameLocks([source.ino], act, caller?.signal);
    namespace.touchDirectory(parent);
  }

  #requireMovable(inode: Inode, parent: Ino, name: string): void {
    const isOneOfSeveral = inode.furtherNames > 0 || !isFirstName(inode, parent, name);
    const holdsSeveral = inode.kind === 'directory' && this.#hasFurtherNamesBelow(inode.ino);
    const isElsewhere = inode.remote !== null && isEntryOnly(inode.remote);
    if (isSpecial(inode) || isElsewhere || isOneOfSeveral || holdsSeveral)
      throw new FsError('EXDEV', `the trash of the service cannot hold ${name}`);
  }

  /** The open files at or below an inode. */
  #statesIn(ino: Ino): FileState[] {
    const { files, table } = this.#core;
    return [...files.states()].filter((state) => !state.unlinked && table.isWithin(state.ino, ino));
  }

  /** EBUSY if a program still needs the content: in the service's trash nobody can read or store it. */
  #requireQuiet(state: FileState): void {
    if (state.hasWriters() || state.hasMappings() || state.dirty)
      throw new FsError('EBUSY', 'a program is writing to it');
    if (needsProvider(this.#core, state)) throw new FsError('EBUSY', 'a program is reading it');
  }

  /** Stores content that the service does not have yet, because nobody could store it in the trash. */
  async #storeFirst(ino: Ino, caller: Caller | undefined): Promise<void> {
    const { journal, table, files } = this.#core;
    const unstored = (): FileState[] =>
      journal.all().flatMap((row) => {
        const state = table.isWithin(row.ino, ino) ? files.state(row.ino) : undefined;
        return state?.dirty ? [state] : [];
      });
    for (const state of unstored()) {
      if (state.hasWriters()) throw new FsError('EBUSY', 'a program is writing to it');
      await orAborted(this.#parts.uploader.store(state), caller?.signal);
    }
    const left = unstored();
    if (left.some((state) => this.#parts.uploader.isExcluded(state)))
      throw new FsError('EXDEV', 'its content stays on this machine');
    if (left.length > 0) throw new FsError('EBUSY', 'not all of it is stored yet');
  }

  async #trash(inode: Inode, parent: Ino, as: string, caller: Caller | undefined): Promise<void> {
    const { table, provider, directories, clock, state } = this.#core;
    const { remote, ino } = inode;
    if (remote === null) throw new FsError('EXDEV', `${inode.name} is not at the provider`);
    const path = [...table.upwards(ino)].flatMap((at) => (at.parent === null ? [] : [at.name])).reverse();
    this.#records.put({ entry: remote, name: as, path, since: clock.now(), ino });
    try {
      await state.durable();
      await this.#parts.namespace.expiringOnError([parent], () => provider.trash(remote, caller));
    } catch (error) {
      this.#records.remove(remote);
      throw error;
    }
    // The row stays, without a name: it keeps the attributes for the day when the object comes back.
    table.transaction(() => {
      table.update(ino, { parent: null });
    });
    directories.changes.note(remote.kind, remote.id);
    this.#parts.space.removed(remote.kind === 'file' ? remote.size : 0, true);
  }
}
