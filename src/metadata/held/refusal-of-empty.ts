import { ProviderError } from '../../providers/errors.js';

/**
 * Names of which no service says that they are invalid: then it is the content. Letters of every script, and what names often have, such as
 * the dot of `.gitkeep`; no dot or blank at the end, and nothing that Windows forbids.
 */
const plainName = /^[\p{L}\p{M}\p{N}_.,()+=@~-]([\p{L}\p{M}\p{N}_ .,()+=@~-]*[\p{L}\p{M}\p{N}_,()+=@~-])?$/u;

/**
 * Does the service refuse the content, because there is none? Another reason would be one of every other content too. `isItsName`: the service
 * has a file of this name already, so that the name is not what it refuses.
 */
export function isRefusalOfEmpty(error: unknown, name: string, isItsName = false): boolean {
  if (!(error instanceof ProviderError)) return false;
  const { code, data } = error;
  if (typeof data.status !== 'number' || data.status < 400 || data.status >= 500) return false;
  return (
    code === 'protocol' || code === 'integrity' || (code === 'invalid-name' && (isItsName || plainName.test(name)))
  );
}
