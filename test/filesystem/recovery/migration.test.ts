/**
 * The state of a mount of version 0.1.0, as its process left it when it was killed (`test/fixtures/state-0.1.0`, made by that version on
 * its sandbox): `docs/a.txt` was stored and then overwritten, `new.txt` was never stored, both uploads were under way.
 */
import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import Database from 'better-sqlite3';
import { describe, expect, it } from 'vitest';
import { stateMigrations } from '../../../src/tree/state-schema.js';
import type { MemoryProvider } from '../../support/memory-provider.js';
import { type HarnessOptions, type Mounted, mounted } from '../harness.js';

const stateDirectory = resolve('test/fixtures/state-0.1.0');
const options: HarnessOptions = { writeBack: true, stateDirectory };
/** What the service had then, under the ids that it had given. */
const ids = {
  'docs/deep/b.bin': 'XrK8Q691qC',
  'docs/deep': '9AaDm7Ma',
  'docs/a.txt': 'Y40iN4h7R0',
  docs: '-IoQ2bIx',
  '': '8-w_UlZv',
};
const stored = { 'docs/a.txt': 'hello\n', 'docs/deep/b.bin': 'x'.repeat(100_000) };

function fill({ other }: MemoryProvider): void {
  for (const [path, content] of Object.entries(stored)) other.put(path, content);
  other.identify(ids);
  // Of the second before the overwrite: what the service had is still what the content started from.
  const node = other.at('docs/a.txt');
  if (node !== undefined) node.modified = 1795859942842;
}

const everything = { ...stored, 'docs/a.txt': 'second version, not stored\n', 'new.txt': 'never stored\n' };

describe('the state database of version 0.1.0', () => {
  it('is of the first schema', () => {
    const sql = new Database(resolve(stateDirectory, 'state.db'), { readonly: true });
    expect(sql.pragma('user_version', { simple: true })).toBe(1);
    sql.close();
    expect(stateMigrations.length).toBeGreaterThan(1);
  });

  it('is taken over with inode numbers, modes, owners, times, attributes and what was not stored', async () => {
    const m = await mounted(options, fill);
    const sql = m.core.state.sql;
    expect(sql.pragma('user_version', { simple: true })).toBe(stateMigrations.length);
    expect(await m.stat('docs/a.txt')).toMatchObject({ ino: 4, size: 27, mode: 0o640 });
    expect(await m.stat('docs/deep/b.bin')).toMatchObject({
      ino: 5,
      size: 100_000,
      mtime: { sec: 1580702706, nsec: 789_000_000 },
    });
    expect(await m.stat('new.txt')).toMatchObject({ ino: 6, size: 13 });
    expect(Buffer.from((await m.fs.getxattr(4, 'user.note')) ?? []).toString()).toBe('kept here');
    expect(await m.cat('docs/a.txt')).toBe(everything['docs/a.txt']);
    expect(await m.cat('new.txt')).toBe(everything['new.txt']);
  });

  it('stores what that version had not stored', async () => {
    const m: Mounted = await mounted(options, fill);
    await m.fs.uploader.drain();
    expect(m.provider.other.tree()).toEqual(everything);
    expect(m.isClean()).toBe(true);
    const again = await m.remount({ writeBack: true });
    expect(await again.cat('docs/a.txt')).toBe(everything['docs/a.txt']);
    expect(await again.stat('docs/a.txt')).toMatchObject({ ino: 4, mode: 0o640 });
  });

  it('is not changed by a later version that a program of this one meets', async () => {
    const m = await mounted(options, fill);
    m.core.state.sql.pragma(`user_version = ${stateMigrations.length + 1}`);
    await expect(m.remount()).rejects.toMatchObject({ code: 'newer' });
    // The fixture itself is as it was.
    expect(readFileSync(resolve(stateDirectory, 'spool/3'), 'utf8')).toBe(everything['new.txt']);
  });
});
