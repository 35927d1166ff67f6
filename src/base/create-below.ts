/** Makes files below a directory. Invariant: never outside of it, for any path and any existing content of the directory. */
import { randomBytes } from 'node:crypto';
import { constants } from 'node:fs';
import { type FileHandle, link, lstat, mkdir, open, rename, rm } from 'node:fs/promises';
import { join, sep } from 'node:path';
import { codeOf, SyncmountError } from './errors.js';
import { encodeName } from './raw-names.js';

export interface NewFile {
  readonly file: FileHandle;
  /** The path of the file after `keep`. */
  readonly path: string;
  /** Call it after the content is written: syncs and closes the file, and gives it its name. Throws `EEXIST` if that is taken now. */
  keep(): Promise<void>;
  /** Removes the file, because its content could not be written. */
  discard(): Promise<void>;
}

/**
 * Makes a new file for `path` below `directory` (mode 0600), and the missing directories between (0700). Until all is written, the file
 * has a hidden name in the same directory. The path is text (raw-names.ts); on Linux the disk gets the bytes that it stands for. A part
 * of the path that means another directory is escaped (`..` is `%2E%2E`). Symbolic links on the way are not followed.
 * Throws `EEXIST` if the file exists, and `SyncmountError` `in-the-way` if a link or a file has the name of a directory.
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
    await requireFree(place);
    const temporary = placeIn(parent, `.syncmount-export-${randomBytes(6).toString('hex')}`);
    const file = await open(temporary, 'wx', 0o600);
    const discard = async (): Promise<void> => {
      await rm(temporary, { force: true });
      await file.close();
      await parent.close();
    };
    const keep = async (): Promise<void> => {
      await file.sync();
      await give(temporary, place);
      await parent.sync();
      await discard();
    };
    return { file, path: join(shown, last), keep, discard };
  } catch (error) {
    await at.close();
    throw error;
  }
}

async function requireFree(place: string | Buffer): Promise<void> {
  const there = await lstat(place).catch((error) => {
    if (codeOf(error) !== 'ENOENT') throw error;
    return null;
  });
  if (there !== null) throw new SyncmountError('EEXIST', 'exists there already');
}

/** Gives the file its name. link(2) replaces nothing. Without hard links (as on a USB stick), a check must come first. */
async function give(temporary: string | Buffer, place: string | Buffer): Promise<void> {
  try {
    await link(temporary, place);
  } catch (error) {
    if (!['EPERM', 'ENOSYS', 'ENOTSUP', 'EOPNOTSUPP'].includes(codeOf(error) ?? '')) throw error;
    await requireFree(place);
    await rename(temporary, place);
  }
}

/** An open directory. It stays the same one, even if its path is moved or replaced. */
interface OpenDirectory {
  /** The path of the directory in system calls. */
  readonly address: string;
  sync(): Promise<void>;
  close(): Promise<void>;
}

async function openDirectory(path: string | Buffer, flags: number, shown = `${path}`): Promise<OpenDirectory> {
  const handle = await open(path, constants.O_RDONLY | constants.O_DIRECTORY | flags);
  // Node has no openat(2); on Linux the path through the open descriptor is as good. Other systems get the plain path.
  const address = process.platform === 'linux' ? `/proc/self/fd/${handle.fd}` : shown;
  let isOpen = true;
  return {
    address,
    sync: () => handle.sync(),
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

/** Only Linux allows any bytes in names, so only there a name is encoded. */
function placeIn({ address }: OpenDirectory, name: string): string | Buffer {
  if (process.platform !== 'linux') return join(address, name);
  return Buffer.concat([Buffer.from(address + sep), encodeName(name)]);
}
