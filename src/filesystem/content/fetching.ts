/** Fetches bytes of a revision while it is the latest one known. */
import type { FetchRange } from '../../cache/block-fetcher.js';
import { ProviderError } from '../../providers/errors.js';
import type { Provider } from '../../providers/provider.js';
import { isSameRevision } from '../../providers/revision.js';
import type { InodeTable } from '../../tree/inode-table.js';

/**
 * Most services answer a range from their current version and do not name that version. A new version of the same size would be taken for
 * the requested one. So a revision that a listing has shown to be outdated is not requested. `acceptsProof`: the caller heeds the proof of
 * the revision, which may come after the bytes.
 */
export function fetchKnown(table: InodeTable, provider: Provider, acceptsProof: boolean): FetchRange {
  return async (file, range, request) => {
    const now = table.byRemote('file', file.id)?.remote;
    if (now?.kind === 'file' && !isSameRevision(now, file))
      throw new ProviderError('revision-changed', `${file.name} has another content at the provider by now`);
    return await provider.read(file, range, { ...request, acceptsProof });
  };
}
