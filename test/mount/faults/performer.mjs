/**
 * The program that uses the mount: a process of its own, which may block in a system call while the sandbox answers.
 *
 * One JSON line in, `{id, steps}`; one out, `{id, errno, ms, seen}`. Steps run in order until one fails.
 */
import { createHash } from 'node:crypto';
import { mkdir, open, readdir, readFile, rename, rmdir, stat, statfs, unlink } from 'node:fs/promises';
import { constants } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

/** As `cp` and `cat` read. */
const PIECE = 128 * 1024;

const md5 = (data) => createHash('md5').update(data).digest('hex');

async function withFile(path, flags, use) {
  const file = await open(path, flags);
  try {
    return await use(file);
  } finally {
    // What close(2) answers is the program's business, and more so than what came before it.
    await file.close();
  }
}

/** Bytes until the end of the file or of `length`, by read(2) at rising offsets. */
async function readAll(file, offset, length) {
  const parts = [];
  for (let at = 0; at < length; ) {
    const piece = Buffer.alloc(Math.min(PIECE, length - at));
    const { bytesRead } = await file.read(piece, 0, piece.length, offset + at);
    if (bytesRead === 0) break;
    parts.push(piece.subarray(0, bytesRead));
    at += bytesRead;
  }
  return Buffer.concat(parts);
}

/** Everything below a directory: the md5 of files, `folder` for directories, by relative path. */
async function tree(path, prefix = '') {
  const found = {};
  for (const entry of await readdir(path, { withFileTypes: true })) {
    const name = `${prefix}${entry.name}`;
    if (entry.isDirectory()) Object.assign(found, { [name]: 'folder' }, await tree(join(path, entry.name), `${name}/`));
    else found[name] = md5(await readFile(join(path, entry.name)));
  }
  return found;
}

const acts = {
  list: async ({ path }) => (await readdir(path)).sort(),
  tree: ({ path }) => tree(path),
  stat: async ({ path }) => (await stat(path)).size,
  read: ({ path, offset = 0, length = Number.MAX_SAFE_INTEGER }) =>
    withFile(path, 'r', async (file) => md5(await readAll(file, offset, length))),
  write: ({ path, flags, source }) =>
    withFile(path, flags, async (file) => {
      const data = await readFile(source);
      for (let at = 0; at < data.length; at += PIECE) await file.write(data.subarray(at, at + PIECE));
    }),
  truncate: ({ path, size }) => withFile(path, 'r+', (file) => file.truncate(size)),
  mkdir: ({ path }) => mkdir(path),
  rmdir: ({ path }) => rmdir(path),
  unlink: ({ path }) => unlink(path),
  rename: ({ path, to }) => rename(path, to),
  free: async ({ path }) => (await statfs(path)).blocks > 0,
};

/** libuv has no name for some, such as ESTALE. */
function nameOf({ code, errno }) {
  const found = Object.entries(constants.errno).find(([, number]) => number === -errno);
  return found?.[0] ?? code ?? 'unknown';
}

async function perform({ id, steps }) {
  const begun = performance.now();
  const seen = [];
  let errno = null;
  try {
    for (const step of steps) seen.push((await acts[step.act](step)) ?? null);
  } catch (error) {
    errno = nameOf(error);
  }
  process.stdout.write(`${JSON.stringify({ id, errno, ms: Math.round(performance.now() - begun), seen })}\n`);
}

createInterface({ input: process.stdin }).on('line', (line) => void perform(JSON.parse(line)));
