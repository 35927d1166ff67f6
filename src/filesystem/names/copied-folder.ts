/** The content of a folder that was moved by a copy: see tree/copied-folders.ts. */
import { messageOf } from '../../base/errors.js';
import { type Ino, remoteFileOf } from '../../tree/inode.js';
import { noteMoved } from '../content/revisions.js';
import type { Core } from '../core/core.js';

/**
 * For a directory whose folder has got another id: lists it, and the directories below it that have rows. Each row gets the copy of its
 * object, so that open files go on and a removal reaches the right object. If a listing fails, the next listing of that directory does
 * this.
 */
export async function followCopy(core: Core, directory: Ino): Promise<void> {
  const { table, directories, files, log } = core;
  const before = [directory];
  for (const ino of before) {
    if (!table.hasChildren(ino)) continue;
    directories.expire(ino);
    try {
      await directories.refresh(ino);
    } catch (error) {
      log.warn({ ino }, `what is in a folder that was moved is not known: ${messageOf(error)}`);
      continue;
    }
    for (const child of table.children(ino)) {
      if (child.kind === 'directory') before.push(child.ino);
      const [state, file] = [files.state(child.ino), remoteFileOf(child)];
      if (state !== undefined && file !== null) noteMoved(core, state, file);
    }
  }
}
