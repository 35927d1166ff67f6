// Works on files for the soak driver: one JSON object a line in, one out, any number at a time. Descriptors stay open
// between calls. It is a process of its own because the sandbox lives in the driver's, which must never wait for a mount.
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import * as fs from 'node:fs';
import { lstat, open, readdir, readlink } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { promisify } from 'node:util';

const write = promisify(fs.write);

async function writeAll({ fd, data, at }) {
  const bytes = Buffer.from(data, 'base64');
  for (let done = 0; done < bytes.length; ) {
    const { bytesWritten } = await write(fd, bytes, done, bytes.length - done, at === null ? null : at + done);
    done += bytesWritten;
  }
}

/** To the end: Node's readFile takes a short read for it, which a mount that dies under a read gives before its error. */
async function readAll(path) {
  const file = await open(path);
  try {
    const pieces = [];
    for (;;) {
      const { buffer, bytesRead } = await file.read(Buffer.alloc(256 * 1024), 0, 256 * 1024, null);
      if (bytesRead === 0) return Buffer.concat(pieces);
      pieces.push(buffer.subarray(0, bytesRead));
    }
  } finally {
    await file.close();
  }
}

/** Node.js has no call for it. */
async function mkfifo(path) {
  const { stderr } = await promisify(execFile)('mkfifo', [path], { env: { ...process.env, LC_ALL: 'C' } }).catch(
    (error) => error,
  );
  if (stderr !== '') throw Object.assign(new Error(stderr), { code: fs.existsSync(path) ? 'EEXIST' : 'EIO' });
}

/** Everything below a directory: folders, links, FIFOs, and files with size, MD5, inode number and number of names. */
async function tree(top, path = '') {
  const entries = await readdir(join(top, path), { withFileTypes: true });
  const below = await Promise.all(
    entries.map(async (entry) => {
      const name = join(path, entry.name);
      if (entry.isDirectory()) return [{ path: name, kind: 'directory' }, ...(await tree(top, name))];
      if (entry.isSymbolicLink()) return [{ path: name, kind: 'link', target: await readlink(join(top, name)) }];
      if (entry.isFIFO()) return [{ path: name, kind: 'fifo' }];
      const content = await readAll(join(top, name));
      const md5 = createHash('md5').update(content).digest('hex');
      const { ino, nlink } = await lstat(join(top, name));
      return [{ path: name, kind: 'file', size: content.length, md5, ino, links: nlink }];
    }),
  );
  return below.flat();
}

const calls = {
  open: ({ path, flags }) => promisify(fs.open)(path, flags, 0o644),
  write: writeAll,
  fsync: ({ fd }) => promisify(fs.fsync)(fd),
  close: ({ fd }) => promisify(fs.close)(fd),
  truncate: ({ path, size }) => promisify(fs.truncate)(path, size),
  rename: ({ path, to }) => promisify(fs.rename)(path, to),
  unlink: ({ path }) => promisify(fs.unlink)(path),
  mkdir: ({ path }) => promisify(fs.mkdir)(path),
  symlink: ({ target, path }) => promisify(fs.symlink)(target, path),
  link: ({ path, to }) => promisify(fs.link)(path, to),
  mkfifo: ({ path }) => mkfifo(path),
  rmdir: ({ path }) => promisify(fs.rmdir)(path),
  read: async ({ path }) => (await readAll(path)).toString('base64'),
  tree: ({ path }) => tree(path),
};

createInterface({ input: process.stdin }).on('line', async (line) => {
  const { id, call, ...args } = JSON.parse(line);
  let answer;
  try {
    answer = { id, result: (await calls[call](args)) ?? null };
  } catch (error) {
    answer = { id, error: error.code ?? 'error', message: error.message };
  }
  process.stdout.write(`${JSON.stringify(answer)}\n`);
});
