/**
 * Attributes that tell how a file is kept: `user.syncmount.state`, and `user.syncmount.pinned`, which can be set. They are computed and
 * cost no request. They are not listed, because programs that copy attributes (`cp -a`, `rsync -X`, `tar --xattrs`, `getfattr -d`) must
 * not copy these.
 */
import { revisionKey } from '../../providers/provider.js';
import { type Ino, remoteFileOf } from '../../tree/inode.js';
import type { XattrChange } from '../api.js';
import { type ComputedXattrs, computedPrefix } from '../attributes/xattrs.js';
import { type Core, inodeOf } from '../core/core.js';
import { FsError } from '../core/fs-error.js';
import type { Pins } from './pins.js';

const stateName = `${computedPrefix}state`;
const pinnedName = `${computedPrefix}pinned`;

export type FileStateName = 'remote' | 'partial' | 'cached' | 'pinned' | 'uploading' | 'failed';

/** The known facts about one file when its state is asked for. */
export interface KnownState {
  /** The state of its upload; null: there is nothing to store. */
  readonly upload: 'waiting' | 'failed' | null;
  /** Bytes of its latest content, and those that are here. */
  readonly size: number;
  readonly present: number;
  /** Pinned by itself, or with a folder above it. */
  readonly isPinned: boolean;
}

/** A pinned file that is not all here yet is `remote` or `partial`. */
export function stateOf({ upload, size, present, isPinned }: KnownState): FileStateName {
  if (upload !== null) return upload === 'failed' ? 'failed' : 'uploading';
  if (present >= size) return isPinned ? 'pinned' : 'cached';
  return present === 0 ? 'remote' : 'partial';
}

export class StateXattrs implements ComputedXattrs {
  readonly #core: Core;
  readonly #pins: Pins;

  constructor(core: Core, pins: Pins) {
    this.#core = core;
    this.#pins = pins;
  }

  get(ino: Ino, name: string): Uint8Array | undefined {
    const value = name === stateName ? this.#state(ino) : name === pinnedName ? this.#pinned(ino) : undefined;
    return value === undefined ? undefined : Buffer.from(value);
  }

  set(ino: Ino, name: string, value: Uint8Array, { mode }: Pick<XattrChange, 'mode'>): void {
    requirePinned(name);
    const isPinned = this.#core.table.pins.has(ino);
    if (isPinned && mode === 'create') throw new FsError('EEXIST', 'it is pinned already');
    if (!isPinned && mode === 'replace') throw new FsError('ENODATA', 'it is not pinned');
    const text = Buffer.from(value).toString();
    if (text === '1') this.#pins.add(ino);
    else if (text === '0') this.#pins.remove(ino);
    else throw new FsError('EINVAL', `${name} is 1 or 0`);
  }

  remove(ino: Ino, name: string): void {
    requirePinned(name);
    if (this.#pins.remove(ino)) return;
    if (this.#pins.covers(ino)) throw new FsError('EPERM', 'it is pinned with a folder above it');
    throw new FsError('ENODATA', 'it is not pinned');
  }

  /** Undefined for an object without a content of its own. */
  #state(ino: Ino): FileStateName | undefined {
    const inode = inodeOf(this.#core, ino);
    if (inode.kind !== 'file') return undefined;
    const { journal, files, readers } = this.#core;
    const row = journal.get(ino);
    const state = files.state(ino);
    // A file that is open for writing and unchanged has nothing to store.
    const isUnchanged = row?.state === 'open' && row.base !== null && state?.spool != null && !state.dirty;
    const remote = remoteFileOf(inode);
    const isWaiting = (row !== undefined && !isUnchanged) || remote === null;
    const upload = row?.state === 'failed' ? 'failed' : isWaiting ? 'waiting' : null;
    const size = remote?.size ?? 0;
    const present =
      upload !== null || remote === null ? size : readers.cache.present(revisionKey(remote), remote.size).bytes;
    return stateOf({ upload, size, present, isPinned: this.#pins.covers(ino) });
  }

  /** `1`: pinned by itself. `folder`: pinned with a folder above it. */
  #pinned(ino: Ino): string | undefined {
    if (this.#core.table.pins.has(ino)) return '1';
    return this.#pins.covers(ino) ? 'folder' : undefined;
  }
}

function requirePinned(name: string): void {
  if (name !== pinnedName) throw new FsError('EPERM', `${name} tells what is, and cannot be changed`);
}
