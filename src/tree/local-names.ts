/**
 * Maps remote names to local ones, the names shown in a directory.
 *
 * A name that a directory can hold is shown as it is. An impossible name ('/', NUL, '.', '..', too long) is escaped. If two objects would
 * get the same name, all but one are marked with ` (~ID)`. Invariant: an object keeps its local name while it keeps its remote name,
 * so that scripts and backups find it again.
 */

import { createHash } from 'node:crypto';
import { atOnce, Pieces } from '../base/event-loop-turns.js';
import { isNameText, nameBytes, toNameText } from '../base/raw-names.js';

/** Linux NAME_MAX. */
export const MAX_NAME_BYTES = 255;

export interface NamedObject {
  readonly id: string;
  readonly name: string;
}

/** The present local name of an object, and the remote name from which it was made. */
export interface GivenName {
  readonly local: string;
  readonly remote: string;
}

/** Names that are not free. */
export interface TakenNames {
  has(name: string): boolean;
}

/**
 * A unique local name for every object of one directory.
 * `given`: the present names by id. `taken`: names of objects that only this mount knows.
 */
export function assignLocalNames(
  objects: readonly NamedObject[],
  given: ReadonlyMap<string, GivenName>,
  taken: TakenNames = new Set(),
): Map<string, string> {
  return atOnce(assigningLocalNames(objects, given, taken, new Pieces()));
}

/** `assignLocalNames` in pieces. */
export function* assigningLocalNames(
  objects: readonly NamedObject[],
  given: ReadonlyMap<string, GivenName>,
  taken: TakenNames,
  pieces: Pieces,
): Generator<void, Map<string, string>> {
  const names = new Map<string, string>();
  const used = new Set<string>();
  const isFree = (name: string): boolean => !used.has(name) && !taken.has(name);
  const take = ({ id }: NamedObject, name: string): void => {
    used.add(name);
    names.set(id, name);
  };
  const presentables: NamedObject[] = [];
  const others: NamedObject[] = [];
  for (const object of objects) {
    if (pieces.isFull()) yield;
    const before = given.get(object.id);
    if (before !== undefined && before.remote === object.name && isFree(before.local)) take(object, before.local);
    else (isLocalName(object.name) ? presentables : others).push(object);
  }
  // Objects with a presentable name choose first. If several choose the same name, the one with the lowest id gets it, and the others
  // choose again. So the result does not depend on the order of the objects, and no sort is needed.
  for (const group of [presentables, others]) {
    let left: NamedObject[] = group;
    for (let round = 0; left.length > 0; round++) {
      const claimed = new Map<string, NamedObject>();
      const losers: NamedObject[] = [];
      for (const object of left) {
        if (pieces.isFull()) yield;
        const name = candidate(object, round);
        const other = claimed.get(name);
        if (!isFree(name) || (other !== undefined && other.id <= object.id)) losers.push(object);
        else {
          claimed.set(name, object);
          if (other !== undefined) losers.push(other);
        }
      }
      for (const [name, object] of claimed) {
        if (pieces.isFull()) yield;
        take(object, name);
      }
      left = losers;
    }
  }
  return names;
}

/** The name that an object tries in a round: in round 0 its own, escaped if necessary; then marked ones. */
export function candidate({ id, name }: NamedObject, round: number): string {
  const plain = presentable(name);
  return round === 0 ? plain : marked(plain, round === 1 ? id : `${id}.${round - 1}`);
}

/** The number of rounds that are checked. Later rounds happen only if the marked names of an object are names of others. */
const ROUNDS = 4;

/** True if `assignLocalNames` may make this name from the object's own. */
export function isLocalNameOf(object: NamedObject, name: string): boolean {
  return Array.from({ length: ROUNDS }, (_, round) => candidate(object, round)).includes(name);
}

/** True if a directory can hold this name unchanged. */
export function isLocalName(name: string): boolean {
  return (
    name !== '' &&
    name !== '.' &&
    name !== '..' &&
    !name.includes('/') &&
    !name.includes('\0') &&
    nameBytes(name) <= MAX_NAME_BYTES &&
    name.isWellFormed() &&
    isNameText(name)
  );
}

/** The name with forbidden characters as %XX, cut to what a directory can hold. */
function presentable(name: string): string {
  if (isLocalName(name)) return name;
  if (name === '') return '%';
  if (name === '.' || name === '..') return name.replaceAll('.', '%2E');
  const escaped = toNameText(name.toWellFormed()).replaceAll('/', '%2F').replaceAll('\0', '%00');
  return nameBytes(escaped) <= MAX_NAME_BYTES ? escaped : withMark(escaped, '~');
}

/** In a mark, a hash replaces an id that is longer than this: a name has at most 255 bytes. */
const LONGEST_MARK = 64;

function marked(name: string, id: string): string {
  const short = id.length <= LONGEST_MARK ? id : createHash('sha1').update(id).digest('hex');
  return withMark(name, ` (~${short.replaceAll('/', '_')})`);
}

/** `name` with `mark` before its extension, cut to what fits a directory and `maxLength` UTF-16 units. */
export function withMark(name: string, mark: string, maxLength = MAX_NAME_BYTES): string {
  const dot = name.lastIndexOf('.');
  // More than 16 bytes after the last dot are not an extension, but part of the name.
  const extension = dot > 0 && nameBytes(name.slice(dot)) <= 16 ? name.slice(dot) : '';
  const stem = extension === '' ? name : name.slice(0, dot);
  const rest = mark + extension;
  return cut(stem, MAX_NAME_BYTES - nameBytes(rest), maxLength - rest.length) + rest;
}

/** The longest prefix of `text` with at most `bytes` bytes and `units` UTF-16 units that ends between two characters. */
function cut(text: string, bytes: number, units: number): string {
  let length = 0;
  let kept = '';
  for (const character of text) {
    length += nameBytes(character);
    if (length > bytes || kept.length + character.length > units) break;
    kept += character;
  }
  return kept;
}
