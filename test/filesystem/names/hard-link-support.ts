/** Names of hard links in tests of the filesystem. */
import type { Mounted } from '../harness.js';

export async function ln(m: Mounted, from: string, to: string): Promise<void> {
  const { parent, name } = await m.split(to);
  await m.fs.link(await m.ino(from), parent, name);
}

/** All names, in all directories, with their inode numbers and link counts. */
export async function tree(m: Mounted, path = ''): Promise<Record<string, string>> {
  const found: Record<string, string> = {};
  for (const { name, attributes } of await m.fs.readdir(await m.ino(path))) {
    const at = path === '' ? name : `${path}/${name}`;
    if (attributes.kind === 'directory') Object.assign(found, await tree(m, at));
    else found[at] = `${attributes.ino} ${attributes.nlink}`;
  }
  return found;
}
