import { ProviderError } from '../../providers/errors.js';

/**
 * Names that no service rejects as invalid, so a refusal means the content. Letters of every script and common punctuation, such as the dot
 * of `.gitkeep`; no dot or blank at the end, and nothing that Windows forbids.
 */
const plainName = /^[\p{L}\p{M}\p{N}_.,()+=@~-]([\p{L}\p{M}\p{N}_ .,()+=@~-]*[\p{L}\p{M}\p{N}_,()+=@~-])?$/u;

/**
 * True if the service refuses a content because it is empty, and for no reason that would apply to other contents too. `isItsName`: the
 * service already has a file of this name, so it cannot refuse the name.
 */
export function isRefusalOfEmpty(error: unknown, name: string, isItsName = false): boolean {
  if (!(error instanceof ProviderError)) return false;
  const { code, data } = error;
  if (typeof data.status !== 'number' || data.status < 400 || data.status >= 500) return false;
  return (
    code === 'protocol' || code === 'integrity' || (code === 'invalid-name' && (isItsName || plainName.test(name)))
  );
}
