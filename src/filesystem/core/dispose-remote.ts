import { codeOf } from '../../base/errors.js';
import type { RemoteEntry, RequestOptions } from '../../providers/provider.js';
import type { Core } from './core.js';
import { isLockFile } from './lock-files.js';

/** The object as it was, if it went to the trash; null if it was removed for ever. */
export type Disposed = RemoteEntry | null;

/**
 * Removes an object at the service: to the trash or for ever, as the mount options say; lock files of documents for ever. A service may
 * turn out to delete nothing: if the options say trash and it has one then, the object goes there. Throws the provider's error.
 */
export async function disposeRemote(
  { provider, options }: Pick<Core, 'provider' | 'options'>,
  remote: RemoteEntry,
  request: RequestOptions & { readonly onlyEmpty?: boolean } = {},
): Promise<Disposed> {
  const goesToTrash = (): boolean => options.disposal === 'trash' && provider.capabilities.trash;
  const { onlyEmpty, ...plain } = request;
  // A trash that forgets places stands in for a deletion that the service refuses: there is no other way.
  const isForEver = isLockFile(remote) && provider.capabilities.trashForgetsPlaces !== true;
  if (goesToTrash() && !isForEver) return await provider.trash(remote, plain);
  try {
    await provider.remove(remote, onlyEmpty === undefined ? plain : { ...plain, onlyEmpty });
    return null;
  } catch (error) {
    if (codeOf(error) !== 'unsupported' || !goesToTrash()) throw error;
    return await provider.trash(remote, plain);
  }
}
