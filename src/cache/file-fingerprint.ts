import { statSync } from 'node:fs';

/**
 * What tells that a file is as it was: it changes with every write, whoever makes it, and with the boot of the machine. Within
 * one boot what was written is read back, on the disk or not; after a power cut a file may keep its times and lose its bytes.
 * Undefined where there is no file.
 */
export function fingerprintOf(path: string, boot: string): string | undefined {
  const stat = statSync(path, { bigint: true, throwIfNoEntry: false });
  return stat && `${boot} ${stat.ino} ${stat.size} ${stat.mtimeNs} ${stat.ctimeNs}`;
}
