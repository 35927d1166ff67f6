/**
 * Names as services take them. No document says that an object is kept under the very name that was asked for: a service may use `_` for
 * what Windows forbids, one Unicode form, or one letter case, drop control characters or dots and blanks at the ends, or cut the name.
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

/** No service is taken to cut names that are shorter, UTF-16 units. */
const CUT_FROM = 100;

/** Names with the same result are one name to a service that ignores letter case, and whether an accented letter is one character or two. */
export function foldName(name: string): string {
  return name.normalize('NFC').toLowerCase();
}

/** A server may store names in one Unicode form. */
export function sameName(a: string, b: string): boolean {
  return a.normalize('NFC') === b.normalize('NFC');
}

/** Could a service that was asked for the one name have kept the other? */
export function mayBecome(asked: string, kept: string): boolean {
  if (asked === kept) return true;
  const [from, to] = [essence(asked), essence(kept)];
  return from === to || (kept.length >= CUT_FROM && from.startsWith(to));
}

/** Marks the name of an object at the service where that takes the name that a program gave it for another object's. */
export function otherNameMark(hex: string): string {
  return ` (~${hex})`;
}

/** Could an object of this name at the service be one that was to have the name `asked`? */
export function mayBeKeptAs(asked: string, kept: string): boolean {
  return asked !== kept && mayBecome(asked, kept.replace(/ \(~[0-9a-f]{6}\)(?=(?:\.[^.]*)?$)/, ''));
}

/** Could two names be one to a service? For a new object under the one that must not overwrite the other. */
export function mayBeOne(a: string, b: string): boolean {
  if (foldName(a) === foldName(b)) return true;
  if (a.length >= CUT_FROM && b.length >= CUT_FROM && alikeKey(a) === alikeKey(b)) return true;
  return (isOdd(a) || isOdd(b)) && essence(a) === essence(b);
}

/** Names that may be one have the same key. Others may have it, too. */
export function alikeKey(name: string): string {
  const letters = essence(name);
  return name.length >= CUT_FROM ? letters.slice(0, CUT_FROM / 2) : letters;
}

/** Does it have what services are known to change, besides its letter case and Unicode form? */
export function isOdd(name: string): boolean {
  return name.length >= CUT_FROM || !/^(?! )[\p{L}\p{N}\p{M}\p{Co} ._\-+()&,'@#=~![\]{}$%^;`]*(?<![ .])$/u.test(name);
}

/** What a service leaves of a name whatever it changes: letters, digits and accents, in one form. */
function essence(name: string): string {
  return foldName(name).replace(/[^\p{L}\p{N}\p{M}\p{Co}]/gu, '');
}
