/** Recovers the contents in the journal of an earlier mount: shown at once, uploaded in the background. */
import { messageOf } from '../../base/errors.js';
import { type InlineContent, isSpoolFileSound } from '../../spool/inline-content.js';
import { NOT_SENT, type UploadRow } from '../../spool/journal.js';
import { completeState } from '../../spool/spool-state.js';
import type { Contents } from '../content/contents.js';
import type { Relocation } from '../content/relocation.js';
import type { Core } from '../core/core.js';
import type { FileState } from '../core/open-files.js';
import { refuse } from '../uploads/storing.js';
import type { Uploader } from '../uploads/uploader.js';
import { lossMessage, takeStored } from './lost-contents.js';

/** Returns a function that begins the uploads. The caller runs it when interrupted renames are settled. */
export function recoverUploads(core: Core, uploader: Uploader, relocation: Relocation, contents: Contents): () => void {
  const { journal, spool, table, log } = core;
  const rows = journal.all();
  spool.reserveNames([...rows.map((row) => row.spool), ...journal.garbage()]);
  const lost: { readonly row: UploadRow; readonly state: FileState }[] = [];
  const waiting = rows.flatMap((row) => recoverOne(core, relocation, row, (state) => lost.push({ row, state })) ?? []);
  const dropped = new Set(journal.garbage());
  const rescued = spool.sweep(new Set(journal.spoolNames()), dropped);
  table.transaction(() => {
    for (const name of dropped) journal.garbageRemoved(name);
    journal.forgetRemovedGarbage();
  });
  if (rescued.length > 0) log.error({ rescued }, `contents without a journal row are in ${spool.directory}/rescued`);
  return () => {
    for (const state of waiting) if (state.dirty && !state.unlinked) uploader.enqueue(state);
    for (const { row, state } of lost) void takeStored(core, contents, state, row);
  };
}

/** Returns the state if its content must be uploaded. Calls `onLost` if its spool file does not have the content. */
function recoverOne(
  core: Core,
  relocation: Relocation,
  found: UploadRow,
  onLost: (state: FileState) => void,
): FileState | null {
  const { journal, files, spool, table, log } = core;
  const inode = table.get(found.ino);
  if (inode === undefined) {
    log.error({ ino: found.ino, spool: found.spool }, 'a content of no file: its spool file is set aside');
    journal.orphan(found.ino);
    return null;
  }
  const isOurs = unshared(core, found);
  const onDisk = spool.sizeOf(found);
  if (found.state === 'open' && isUnchanged(found)) {
    table.transaction(() => {
      journal.remove(found.ino);
      table.update(found.ino, { localSize: null });
    });
    // Removing the row also lists its file as dropped.
    return null;
  }
  relocation.relocate(found.ino);
  if (onDisk === null && found.content.size === 0) spool.restore(found, new Uint8Array());
  const inline = journal.inlineFacts(found.ino);
  const promised = inline === undefined ? null : restoreInline(core, found, { inline, onDisk });
  const row = promised ?? withUnpromised(found, onDisk ?? 0);
  // Bytes beyond its end must not appear in a hole if the file grows again.
  if (onDisk !== null && onDisk > row.content.size) spool.truncateToContent(row);
  if (row.isTruncationPending) journal.truncationDone(row.ino);
  const state = files.ensureState(row.ino);
  state.spool = spool.open(row);
  state.spoolName = row.spool;
  state.dirty = true;
  state.journaledGeneration = state.generation;
  if (inline !== undefined && !isBeingWritten(row)) state.durableGeneration = state.generation;
  state.promised = row.state !== 'open';
  for (const md5 of row.attempts) if (md5 !== NOT_SENT) state.attempts.add(md5);
  if (row !== found) journal.put(row);
  if (inode.localSize !== row.content.size) table.update(row.ino, { localSize: row.content.size });
  if (!isOurs) {
    refuse(core, state, 'EBUSY', `a program goes on writing to the spool file ${row.spool}; end it, then retry`);
  } else if (promised === null && (onDisk ?? 0) < row.content.size) {
    refuse(core, state, 'EIO', lossMessage(row.spool, onDisk === null));
    onLost(state);
  } else if (row.state === 'open' && (row.base !== null || row.content.size > 0)) {
    refuse(core, state, 'EINTR', 'the mount ended while the file was being written; its content up to then is kept');
  } else {
    return state;
  }
  return null;
}

/**
 * Makes sure that only we write to the spool file. False: a program of the dead mount may go on writing to it, and there
 * is no free space for a copy.
 */
function unshared({ spool, log }: Core, row: UploadRow): boolean {
  try {
    spool.unshare(row);
    return true;
  } catch (error) {
    log.error({ ino: row.ino, spool: row.spool }, `a spool file is still being written: ${messageOf(error)}`);
    return false;
  }
}

/** Can the spool file have bytes that the row does not describe? */
function isBeingWritten({ state }: UploadRow): boolean {
  return state === 'open' || state === 'synced';
}

/** Is the content identical to its base, so that there is nothing to store? */
function isUnchanged({ base, content }: UploadRow): boolean {
  if (base === null || content.present.length > 0) return false;
  return content.size === base.size && content.baseEnd === base.size;
}

/**
 * Restores an inline content from the journal. Its spool file was never synced and may hold anything after a power cut,
 * so it is written again. Null: the spool file is the content, including writes since the promise.
 */
function restoreInline(
  { journal, spool, options }: Core,
  row: UploadRow,
  { inline, onDisk }: { readonly inline: InlineContent; readonly onDisk: number | null },
): UploadRow | null {
  if (isSpoolFileSound(inline, { onDisk, size: row.content.size }, options.boot)) return null;
  spool.restore(row, journal.inline(row.ino) ?? new Uint8Array());
  return { ...row, content: completeState(inline.length) };
}

/**
 * Adds bytes that were written after the last journal entry, unless they would replace a promised content. Without a base, the spool file
 * is the whole content. (With a base it is not: after a truncation to 0, the file may still have the length of the base, and nothing in
 * it.) The row may promise an empty content while the file is not empty. Then its bytes were written since, unless the truncation is
 * still pending.
 */
function withUnpromised(row: UploadRow, onDisk: number): UploadRow {
  const size = Math.max(row.content.size, onDisk);
  if (row.state === 'open' && row.base === null) return { ...row, content: completeState(size) };
  if (row.state === 'synced' && row.content.size === 0 && size > 0 && !row.isTruncationPending) {
    return { ...row, state: 'open', content: completeState(size) };
  }
  return row;
}
