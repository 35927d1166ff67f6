/** Makes files below a directory. Invariant: never outside of it, whatever the paths say and whatever lies there already. */
import { constants } from 'node:fs';
import { type FileHandle, lstat, mkdir, open, rm } from 'node:fs/promises';
import { join, sep } from 'node:path';
import { codeOf, SyncmountError } from './errors.js';
import { encodeName } from './raw-names.js';

export interface NewFile {
  readonly file: FileHandle;
  /** The file's path. */
  readonly path: string;
  close(): Promise<void>;
  /** Removes the file, because its content could not be written. */
  discard(): Promise<void>;
}

/**
 * Makes a new file at `path` below `directory` (mode 0600), and the directories between (0700). The path is text (raw-names.ts); on
 * Linux the disk gets the bytes that it stands for. A part of the path that means
 * another directory is escaped (`..` is `%2E%2E`). Symbolic links on the way are not followed.
 * Throws `EEXIST` where the file is there, and `SyncmountError` `in-the-way` where a link or a file stands for a directory.
 */
export async function createBelow(directory: string, path: string): Promise<NewFile> {
  const names = path.split('/').filter((name) => name !== '');
  const steps = names.map(plainName);
  const last = steps.pop() ?? '%2E';
  let at = await openDirectory(directory, 0);
  let shown = directory;
  try {
    for (const step of steps) {
      shown = join(shown, step);
      const next = await enter(at, step, shown);
      await at.close();
      at = next;
    }
    const parent = at;
    const place = placeIn(parent, last);
    const file = await open(place, 'wx', 0o600);
    const close = async (): Promise<void> => {
      await file.close();
      await parent.close();
    };
    const discard = async (): Promise<void> => {
      await rm(place, { force: true });
      await close();
    };
    return { file, path: join(shown, last), close, discard };
  } catch (error) {
    await at.close();
    throw error;
  }
}

/** An open directory: it stays the same one, even if its path is moved or replaced. */
interface OpenDirectory {
  /** For system calls. */
  readonly address: string;
  close(): Promise<void>;
}

async function openDirectory(path: string | Buffer, flags: number, shown = `${path}`): Promise<OpenDirectory> {
  const handle = await open(path, constants.O_RDONLY | constants.O_DIRECTORY | flags);
  // Node has no openat(2); on Linux the path through the open descriptor is as good. Other systems get the plain path.
  const address = process.platform === 'linux' ? `/proc/self/fd/${handle.fd}` : shown;
  let isOpen = true;
  return {
    address,
    async close() {
      if (isOpen) await handle.close();
      isOpen = false;
    },
  };
}

async function enter(parent: OpenDirectory, name: string, shown: string): Promise<OpenDirectory> {
  const place = placeIn(parent, name);
  await mkdir(place, { mode: 0o700 }).catch((error) => {
    if (codeOf(error) !== 'EEXIST') throw error;
  });
  try {
    return await openDirectory(place, constants.O_NOFOLLOW, shown);
  } catch (error) {
    const isOther = codeOf(error) === 'ELOOP' || codeOf(error) === 'ENOTDIR';
    if (!isOther) throw error;
    const what = (await lstat(place)).isSymbolicLink() ? 'a link' : 'a file';
    throw new SyncmountError('in-the-way', `${shown} is ${what}, not a directory`, { cause: error });
  }
}

function plainName(name: string): string {
  return /^\.\.?$/.test(name) ? name.replaceAll('.', '%2E') : name.replaceAll('\0', '%00');
}

/** Only Linux has names of any bytes: elsewhere no name here stands for others than its own. */
function placeIn({ address }: OpenDirectory, name: string): string | Buffer {
  if (process.platform !== 'linux') return join(address, name);
  return Buffer.concat([Buffer.from(address + sep), encodeName(name)]);
}
