/**
 * How remote names are shown in a directory.
 *
 * A name that a directory can hold is shown as it is. One that it cannot ('/', NUL, '.', '..', too long) is escaped, and
 * where two objects would get the same name all but one are marked with ` (~ID)`. A name once given stays as long as the
 * object keeps its remote name, so that scripts and backups find the object again.
 */

import { createHash } from 'node:crypto';

/** Linux NAME_MAX. */
export const MAX_NAME_BYTES = 255;

export interface NamedObject {
  readonly id: string;
  readonly name: string;
}

/** What an object is called at present, and the remote name that led to it. */
export interface GivenName {
  readonly local: string;
  readonly remote: string;
}

/**
 * A unique local name for every object of one directory.
 * `given` are the names of the last time by id; `taken` are names that belong to objects known only locally.
 */
export function assignLocalNames(
  objects: readonly NamedObject[],
  given: ReadonlyMap<string, GivenName>,
  taken: ReadonlySet<string> = new Set(),
): Map<string, string> {
  const names = new Map<string, string>();
  const used = new Set(taken);
  const take = (id: string, name: string): boolean => {
    if (used.has(name)) return false;
    used.add(name);
    names.set(id, name);
    return true;
  };
  const fresh: NamedObject[] = [];
  for (const object of objects) {
    const before = given.get(object.id);
    if (before === undefined || before.remote !== object.name || !take(object.id, before.local)) fresh.push(object);
  }
  // Objects with a presentable name choose first, and in the order of their ids: the result is a function of the set.
  fresh.sort((a, b) => Number(isLocalName(b.name)) - Number(isLocalName(a.name)) || (a.id < b.id ? -1 : 1));
  for (const object of fresh) {
    const plain = presentable(object.name);
    if (take(object.id, plain)) continue;
    for (let n = 0; !take(object.id, marked(plain, n === 0 ? object.id : `${object.id}.${n}`)); n++);
  }
  return names;
}

/** Can a directory hold this very name? */
export function isLocalName(name: string): boolean {
  return (
    name !== '' &&
    name !== '.' &&
    name !== '..' &&
    !name.includes('/') &&
    !name.includes('\0') &&
    Buffer.byteLength(name) <= MAX_NAME_BYTES &&
    name.isWellFormed()
  );
}

/** The closest name that a directory can hold; forbidden characters as %XX. */
function presentable(name: string): string {
  if (isLocalName(name)) return name;
  if (name === '') return '%';
  if (name === '.' || name === '..') return name.replaceAll('.', '%2E');
  const escaped = name.toWellFormed().replaceAll('/', '%2F').replaceAll('\0', '%00');
  return Buffer.byteLength(escaped) <= MAX_NAME_BYTES ? escaped : withMark(escaped, '~');
}

/** An id longer than this stands for itself by its hash: a name holds 255 bytes. */
const LONGEST_MARK = 64;

function marked(name: string, id: string): string {
  const short = id.length <= LONGEST_MARK ? id : createHash('sha1').update(id).digest('hex');
  return withMark(name, ` (~${short.replaceAll('/', '_')})`);
}

/** `name` with `mark` before its extension, cut to the longest that fits a directory and `maxLength` UTF-16 units. */
export function withMark(name: string, mark: string, maxLength = MAX_NAME_BYTES): string {
  const dot = name.lastIndexOf('.');
  // An extension longer than 16 bytes is no extension but part of a name with a dot in it.
  const extension = dot > 0 && Buffer.byteLength(name.slice(dot)) <= 16 ? name.slice(dot) : '';
  const stem = extension === '' ? name : name.slice(0, dot);
  const rest = mark + extension;
  return cut(stem, MAX_NAME_BYTES - Buffer.byteLength(rest), maxLength - rest.length) + rest;
}

/** The longest start of `text` of at most `bytes` bytes and `units` UTF-16 units that ends between two characters. */
function cut(text: string, bytes: number, units: number): string {
  let length = 0;
  let kept = '';
  for (const character of text) {
    length += Buffer.byteLength(character);
    if (length > bytes || kept.length + character.length > units) break;
    kept += character;
  }
  return kept;
}
