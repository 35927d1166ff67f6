/**
 * Creates the spool file of a content before its first change, and returns an unchanged one to the cache.
 *
 * Invariant: the journal names the file at every moment. It is listed as dropped until its row is written, then in the row.
 */
import { BLOCK_BYTES } from '../../cache/blocks.js';
import type { RemoteFile } from '../../providers/provider.js';
import { isSameRevision } from '../../providers/revision.js';
import type { SpoolFile } from '../../spool/spool-file.js';
import type { Ino } from '../../tree/inode.js';
import type { Core } from '../core/core.js';
import type { FileState } from '../core/open-files.js';
import { isBackingOf } from './passthrough.js';
import { promoteToCache } from './promotion.js';
import type { Relocation } from './relocation.js';

/** Creates a spool file that starts as `base`. From here on it is the content of the state. */
export async function createSpool(
  core: Core,
  relocation: Relocation,
  state: FileState,
  base: RemoteFile | null,
): Promise<void> {
  const { spool, journal, table } = core;
  const { name, file } = await spool.create(base);
  // Until a row names it, the file holds no promised bytes. (An empty file need not be listed: the next mount removes it.)
  if (base !== null) journal.markGarbage(name);
  try {
    if (base !== null) await takeFromCache(core, state, base, file);
  } catch (error) {
    journal.garbageRemoved(spool.remove(file.path));
    throw error;
  }
  if (!state.unlinked) {
    table.transaction(() => {
      putOpenRow(core, state.ino, { name, file });
      // From here on, a listing without the file does not remove its name.
      table.update(state.ino, { localSize: file.size });
    });
    // A listing may have removed it while the file was open.
    relocation.relocate(state.ino);
  } else if (base === null) {
    // A file without a name never gets a row.
    journal.markGarbage(name);
  }
  state.spool = file;
  state.spoolName = name;
  for (const handle of state.handles) {
    const { pinned: other } = handle;
    const isSame = other !== null && base !== null && isSameRevision(other, base);
    // We do not see what the kernel read from a backing file, so it counts as shown. (If handles share pages, the base
    // differs from the shown revision only when nothing of the base is kept.)
    const wasShown = !core.options.sharesPages && (handle.hasRead || handle.backing !== null);
    handle.isOnOldRevision = wasShown && other !== null && !isSame;
  }
}

/** Names the spool file of a content that nobody has changed yet. */
export function putOpenRow(
  { journal, clock }: Core,
  ino: Ino,
  { name, file }: { readonly name: string; readonly file: SpoolFile },
): void {
  journal.put({
    ino,
    spool: name,
    state: 'open',
    // Until the first change its content is the base's, fetched or not.
    content: { size: file.size, baseEnd: file.size, present: [] },
    base: file.base,
    checkpoint: null,
    attempts: [],
    code: null,
    message: null,
    since: clock.now(),
  });
}

/**
 * If the cache holds all of the base, its file becomes the spool file. Nothing is copied, and programs that read or map
 * the file directly follow the content.
 */
async function takeFromCache(
  { readers, spool }: Core,
  state: FileState,
  base: RemoteFile,
  file: SpoolFile,
): Promise<void> {
  if (!spool.takesCacheFiles) return;
  const { backing } = state;
  if (backing !== null && isBackingOf(backing, base)) {
    // If the file cannot move, the change fails: otherwise its readers would keep another content.
    await file.takeBase((path) => spool.move(backing.path ?? '', path));
    backing.becomeSpoolFile();
    return;
  }
  const reader = readers.acquire(base);
  try {
    const { isYoung } = reader;
    const taken = await file.takeBase((path) => reader.moveToSpool(path));
    // The cache may not keep bytes that were fetched while the file was young.
    state.cacheCrcs = isYoung ? null : (taken?.crcs ?? null);
    if (taken?.backingFile) state.backing = taken.backingFile;
  } finally {
    readers.release(reader);
  }
}

/**
 * Returns a file to the cache that came from it and was not changed. False: the bytes differ, or it never was a cache
 * file.
 */
export async function returnToCache(core: Core, spool: SpoolFile, taken: readonly number[] | null): Promise<boolean> {
  const { base } = spool;
  if (taken === null || base === null || spool.size !== base.size) return false;
  const { crcs } = await spool.digest(BLOCK_BYTES);
  const isSame = crcs.length === taken.length && crcs.every((crc, block) => crc === taken[block]);
  if (isSame) await promoteToCache(core, spool, base, crcs);
  return isSame;
}
