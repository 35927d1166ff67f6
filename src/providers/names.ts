/**
 * The ways in which services change names. No document promises that a service stores an object under the requested name. It may replace
 * what Windows forbids by `_`, use one Unicode form or one letter case, drop control characters or dots and blanks at the ends, or cut
 * the name.
 */
import { ProviderError } from './errors.js';

/** Throws `invalid-name` for a name that no server accepts, which saves the request. `longest` is in UTF-16 code units. */
export function checkName(name: string, longest: number): void {
  const problem =
    name === ''
      ? 'is empty'
      : name.length > longest
        ? `is longer than ${longest} characters`
        : /\p{Surrogate}/u.test(name)
          ? 'is not valid Unicode'
          : undefined;
  if (problem !== undefined) throw new ProviderError('invalid-name', `the name ${problem}`, { data: {} });
}

/** We assume that no service cuts shorter names, UTF-16 units. */
const CUT_FROM = 100;

/** Names with the same result are one name to a service that ignores letter case and the Unicode form of accented letters. */
export function foldName(name: string): string {
  return name.normalize('NFC').toLowerCase();
}

/** True if the names are equal apart from their Unicode form: a server may store all names in one form. */
export function sameName(a: string, b: string): boolean {
  return a.normalize('NFC') === b.normalize('NFC');
}

/** True if a service that was asked for the one name may have stored the other. */
export function mayBecome(asked: string, kept: string): boolean {
  if (asked === kept) return true;
  const [from, to] = [essence(asked), essence(kept)];
  return from === to || (kept.length >= CUT_FROM && from.startsWith(to));
}

/** Marks an object's name at the service, if the service takes the name from the program to be that of another object. */
export function otherNameMark(hex: string): string {
  return ` (~${hex})`;
}

/** True if an object that a program named `asked` may be called `kept` at the service. */
export function mayBeKeptAs(asked: string, kept: string): boolean {
  return asked !== kept && mayBecome(asked, kept.replace(/ \(~[0-9a-f]{6}\)(?=(?:\.[^.]*)?$)/, ''));
}

/** True if a service may take two names to be one. Then a new object under one name might overwrite the other object. */
export function mayCollide(a: string, b: string): boolean {
  if (foldName(a) === foldName(b)) return true;
  if (a.length >= CUT_FROM && b.length >= CUT_FROM && collisionKey(a) === collisionKey(b)) return true;
  return (hasUnsafeCharacters(a) || hasUnsafeCharacters(b)) && essence(a) === essence(b);
}

/** Names that may be one (`mayCollide`) have the same key. Other names may share it. */
export function collisionKey(name: string): string {
  const letters = essence(name);
  return name.length >= CUT_FROM ? letters.slice(0, CUT_FROM / 2) : letters;
}

/** True if services are known to change something in this name besides letter case and Unicode form. */
export function hasUnsafeCharacters(name: string): boolean {
  return name.length >= CUT_FROM || !/^(?! )[\p{L}\p{N}\p{M}\p{Co} ._\-+()&,'@#=~![\]{}$%^;`]*(?<![ .])$/u.test(name);
}

/** The part of a name that no service changes: letters, digits and accents, in one form. */
function essence(name: string): string {
  return foldName(name).replace(/[^\p{L}\p{N}\p{M}\p{Co}]/gu, '');
}
