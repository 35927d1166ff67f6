/** After an upload: a spool file that is still mapped for writing stays, based on the revision that was stored. */
import type { RemoteFile } from '../../providers/provider.js';
import type { SpoolFile } from '../../spool/spool-file.js';
import { notePassthroughWrites } from '../content/passthrough-writes.js';
import type { Core } from '../core/core.js';
import type { FileState } from '../core/open-files.js';

/** A stored content. */
export interface StoredAs {
  readonly remote: RemoteFile;
  /** CRC-32 of its blocks. */
  readonly crcs: readonly number[];
  /** Generation of the content that was sent. */
  readonly generation: number;
}

/**
 * The spool file remains the content, with the stored revision as its new base. Changes since the upload began are
 * stored by another upload.
 */
export function rebaseMapped(
  core: Core,
  state: FileState,
  spool: SpoolFile,
  { remote, crcs, generation }: StoredAs,
): void {
  notePassthroughWrites(core, state);
  state.dirty = state.generation !== generation;
  if (!state.dirty) state.mtime = null;
  spool.rebase(remote);
  state.cacheCrcs = crcs;
  state.promised = false;
  state.journaledGeneration = -1;
  state.attempts.clear();
  const { journal, table, clock } = core;
  const { size } = spool;
  table.transaction(() => {
    journal.put({
      ino: state.ino,
      spool: state.spoolName,
      state: 'open',
      // An unchanged content is the provider's.
      content: state.dirty ? spool.state() : { size, baseEnd: size, present: [] },
      base: remote,
      checkpoint: null,
      attempts: [],
      code: null,
      message: null,
      since: clock.now(),
    });
    table.update(state.ino, { localSize: size });
  });
}
