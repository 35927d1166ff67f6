/** The names and files of the freedesktop.org trash specification 1.0, as pure functions. */
import { localTime } from '../../base/local-time.js';
import { encodeName } from '../../base/raw-names.js';

/** The largest user id, 2^32 - 2: the one above it means "no user". */
const LARGEST_UID = 0xffff_fffe;

const INFO_SUFFIX = '.trashinfo';

/**
 * The user whose trash directory at the root of a volume has this name (`.Trash-$uid`); undefined for any other name. Each
 * user id has one spelling, so one user has one trash.
 */
export function trashOwner(name: string): number | undefined {
  const digits = /^\.Trash-(0|[1-9]\d{0,9})$/.exec(name)?.[1];
  const uid = digits === undefined ? Number.NaN : Number(digits);
  return uid <= LARGEST_UID ? uid : undefined;
}

/** The name in `info/` that belongs to a name in `files/`. */
export function infoNameOf(name: string): string {
  return `${name}${INFO_SUFFIX}`;
}

/** The name in `files/` that an info file is about; undefined if it is no info file (a program's temporary file). */
export function itemNameOf(infoName: string): string | undefined {
  return infoName.endsWith(INFO_SUFFIX) && infoName.length > INFO_SUFFIX.length
    ? infoName.slice(0, -INFO_SUFFIX.length)
    : undefined;
}

/**
 * `path`: the names from the top directory (the mountpoint) to the object's old place. `deleted`: ms since the epoch, written as
 * "YYYY-MM-DDThh:mm:ss, … in the user's (or filesystem's) local timezone".
 */
export function formatTrashInfo(path: readonly string[], deleted: number): string {
  return `[Trash Info]\nPath=${path.map(escapeName).join('/')}\nDeletionDate=${localTime(deleted).replace(' ', 'T')}\n`;
}

/** "The system used for escaping is URL-escaping (RFC 2396)": bytes that are no unreserved characters become %XX. */
function escapeName(name: string): string {
  let escaped = '';
  for (const byte of encodeName(name)) {
    const character = String.fromCharCode(byte);
    escaped += /[A-Za-z0-9\-_.!~*'()]/.test(character)
      ? character
      : `%${byte.toString(16).toUpperCase().padStart(2, '0')}`;
  }
  return escaped;
}
