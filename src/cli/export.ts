/** Copies what is not stored yet out of a mount, so that it exists in a second place. */
import { mkdir, open } from 'node:fs/promises';
import { join, sep } from 'node:path';
import { SingleBar } from 'cli-progress';
import { createBelow, type MadeFile } from '../base/create-below.js';
import { codeOf, messageOf, SyncmountError, UsageError } from '../base/errors.js';
import { formatSize } from '../config/units.js';
import type { UploadStatus } from '../mount/status.js';
import { mountpointOf } from './context.js';
import { print } from './output.js';

/** Read at a time, bytes: as the kernel asks for it. */
const PIECE = 1024 * 1024;

/**
 * Copies each content to its path below `target`, with its times; what is there already is left as it is. The copies are
 * on the disk when this resolves. Rejects with `not-exported` where any could not be copied, after all were tried.
 */
export async function exportContents(
  uploads: readonly UploadStatus[],
  mountpoint: string,
  target: string,
): Promise<void> {
  const directory = mountpointOf(target);
  if (`${directory}${sep}`.startsWith(`${mountpoint}${sep}`)) throw new UsageError(`${target} lies within the mount`);
  if (uploads.length === 0) return print('Everything is stored; there is nothing to export.');
  await mkdir(directory, { recursive: true });
  const bytes = uploads.reduce((sum, { size }) => sum + size, 0);
  const bar = process.stderr.isTTY
    ? new SingleBar({ format: 'exporting {bar} {percentage}%', clearOnComplete: true })
    : null;
  bar?.start(Math.max(bytes, 1), 0);
  const failures: string[] = [];
  for (const { path } of uploads) {
    try {
      await copyOut(
        join(mountpoint, path),
        () => createBelow(directory, path),
        (count) => bar?.increment(count),
      );
    } catch (error) {
      failures.push(`${path} (${codeOf(error) === 'EEXIST' ? 'exists there already' : messageOf(error)})`);
    }
  }
  bar?.stop();
  print(`Exported ${uploads.length - failures.length} of ${uploads.length} to ${directory} (${formatSize(bytes)}).`);
  if (failures.length > 0) throw new SyncmountError('not-exported', `not exported: ${failures.join(', ')}`);
}

async function copyOut(
  from: string,
  create: () => Promise<MadeFile>,
  progress: (bytes: number) => void,
): Promise<void> {
  const source = await open(from);
  try {
    const { atime, mtime } = await source.stat();
    const copy = await create();
    try {
      const piece = Buffer.allocUnsafe(PIECE);
      for (;;) {
        const { bytesRead } = await source.read(piece, 0, PIECE, null);
        if (bytesRead === 0) break;
        await copy.file.writeFile(piece.subarray(0, bytesRead));
        progress(bytesRead);
      }
      await copy.file.utimes(atime, mtime);
      await copy.file.sync();
    } catch (error) {
      await copy.discard();
      throw error;
    }
    await copy.close();
  } finally {
    await source.close();
  }
}
