import { codeOf } from '../../base/errors.js';
import type { Provider, RemoteEntry } from '../../providers/provider.js';

/** Null if the object does not exist (any more). */
export async function orGone(stat: Promise<RemoteEntry>): Promise<RemoteEntry | null> {
  try {
    return await stat;
  } catch (error) {
    if (codeOf(error) === 'not-found') return null;
    throw error;
  }
}

/** The provider's entries in a folder now; none if the folder is gone. */
export async function entriesIn(provider: Provider, folderId: string): Promise<RemoteEntry[]> {
  const folder = await orGone(provider.stat({ kind: 'folder', id: folderId }));
  return folder?.kind === 'folder' ? await provider.list(folder) : [];
}
