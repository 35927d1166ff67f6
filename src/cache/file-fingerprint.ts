import { statSync } from 'node:fs';

/**
 * The fingerprint of a file: while it stays the same, so does the content. It changes with every write of any process, and
 * with every boot of the machine. Within one boot the kernel reads back all that was written, also if it is not on the disk yet.
 * After a power cut a file may keep its times and lose its bytes. Undefined if there is no file.
 */
export function fingerprintOf(path: string, boot: string): string | undefined {
  const stat = statSync(path, { bigint: true, throwIfNoEntry: false });
  return stat && `${boot} ${stat.ino} ${stat.size} ${stat.mtimeNs} ${stat.ctimeNs}`;
}
