/**
 * rename(2) of a name without an object of its own at the provider. That is the name of an entry without object, of an empty file that is
 * only an entry of the metadata, or a further name of a file. It takes one transaction; only a replaced object costs requests.
 */
import { isEntryOnly } from '../../metadata/held/entry-only.js';
import type { RemoteFile } from '../../providers/provider.js';
import { type Ino, type Inode, isFirstName, remoteFileOf } from '../../tree/inode.js';
import type { Caller } from '../api.js';
import { touchStatus, unlinkedRow } from '../attributes/attributes.js';
import { noteMoved } from '../content/revisions.js';
import type { Core } from '../core/core.js';
import { FsError } from '../core/fs-error.js';
import type { AsideFile } from '../core/open-files.js';
import type { NewPlace } from './copy-rename.js';
import type { Disposal } from './disposal.js';
import { remoteName } from './move-rename.js';
import { type NamespaceParts, remoteIdOf } from './namespace.js';

/** A name in a directory. */
export interface Place {
  readonly parent: Ino;
  readonly name: string;
}

export class RowRename {
  readonly #core: Core;
  readonly #disposal: Disposal;
  readonly #parts: NamespaceParts;

  constructor(core: Core, parts: NamespaceParts) {
    this.#core = core;
    this.#disposal = parts.disposal;
    this.#parts = parts;
  }

  /**
   * If a stored file is replaced, its object goes last, and the transaction records its removal: whenever the process dies, the name
   * means one of the two.
   */
  async carryOut(source: Inode, from: Place, to: NewPlace, caller: Caller | undefined): Promise<void> {
    const { table, directories } = this.#core;
    const { intents, asideFiles } = this.#parts;
    const { target } = to;
    const old = target === undefined ? null : remoteFileOf(target);
    const aside = target === undefined || old === null ? null : await this.#stepAside(target, old, caller);
    const moved = entryAt(source, from, to);
    const orphan = table.transaction(() => {
      if (target !== undefined) dropName(this.#core, target);
      placeRow(this.#core, source, from, to, moved);
      if (aside !== null) asideFiles.commit(aside);
      return old === null || aside !== null ? null : intents.noteOrphan(old);
    });
    if (moved !== undefined) this.#noteMoved(source.ino, moved);
    if (target !== undefined) unlinkReplaced(this.#core, this.#parts, target.ino, aside ?? undefined);
    if (old === null) return;
    directories.changes.note('file', old.id);
    if (orphan !== null) await intents.removeNoted(orphan, old, () => this.#disposal.dispose(old, caller));
  }

  #noteMoved(ino: Ino, moved: RemoteFile): void {
    const { directories, files } = this.#core;
    directories.changes.note('file', moved.id);
    const state = files.state(ino);
    if (state !== undefined) noteMoved(this.#core, state, moved);
  }

  #stepAside(
    target: Inode,
    old: NonNullable<ReturnType<typeof remoteFileOf>>,
    caller: Caller | undefined,
  ): Promise<AsideFile | null> {
    this.#disposal.requireDeletes();
    if (old.access === 'read') throw new FsError('EACCES', `${target.name} is read-only`);
    return this.#disposal.stepAside(this.#core.files.state(target.ino), old, caller);
  }
}

/** An empty file that is only an entry, in its new place. Undefined if the source is no such file, or `from` is a further name. */
function entryAt(source: Inode, from: Place, { directory, name }: NewPlace): RemoteFile | undefined {
  const remote = remoteFileOf(source);
  if (remote === null || !isEntryOnly(remote) || !isFirstName(source, from.parent, from.name)) return undefined;
  return { ...remote, parentId: remoteIdOf(directory), name: remoteName(source, name) };
}

/**
 * Moves a name to its new place, within a transaction, and gives the row its new object in the same update. Under its old name in its new
 * folder, the row would take over the metadata of the entry with that name there.
 */
export function placeRow(
  core: Core,
  source: Inode,
  from: Place,
  { directory, name }: NewPlace,
  moved?: RemoteFile,
): void {
  const { table } = core;
  takeOver(core, source.ino, directory.ino, name);
  const further = isFirstName(source, from.parent, from.name) ? undefined : table.further.find(from.parent, from.name);
  const object = moved === undefined ? {} : { remote: moved };
  if (further === undefined) table.update(source.ino, { parent: directory.ino, name, ...object });
  else table.moveName(further, directory.ino, name);
  touchStatus(core, source.ino);
}

/** If the new place of an inode is a further name of another one, the other one loses that name. */
export function takeOver(core: Core, ino: Ino, parent: Ino, name: string): void {
  const found = core.table.further.find(parent, name);
  if (found !== undefined && found.ino !== ino) touchStatus(core, core.table.removeName(found).ino);
}

/** The replaced file loses its last name and its journal row in one transaction, so that none of its content is stored later. */
export function dropName(core: Core, { ino }: Inode): void {
  core.table.update(ino, unlinkedRow(core, ino));
  core.journal.remove(ino);
}

/** Drops the unstored content of the replaced file, unless it is open. */
export function unlinkReplaced(
  core: Core,
  { contents, asideFiles }: Pick<NamespaceParts, 'contents' | 'asideFiles'>,
  ino: Ino,
  aside?: AsideFile,
): void {
  const state = core.files.state(ino);
  if (state === undefined) return;
  state.unlinked = true;
  if (aside === undefined) contents.abandon(state);
  else asideFiles.attach(state, aside);
}
