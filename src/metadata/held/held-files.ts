/**
 * Files that the service does not accept in their folder. Entries of the metadata put them there all the same:
 *
 * - An empty file that the service refuses is an entry only (`entry-only.ts`).
 * - A large file that the service accepts in the account's root only (5sync's multipart upload) is an object of the root, under a name
 *   that no mount shows. An entry of the root names its folder and its name there (`belongs`). Such a file is *held* in the root.
 */
import type { RemoteFile, RemoteFolder, RemoteRef } from '../../providers/provider.js';
import type { MetadataEntry, NamePlace, NewEntry } from '../entry.js';
import { md5Of } from '../pack-transfer.js';
import type { MetadataStore } from '../store.js';
import { entryOnlyFile, entryOnlyPrefix, isEntryOnly } from './entry-only.js';

/** The prefix of the names of held objects in the root. */
const heldPrefix = '.syncmount-held-';

/** The name in the root for a file of a folder. Each attempt uses the same name, so that it finds what an earlier attempt left. */
export function heldName({ parentId, name }: { readonly parentId: string; readonly name: string }): string {
  return `${heldPrefix}${md5Of(Buffer.from(`${parentId}\0${name}`)).slice(0, 24)}`;
}

/** An object in the root that belongs elsewhere. */
export interface HeldObject {
  readonly id: string;
  /** Its name in the root. */
  readonly name: string;
  readonly place: NamePlace;
}

/** Finds and notes held files, for `HoldingProvider`. */
export interface Held {
  /** The empty files of a folder that are entries only. */
  entryOnlyIn(folder: string): readonly RemoteFile[];
  /** The empty file with this id; undefined if it is gone. */
  entryOnly(ref: RemoteRef): RemoteFile | undefined;
  /** The objects in the root that belong elsewhere, by id. */
  objects(): ReadonlyMap<string, HeldObject>;
  /** Notes where an object of the root belongs. Absent if there is nowhere to note it (`--metadata local`). */
  hold?(object: HeldObject): void;
  /** Forgets an object that is gone. */
  drop(object: HeldObject): void;
}

type Store = Pick<MetadataStore, 'changes' | 'entryOf' | 'entryOfObject' | 'names' | 'hold' | 'dropHeld'>;

/** Answers from the entries of the account's metadata. */
export class HeldFiles implements Held {
  readonly #store: Store;
  readonly #root: string;
  #objects: ReadonlyMap<string, HeldObject> = new Map();
  /** The value of `#store.changes` when `#objects` was read. */
  #readAt = -1;

  /** `root`: the id of the account's root. */
  constructor(store: Store, root: string) {
    this.#store = store;
    this.#root = root;
  }

  entryOnlyIn(folder: string): RemoteFile[] {
    return this.#store.names.withIds(folder, entryOnlyPrefix).flatMap((name) => {
      const entry = this.#store.entryOf(folder, name)?.entry;
      return entry !== undefined && this.#isCurrent(entry) ? [fileOf(entry)] : [];
    });
  }

  entryOnly({ id }: RemoteRef): RemoteFile | undefined {
    const entry = this.#store.entryOfObject(id)?.entry;
    if (entry === undefined) return undefined;
    const counting = this.#store.entryOf(entry.folder, entry.name)?.entry;
    return counting?.id === id && counting.gone !== true ? fileOf(entry) : undefined;
  }

  /** True if the entry is the latest one of its file: machines may have entries of one file under several names. */
  #isCurrent({ id, gone, kind, folder, name }: MetadataEntry): boolean {
    if (gone === true || kind !== 'file' || id === undefined || !isEntryOnly({ id })) return false;
    const latest = this.#store.entryOfObject(id)?.entry;
    return latest?.folder === folder && latest.name === name;
  }

  objects(): ReadonlyMap<string, HeldObject> {
    const { changes } = this.#store;
    if (changes === this.#readAt) return this.#objects;
    const found = new Map<string, HeldObject>();
    for (const name of this.#store.names.withPrefix(this.#root, heldPrefix)) {
      const entry = this.#store.entryOf(this.#root, name)?.entry;
      if (entry?.gone === true || entry?.id === undefined || entry.belongs === undefined) continue;
      found.set(entry.id, { id: entry.id, name, place: entry.belongs });
    }
    this.#objects = found;
    this.#readAt = changes;
    return found;
  }

  hold({ id, name, place }: HeldObject): void {
    this.#store.hold({ folder: this.#root, name, kind: 'file', id, belongs: place } as NewEntry);
  }

  drop({ name }: HeldObject): void {
    this.#store.dropHeld(this.#root, name);
  }
}

function fileOf({ id = '', folder, name, modified = 0 }: MetadataEntry): RemoteFile {
  return entryOnlyFile(id, folder, name, modified);
}

/** A held object as its folder shows it. */
export function shownAs(file: RemoteFile, { place }: HeldObject): RemoteFile {
  return { ...file, parentId: place.folder, name: place.name };
}

/**
 * The subfolder of `folder` on the way to a place. A service that has folders only through their files does not list it if it holds nothing
 * but the held file.
 */
export function folderOnTheWay(folder: string, { path }: NamePlace): RemoteFolder | undefined {
  const at = path.findIndex(([id]) => id === folder);
  const next = at < 0 ? undefined : path[at + 1];
  if (next === undefined) return undefined;
  const [id, name] = next;
  const unknown = { modified: 0, access: 'write', fileCount: null, folderCount: null } as const;
  return { kind: 'folder', id, name, parentId: folder, ...unknown };
}
