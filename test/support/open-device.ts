/**
 * /dev/fuse is for everyone, as udev has it on every desktop and server. A container's /dev may be stricter: then it is so while the
 * tests run, some of which mount as another user.
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
