/** A `Filesystem` that records every call, and always gives the same plausible answer. */
import type { Attributes, Filesystem } from '../../src/filesystem/api.js';

export const someAttributes: Attributes = {
  ...{ ino: 41, kind: 'file', size: 1000, mode: 0o640, nlink: 1, uid: 1, gid: 2 },
  atime: { sec: 1, nsec: 2 },
  mtime: { sec: -3, nsec: 4 },
  ctime: { sec: 5, nsec: 6 },
};

export type Call = [method: string, ...args: unknown[]];

/** The core's root is inode 7, as in `MemoryFilesystem`. */
export function recordingFilesystem(): { fs: Filesystem; calls: Call[] } {
  const calls: Call[] = [];
  const answers: Record<string, unknown> = {
    readdir: [{ name: 'entry', attributes: someAttributes }],
    open: { handle: 77, keepCache: true },
    create: { handle: 78, keepCache: false, attributes: someAttributes },
    read: 3,
    write: 11,
    seek: 4096,
    statfs: { total: 40960, free: 8192, files: 3, maxNameBytes: 255 },
    getxattr: Buffer.from('value'),
    listxattr: ['user.a', 'user.b'],
    ...{ lookup: someAttributes, getattr: someAttributes, setattr: someAttributes, mkdir: someAttributes },
    ...{ symlink: someAttributes, mknod: someAttributes, link: someAttributes, readlink: Buffer.from('target') },
  };
  const fixed: Record<string, unknown> = {
    root: 7,
    parentOf: () => 7,
    validity: () => 1500,
    onInvalidate: () => () => {},
    // About every object that goes.
    countsReferences: () => undefined,
    forgotten: () => undefined,
    // A binding asks for it at every open for reading, if the kernel offers passthrough.
    backing: () => null,
  };
  const fs = new Proxy({} as Filesystem, {
    get(_, name: string) {
      if (name in fixed) return fixed[name];
      return (...args: unknown[]) => {
        // Callers are looked at apart; buffers are the session's, and are copied as they are now.
        const kept = args
          .filter((arg) => !isCaller(arg))
          .map((arg) => (arg instanceof Uint8Array ? Buffer.from(arg) : arg));
        calls.push([name, ...kept]);
        return answers[name];
      };
    },
  });
  return { fs, calls };
}

const isCaller = (arg: unknown): boolean => typeof arg === 'object' && arg !== null && 'pid' in arg;
