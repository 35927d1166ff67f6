import { mkdir, mkdtemp, readdir, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, test } from 'vitest';
import { createBelow } from '../../src/base/create-below.js';
import { decodeName } from '../../src/base/raw-names.js';

describe('a file made below a directory', () => {
  let top: string;
  let target: string;
  beforeEach(async () => {
    top = await mkdtemp(join(tmpdir(), 'syncmount-below-'));
    target = join(top, 'target');
    await mkdir(target);
    await mkdir(join(top, 'elsewhere'));
  });
  afterEach(() => rm(top, { recursive: true }));

  const make = async (path: string): Promise<string> => {
    const made = await createBelow(target, path);
    await made.file.writeFile('content');
    await made.keep();
    return made.path.slice(target.length);
  };

  test.each([
    ['/a.txt', '/a.txt'],
    ['/a/b/c.txt', '/a/b/c.txt'],
    ['a//b.txt', '/a/b.txt'],
    ['/../../out', '/%2E%2E/%2E%2E/out'],
    ['/a/../../../out', '/a/%2E%2E/%2E%2E/%2E%2E/out'],
    ['/.', '/%2E'],
    ['/..', '/%2E%2E'],
    ['/.hidden/..x', '/.hidden/..x'],
    ['/nul\0', '/nul%00'],
    ['', '/%2E'],
  ])('%j is %s', async (path, place) => {
    expect(await make(path)).toBe(place);
    expect(await readFile(join(target, place), 'utf8')).toBe('content');
    expect((await stat(join(target, place))).mode & 0o777).toBe(0o600);
    expect(await readdir(top)).toEqual(['elsewhere', 'target']);
  });

  it.runIf(process.platform === 'linux')('gets the bytes of names that are not UTF-8', async () => {
    const [directory, name] = [Buffer.from('d\xe9', 'latin1'), Buffer.from('caf\xe9\xff', 'latin1')];
    const made = await make(`/${decodeName(directory)}/${decodeName(name)}`);
    expect(made).toBe(`/${decodeName(directory)}/${decodeName(name)}`);
    expect(await readdir(target, { encoding: 'buffer' })).toEqual([directory]);
    const inside = Buffer.concat([Buffer.from(`${target}/`), directory]);
    expect(await readdir(inside, { encoding: 'buffer' })).toEqual([name]);
    await expect(make(`/${decodeName(directory)}/${decodeName(name)}`)).rejects.toMatchObject({ code: 'EEXIST' });
  });

  it('follows no link on the way, and none at its end', async () => {
    await symlink(join(top, 'elsewhere'), join(target, 'link'));
    await symlink(join(top, 'elsewhere/new'), join(target, 'dangling'));
    await writeFile(join(target, 'file'), '');
    await expect(make('/link/a.txt')).rejects.toMatchObject({
      code: 'in-the-way',
      message: `${target}/link is a link, not a directory`,
    });
    await expect(make('/link/deep/a.txt')).rejects.toMatchObject({ code: 'in-the-way' });
    await expect(make('/file/a.txt')).rejects.toMatchObject({ code: 'in-the-way' });
    await expect(make('/dangling')).rejects.toMatchObject({ code: 'EEXIST' });
    await expect(make('/file')).rejects.toMatchObject({ code: 'EEXIST' });
    expect(await readdir(join(top, 'elsewhere'))).toEqual([]);
  });

  it('goes again where its content cannot be written', async () => {
    const made = await createBelow(target, '/a/b.txt');
    await made.discard();
    expect(await readdir(join(target, 'a'))).toEqual([]);
  });
});
