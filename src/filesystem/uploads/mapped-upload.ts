/** A content that is stored while somebody may write to its spool file without a word, through a mapping. */
import type { RemoteFile } from '../../providers/provider.js';
import type { SpoolFile } from '../../spool/spool-file.js';
import { notePassthroughWrites } from '../content/passthrough-writes.js';
import type { Core } from '../core/core.js';
import type { FileState } from '../core/open-files.js';

/** What was stored. */
interface StoredAs {
  readonly remote: RemoteFile;
  /** CRC-32 of its blocks. */
  readonly crcs: readonly number[];
  /** Of the content that was sent. */
  readonly generation: number;
}

/** The spool file stays the content, now of a new base. What came since the upload began is to be stored anew. */
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
      // Unchanged, it is what the provider has.
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
