/** link(2): several names of one inode. Changes of other clients: hard-links-elsewhere.test.ts. */
import { describe, expect, it } from 'vitest';
import type { MemoryProviderOptions } from '../../support/memory-provider.js';
import {
  creating,
  dieAt,
  emptying,
  errnoOf,
  type HarnessOptions,
  type Mounted,
  mounted,
  rested,
  settle,
  withFiles,
  writing,
} from '../harness.js';
import { ln, tree } from './hard-link-support.js';

describe('link', () => {
  it('gives one more name to one inode, without a request, and both say so after a remount', async () => {
    const m = await withFiles({ a: 'text', 'd/x': '' });
    await m.names('d');
    const before = await m.stat('a');
    m.clock.advance(1000);
    m.provider.counts();
    await ln(m, 'a', 'd/b');
    await ln(m, 'd/b', 'c');
    expect(m.provider.counts()).toEqual({});
    const after = await m.stat('c');
    expect(after).toMatchObject({ ino: before.ino, nlink: 3, mtime: before.mtime });
    expect(after.ctime).not.toEqual(before.ctime);
    const all = await tree(m);
    expect(all).toMatchObject({ a: `${before.ino} 3`, c: `${before.ino} 3`, 'd/b': `${before.ino} 3` });
    expect(await tree(await m.remount())).toEqual(all);
    expect(m.provider.other.tree()).toEqual({ a: 'text', 'd/x': '' });
  });

  it('shows through each name what is written through another, and stores it once', async () => {
    const m = await withFiles({ a: 'text' });
    await ln(m, 'a', 'b');
    m.provider.counts();
    await m.put('b', 'new text');
    expect(m.provider.counts()).toMatchObject({ upload: 1 });
    expect(await m.cat('a')).toBe('new text');
    await m.fs.setattr(await m.ino('a'), { mode: 0o600 });
    expect(await m.stat('b')).toMatchObject({ mode: 0o600, size: 8 });
    expect(m.provider.other.tree()).toEqual({ a: 'new text' });
  });

  it('takes open, unstored and special entries', async () => {
    const m = await mounted({ writeBack: true });
    const gate = m.provider.gate('upload');
    const handle = await m.create('a');
    await m.write(handle, 'one');
    await ln(m, 'a', 'b');
    await m.write(handle, 'two', 3);
    expect(await m.cat('b')).toBe('onetwo');
    await m.close(handle);
    await gate.reached;
    await ln(m, 'b', 'c');
    gate.open();
    await m.fs.uploader.drain();
    expect(m.provider.other.tree()).toEqual({ a: 'onetwo' });
    expect((await m.stat('c')).nlink).toBe(3);
    await m.fs.symlink(m.fs.root, 'l', Buffer.from('x'));
    await ln(m, 'l', 'm');
    expect(await m.stat('m')).toMatchObject({ kind: 'symlink', nlink: 2 });
    await m.rm('l');
    expect(await m.stat('m')).toMatchObject({ kind: 'symlink', nlink: 1 });
  });

  it('is refused as on a local disk', async () => {
    const m = await withFiles({ a: 'text', b: '' });
    await m.mkdir('d');
    expect(await errnoOf(ln(m, 'd', 'e'))).toBe('EPERM');
    expect(await errnoOf(ln(m, 'a', 'b'))).toBe('EEXIST');
    expect(await errnoOf(ln(m, 'a', 'n'.repeat(256)))).toBe('ENAMETOOLONG');
    const ino = await m.ino('a');
    const handle = await m.open('a');
    await m.rm('a');
    expect(await errnoOf(m.fs.link(ino, m.fs.root, 'c'))).toBe('ENOENT');
    await m.close(handle);
    expect(await errnoOf(ln(await m.remount({ readOnly: true }), 'b', 'c'))).toBe('EROFS');
  });

  it('makes a directory with only such a name not empty', async () => {
    const m = await withFiles({ a: 'text' });
    await m.mkdir('d');
    await ln(m, 'a', 'd/b');
    expect(await errnoOf(m.rmdir('d'))).toBe('ENOTEMPTY');
    await m.rm('d/b');
    await m.rmdir('d');
    expect((await m.stat('a')).nlink).toBe(1);
  });
});

const services: [string, MemoryProviderOptions['capabilities']][] = [
  ['that moves', {}],
  ['that cannot move', { moveFile: false }],
];

describe.each(services)('at a service %s', (_, capabilities) => {
  const moves = capabilities?.moveFile !== false;
  const options: HarnessOptions = { provider: { capabilities } };

  it('either name goes first, and the content stays under the other', async () => {
    const m = await withFiles({ a: 'text', 'd/x': '' }, options);
    await m.names('d');
    const ino = await m.ino('a');
    await ln(m, 'a', 'b');
    await ln(m, 'a', 'd/c');
    m.provider.counts();
    await m.rm('b');
    expect(m.provider.counts()).toEqual({});
    expect(await tree(m)).toMatchObject({ a: `${ino} 2`, 'd/c': `${ino} 2` });
    await m.rm('a');
    const { move } = m.provider.counts();
    expect(move).toBe(moves ? 1 : undefined);
    expect(await tree(m)).toMatchObject({ 'd/c': `${ino} 1` });
    expect(await m.names()).toEqual(['d']);
    expect(await m.cat('d/c')).toBe('text');
    expect(m.provider.other.tree()).toEqual({ 'd/c': 'text', 'd/x': '' });
    await m.rm('d/c');
    expect(m.provider.other.tree()).toEqual({ 'd/x': '' });
    expect(m.isClean()).toBe(true);
  });

  it('the first name of a file that is open for writing goes', async () => {
    const m = await withFiles({ a: 'text' }, options);
    await ln(m, 'a', 'b');
    const handle = await m.open('a', writing);
    await m.write(handle, 'TE');
    await m.rm('a');
    expect((await m.fs.getattr(await m.ino('b'))).nlink).toBe(1);
    await m.write(handle, 'X', 2);
    await m.close(handle);
    expect(m.provider.other.tree()).toEqual({ b: 'TEXt' });
    expect(await m.cat('b')).toBe('TEXt');
    expect(m.isClean()).toBe(true);
  });

  it('all go in the order of a listing with one more request than a file of one name costs', async () => {
    const m = await withFiles({ a: 'text' });
    for (let at = 0; at < 20; at++) await ln(m, 'a', `b${at}`);
    const names = (await m.fs.readdir(await m.ino(''))).map(({ name }) => name);
    m.provider.counts();
    for (const name of names) await m.rm(name);
    expect(m.provider.counts()).toEqual({ move: 1, trash: 1 });
    expect(m.provider.other.tree()).toEqual({});
  });

  it('with one request for all snapshots of a backup but the last, of which the oldest goes first', async () => {
    const m = await withFiles({ 'day0/a': 'text', 'day1/x': '', 'day2/x': '', 'day3/x': '' });
    for (const day of [1, 2, 3]) await ln(m, `day${day - 1}/a`, `day${day}/a`);
    m.provider.counts();
    for (const day of [0, 1, 2]) await m.rm(`day${day}/a`);
    expect(m.provider.counts()).toEqual({ move: 1 });
    expect(await m.cat('day3/a')).toBe('text');
  });

  it.each([['before'], ['after']] as const)('a crash %s the request for it loses nothing', async (when) => {
    const m = await withFiles({ a: 'text', 'd/x': '' }, options);
    await m.names('d');
    await ln(m, 'a', 'd/b');
    const ino = await m.ino('a');
    const again = await dieAt(m, { method: moves ? 'move' : 'upload', when }, () => m.rm('a'));
    await rested(again);
    await settle();
    const done = when === 'after';
    expect(await tree(again)).toMatchObject(done ? { 'd/b': `${ino} 1` } : { a: `${ino} 2`, 'd/b': `${ino} 2` });
    expect(await again.cat('d/b')).toBe('text');
    await expect
      .poll(() => again.provider.other.tree())
      .toEqual(done ? { 'd/b': 'text', 'd/x': '' } : { a: 'text', 'd/x': '' });
  });

  /** What is renamed, over what; both are names of inodes with two names each. */
  const cases = [
    ['a1', 'b1'],
    ['a1', 'b2'],
    ['a2', 'b1'],
    ['a2', 'b2'],
    ['a1', 'new'],
    ['a2', 'new'],
    ['a1', 'single'],
    ['a2', 'single'],
    ['single', 'b1'],
    ['single', 'b2'],
    ['a2', 'unstored'],
    ['unstored', 'b1'],
    ['unstored', 'b2'],
  ] as const;

  it.each(cases)('rename of %s over %s', async (from, to) => {
    const m = await withFiles({ a1: 'a', b1: 'b', single: 's' }, options);
    await ln(m, 'a1', 'a2');
    await ln(m, 'b1', 'b2');
    const handle = await m.create('unstored');
    await m.write(handle, 'u');
    const content: Record<string, string> = { a1: 'a', a2: 'a', b1: 'b', b2: 'b', single: 's', unstored: 'u' };
    const moved = await m.ino(from);
    await m.mv(from, to);
    await m.close(handle);
    content[to] = content[from] ?? '';
    delete content[from];
    expect(await m.ino(to)).toBe(moved);
    const check = async (at: Mounted): Promise<void> => {
      expect(await at.names()).toEqual(Object.keys(content).toSorted());
      for (const [name, text] of Object.entries(content)) {
        expect(await at.cat(name)).toBe(text);
        const count = Object.values(content).filter((other) => other === text).length;
        expect(await at.stat(name)).toMatchObject({ nlink: count });
      }
    };
    await check(m);
    expect(Object.values(m.provider.other.tree()).toSorted()).toEqual([...new Set(Object.values(content))].toSorted());
    expect(m.isClean()).toBe(true);
    await check(await m.remount());
  });

  it('rename of one name over another of the same inode does nothing', async () => {
    const m = await withFiles({ a: 'text' }, options);
    await ln(m, 'a', 'b');
    await m.mv('a', 'b');
    await m.mv('b', 'a');
    expect(await m.names()).toEqual(['a', 'b']);
  });
});

describe('a crash while a name with others is replaced', () => {
  it.each([
    ['before', 1],
    ['after', 1],
    ['before', 2],
    ['after', 2],
  ] as const)('%s request %d leaves it one or the other', async (when, nth) => {
    const m = await withFiles({ a: 'new', b: 'old' });
    await ln(m, 'b', 'c');
    const again = await dieAt(m, { method: 'move', nth, when }, () => m.mv('a', 'b'));
    await rested(again);
    await settle();
    const done = !(nth === 1 && when === 'before');
    expect(await again.names()).toEqual(done ? ['b', 'c'] : ['a', 'b', 'c']);
    expect(await again.cat('b')).toBe(done ? 'new' : 'old');
    expect(await again.cat('c')).toBe('old');
  });
});

describe('a large directory', () => {
  it('shows all names of all inodes, each once, in an order that stays', async () => {
    const count = 3000;
    const m = await withFiles({ a: 'text' });
    await m.mkdir('d');
    const parent = await m.ino('d');
    const ino = await m.ino('a');
    m.core.table.transaction(() => {
      for (let n = 0; n < count; n++) m.core.table.addName(ino, parent, `l${n}`);
    });
    const entries = await m.fs.readdir(parent);
    expect(entries).toHaveLength(count);
    expect(new Set(entries.map(({ name }) => name)).size).toBe(count);
    const positions = entries.map(({ position }) => position ?? 0);
    expect(positions).toEqual(positions.toSorted((a, b) => a - b));
    expect((await m.stat('a')).nlink).toBe(count + 1);
    await m.put('d/file', '');
    await m.mv('d/l7', 'd/m7');
    expect((await m.fs.readdir(parent)).map(({ name }) => name)).toEqual([
      'file',
      ...entries.map(({ name }) => (name === 'l7' ? 'm7' : name)),
    ]);
  });
});

describe('names that are looked up often', () => {
  it('are right in memory too', async () => {
    const m = await withFiles({ a: 'text' });
    await ln(m, 'a', 'b');
    const look = async (name: string): Promise<number | undefined> => (await m.fs.lookup(m.fs.root, name))?.nlink;
    for (let n = 0; n < 200; n++) await look('none');
    expect([await look('a'), await look('b'), await look('c')]).toEqual([2, 2, undefined]);
    await ln(m, 'a', 'c');
    await m.rm('a');
    await m.mv('c', 'e');
    expect(await Promise.all(['a', 'b', 'c', 'e'].map(look))).toEqual([undefined, 2, undefined, 2]);
    await m.put('c', 'other');
    expect(await m.cat('c')).toBe('other');
    await m.create('a', emptying);
    expect(await Promise.all(['a', 'b', 'c', 'e'].map(look))).toEqual([1, 2, 1, 2]);
  });
});

describe('a file of O_TMPFILE', () => {
  it('gets its first name by a link, and is stored from then on', async () => {
    const m = await mounted();
    const { handle, attributes } = await m.fs.create(m.fs.root, null, 0o640, creating);
    await m.write(handle, 'made ');
    await m.fs.fsync(handle);
    await m.fs.link(attributes.ino, m.fs.root, 'a');
    expect(await m.pending()).toEqual(['/a synced']);
    await ln(m, 'a', 'b');
    await m.write(handle, 'and named', 5);
    await m.close(handle);
    expect(await m.cat('b')).toBe('made and named');
    expect(m.provider.other.tree()).toEqual({ a: 'made and named' });
    expect(m.isClean()).toBe(true);
  });

  it('that was removed since, or never had such a name, gets none', async () => {
    const m = await mounted();
    const { handle, attributes } = await m.fs.create(m.fs.root, null, 0o640, creating);
    await m.fs.link(attributes.ino, m.fs.root, 'a');
    await m.rm('a');
    expect(await errnoOf(m.fs.link(attributes.ino, m.fs.root, 'b'))).toBe('ENOENT');
    await m.close(handle);
    expect(m.provider.other.tree()).toEqual({});
    expect(m.isClean()).toBe(true);
  });

  it('has its first name whole, or none, before whichever write of the journal the process dies', async () => {
    let left = Number.POSITIVE_INFINITY;
    const onStatement = (statement: unknown): void => {
      // From its death on the process writes nothing.
      if (/^\s*(INSERT|UPDATE|DELETE|COMMIT)\b/i.test(String(statement)) && --left < 0) throw new Error('dead');
    };
    const outcomes: string[] = [];
    for (let step = 0; outcomes.at(-1) !== 'answered'; step++) {
      const m = await mounted({ onStatement });
      const { handle, attributes } = await m.fs.create(m.fs.root, null, 0o640, creating);
      await m.write(handle, 'made ');
      await m.fs.fsync(handle);
      left = step;
      const answer = await Promise.resolve(m.fs.link(attributes.ino, m.fs.root, 'a')).then(
        () => 'answered',
        () => 'died',
      );
      left = Number.POSITIVE_INFINITY;
      const revived = await m.crash();
      await settle();
      const names = await revived.names();
      outcomes.push(names.length > 0 && answer === 'died' ? 'died with its name' : answer);
      if (answer === 'answered') expect(names).toEqual(['a']);
      if (names.length > 0) {
        expect(await revived.cat('a')).toBe('made ');
        expect(await revived.stat('a')).toMatchObject({ nlink: 1, mode: 0o640, size: 5 });
      }
      revived.fs.retryFailed();
      await revived.fs.uploader.drain();
      expect(revived.provider.other.tree()).toEqual(names.length > 0 ? { a: 'made ' } : {});
      expect(revived.isClean()).toBe(true);
    }
    // Each of these is a place where it died, and a mount after it.
    expect(outcomes.filter((outcome) => outcome === 'died').length).toBeGreaterThan(2);
  });
});
