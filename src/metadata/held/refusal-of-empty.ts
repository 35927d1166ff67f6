import { ProviderError } from '../../providers/errors.js';

/** Names of which no service says that they are invalid: then it is the content. */
const plainName = /^\w[\w .-]*\w$|^\w$/;

/** Does the service refuse the content, because there is none? Another reason would be one of every other content too. */
export function isRefusalOfEmpty(error: unknown, name: string): boolean {
  if (!(error instanceof ProviderError)) return false;
  const { code, data } = error;
  if (typeof data.status !== 'number' || data.status < 400 || data.status >= 500) return false;
  return code === 'protocol' || code === 'integrity' || (code === 'invalid-name' && plainName.test(name));
}
