/** The object that has a name at the service, which may have stored the name in another form. */
import { mayBecome } from '../../providers/names.js';
import type { RemoteEntry } from '../../providers/provider.js';
import type { Ino } from '../../tree/inode.js';
import { keyOf } from '../../tree/listing.js';
import { isLocalNameOf } from '../../tree/local-names.js';
import type { Core } from '../core/core.js';

export interface NameHolder {
  /** Null: the object is another one of this mount, under another name here. */
  readonly entry: RemoteEntry | null;
  /** The service takes two names for one: the object with the name has another one here, or at the service. */
  readonly isOtherName: boolean;
}

/** The object, among the entries of the folder, that has the name meant for inode `ino`. Undefined: no entry has it. */
export function nameHolder(
  core: Core,
  ino: Ino,
  name: string,
  entries: readonly RemoteEntry[],
): NameHolder | undefined {
  const exact = entries.find((entry) => entry.name === name);
  if (exact !== undefined) {
    const isOtherName = isShownOtherwise(core, ino, exact);
    return { entry: isOtherName ? null : exact, isOtherName };
  }
  const alike = entries.filter((entry) => mayBecome(name, entry.name));
  if (alike.length === 0) return undefined;
  // An entry that no inode here has may come from an upload whose answer was lost.
  return { entry: alike.find((entry) => !isKnown(core, ino, entry)) ?? null, isOtherName: true };
}

/**
 * Did a program give the object another name than the service has? A mark alone does not count. A name gets one if it is taken here, and
 * such an object may come from an upload whose answer was lost.
 */
function isShownOtherwise({ table }: Core, ino: Ino, entry: RemoteEntry): boolean {
  const row = table.byRemote(entry.kind, entry.id);
  const object = { id: keyOf(entry), name: entry.name };
  return row !== undefined && row.ino !== ino && row.parent !== null && !isLocalNameOf(object, row.name);
}

function isKnown({ table }: Core, ino: Ino, { kind, id }: RemoteEntry): boolean {
  const row = table.byRemote(kind, id);
  return row !== undefined && row.ino !== ino && row.parent !== null;
}
