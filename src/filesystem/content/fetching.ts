/** Bytes of a revision from the provider, as long as it is known to be the one that is there. */
import type { FetchRange } from '../../cache/revision-reader.js';
import { ProviderError } from '../../providers/errors.js';
import { type Provider, revisionKey } from '../../providers/provider.js';
import type { InodeTable } from '../../tree/inode-table.js';

/**
 * Most services answer a range of whatever version they have now, and say nothing of which it is: one of the same size
 * would be taken for the one that was asked for. Where a listing has told of another version, nobody asks for the old one.
 */
export function fetchKnown(table: InodeTable, provider: Provider): FetchRange {
  return async (file, range, request) => {
    const now = table.byRemote('file', file.id)?.remote;
    if (now?.kind === 'file' && revisionKey(now) !== revisionKey(file))
      throw new ProviderError('revision-changed', `${file.name} has another content at the provider by now`);
    return await provider.read(file, range, request);
  };
}
