/** Before the last known name of an inode goes: a search for names that other machines have given it (hard links). */
import { isFirstName } from '../../tree/inode.js';
import type { Caller } from '../api.js';
import { orAborted } from '../core/abortable.js';
import type { Core } from '../core/core.js';
import type { FoundName } from '../metadata/remote-links.js';

/**
 * Call this before the inode's name lock is taken, because it may wait for listings. Throws the provider's error if it cannot find out
 * whether there are more names: otherwise the object would go, and their content with it.
 */
export async function learnOtherNames(
  core: Core,
  { parent, name }: FoundName,
  caller: Caller | undefined,
): Promise<void> {
  const { table, directories, metadata, invalidate } = core;
  const inode = table.child(parent, name);
  if (metadata === undefined || inode === undefined || inode.kind === 'directory') return;
  if (inode.furtherNames > 0 || !isFirstName(inode, parent, name)) return;
  const signal = caller?.signal;
  const found = await orAborted(
    metadata.remoteLinks.find(
      inode,
      !directories.isListedNow(parent),
      (directory) => directories.refresh(directory, 'foreground', signal),
      signal,
    ),
    signal,
  );
  // After the answer: the kernel holds locks of the directories until then.
  for (const place of found) setImmediate(() => invalidate({ kind: 'entry', ...place }));
}
