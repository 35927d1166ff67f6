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
