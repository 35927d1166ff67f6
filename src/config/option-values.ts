/** Reads the values of options. Each function throws `UsageError` for an invalid value. */
import { UsageError } from '../base/errors.js';

export function parseSwitch(text: string): boolean {
  if (text === 'true' || text === '' || text === '1' || text === 'yes') return true;
  if (text === 'false' || text === '0' || text === 'no') return false;
  throw new UsageError(`'${text}' is neither true nor false`);
}

export function parseTransfers(text: string): number | null {
  if (text === '' || text === 'default') return null;
  // No service accepts more connections than this from one account.
  if (!/^[1-9]\d{0,2}$/.test(text) || Number(text) > 256)
    throw new UsageError(`'${text}' is not a number from 1 to 256`);
  return Number(text);
}

export function parsePatterns(text: string): string[] {
  const patterns = text.split('\n').filter((pattern) => pattern !== '');
  const path = patterns.find((pattern) => pattern.includes('/'));
  if (path !== undefined) throw new UsageError(`'${path}' is a path: a pattern is of a name, wherever that is`);
  return patterns;
}

export function parseCount(text: string): number {
  if (!/^[1-9]\d{0,2}$/.test(text)) throw new UsageError(`'${text}' is not a number from 1 to 999`);
  return Number(text);
}

export function parseId(text: string): number {
  if (!/^\d+$/.test(text)) throw new UsageError(`'${text}' is not a number`);
  return Number(text);
}

export function parseUmask(text: string): number {
  if (!/^0?[0-7]{1,3}$/.test(text)) throw new UsageError(`'${text}' is not an octal mask such as 022`);
  return Number.parseInt(text, 8);
}

export function oneOf<const T extends string>(...choices: readonly T[]): (text: string) => T {
  return (text) => {
    const found = choices.find((choice) => choice === text);
    if (found === undefined) throw new UsageError(`'${text}' is none of ${choices.join(', ')}`);
    return found;
  };
}
