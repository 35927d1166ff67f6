/**
 * Lets everybody open /dev/fuse while the tests run, because some of them mount as another user. udev sets the same mode on every
 * desktop and server, but a container's /dev may be stricter.
 */
import { chmod, stat } from 'node:fs/promises';

const DEVICE = '/dev/fuse';

export default async function openDevice(): Promise<(() => Promise<void>) | undefined> {
  if (process.getuid?.() !== 0) return undefined;
  const mode = await stat(DEVICE).then(
    (found) => found.mode & 0o7777,
    () => undefined,
  );
  if (mode === undefined || (mode & 0o666) === 0o666) return undefined;
  await chmod(DEVICE, 0o666);
  return () => chmod(DEVICE, mode);
}
