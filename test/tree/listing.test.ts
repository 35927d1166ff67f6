import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { atOnce } from '../../src/base/event-loop-turns.js';
import type { StateDatabase } from '../../src/base/sqlite.js';
import { openDatabase } from '../../src/base/sqlite.js';
import type { RemoteEntry, RemoteFile, RemoteFolder } from '../../src/providers/provider.js';
import type { Ino } from '../../src/tree/inode.js';
import { InodeTable } from '../../src/tree/inode-table.js';
import { LocalChanges } from '../../src/tree/listing.js';
import { merging } from '../../src/tree/merge.js';
import { stateMigrations } from '../../src/tree/state-schema.js';

const file = (id: string, name: string, more: Partial<RemoteFile> = {}): RemoteFile => ({
  kind: 'file',
  id,
  parentId: 'root',
  name,
  size: 1,
  modified: 1000,
  md5: id.padStart(32, '0'),
  access: 'write',
  ...more,
});
const folder = (id: string, name: string, parentId: string | null = 'root'): RemoteFolder => ({
  kind: 'folder',
  id,
  parentId,
  name,
  modified: 1000,
  access: 'write',
  fileCount: null,
  folderCount: null,
});

let state: StateDatabase;
let table: InodeTable;
let changes: LocalChanges;
let root: Ino;
let statements = 0;

beforeEach(() => {
  state = openDatabase(':memory:', stateMigrations, false, () => statements++);
  table = new InodeTable(state.sql);
  changes = new LocalChanges();
  root = table.insert({ parent: null, name: '', kind: 'directory', remote: folder('root', '', null) }).ino;
});
afterEach(() => state.close());

const merge = (entries: RemoteEntry[], parent = root, since = changes.begin()) => {
  const merged = table.transaction(() => atOnce(merging(table, parent, entries, { changes, since }, 5000)));
  changes.end();
  return merged;
};
const names = (parent = root) =>
  table
    .children(parent)
    .map((child) => child.name)
    .toSorted();

describe('merging a listing', () => {
  it('shows a file with a temporary name under its own name, unless that is taken, and no unfinished upload', () => {
    merge([file('1', 'a'), file('2', 'b')]);
    const unfinished = file('9', '.syncmount-0123456789ab.part');
    merge([file('1', '.syncmount-old-0123456789ab-a'), file('2', 'b'), unfinished]);
    expect(names()).toEqual(['a', 'b']);
    expect(table.child(root, 'a')?.remote).toMatchObject({ id: '1', name: 'a' });
    merge([file('1', '.syncmount-5.old'), file('2', 'a'), unfinished]);
    expect(names()).toEqual(['a']);
    expect(table.child(root, 'a')?.remote?.id).toBe('2');
    merge([file('3', '.syncmount-mine')]);
    expect(names()).toEqual(['.syncmount-mine']);
  });

  it('adds, keeps inode numbers, renames, removes, and reports which names changed', () => {
    expect([...merge([file('1', 'a'), file('2', 'b'), folder('3', 'd')]).names].toSorted()).toEqual(['a', 'b', 'd']);
    const a = table.child(root, 'a')?.ino;
    const merged = merge([file('1', 'renamed'), folder('3', 'd')]);
    expect([...merged.names].toSorted()).toEqual(['a', 'b', 'renamed']);
    expect(table.child(root, 'renamed')?.ino).toBe(a);
    expect(names()).toEqual(['d', 'renamed']);
    expect(table.get(root)?.listedAt).toBe(5000);
  });

  it('takes few statements for many new objects, and finds those that lay elsewhere among them', () => {
    merge([folder('d', 'dir')]);
    const directory = table.child(root, 'dir')?.ino ?? 0;
    merge([file('7', 'seven'), file('50', 'fifty')], directory);
    const known = [table.byRemote('file', '7')?.ino, table.byRemote('file', '50')?.ino];
    const all = Array.from({ length: 200 }, (_, i) => file(String(i), `name ${i}`));
    const before = statements;
    merge([folder('d', 'dir'), ...all]);
    expect(statements - before).toBeLessThan(100);
    expect(table.children(root)).toHaveLength(201);
    for (const { id, name } of all) expect(table.child(root, name)?.remote?.id).toBe(id);
    expect([table.child(root, 'name 7')?.ino, table.child(root, 'name 50')?.ino]).toEqual(known);
    expect(names(directory)).toEqual([]);
    expect(new InodeTable(state.sql).children(root)).toEqual(table.children(root));
  });

  it('changes and reports nothing when nothing changed', () => {
    const entries = [file('1', 'a'), file('2', 'a'), folder('3', 'a/b')];
    merge(entries);
    const before = table.children(root);
    const merged = merge(entries.toReversed());
    expect(merged.names.size + merged.attributes.length + merged.contents.length).toBe(0);
    expect(table.children(root)).toEqual(before);
  });

  it('swaps names that were swapped', () => {
    merge([file('1', 'a'), file('2', 'b')]);
    const [a, b] = [table.child(root, 'a')?.ino, table.child(root, 'b')?.ino];
    merge([file('1', 'b'), file('2', 'a')]);
    expect([table.child(root, 'b')?.ino, table.child(root, 'a')?.ino]).toEqual([a, b]);
  });

  it('tells a file and a folder of one id apart', () => {
    merge([file('1', 'a'), folder('1', 'b')]);
    expect(names()).toEqual(['a', 'b']);
  });

  it('recognizes an object that moved from another folder', () => {
    merge([file('1', 'a'), folder('2', 'd')]);
    const ino = table.child(root, 'a')?.ino;
    const d = table.child(root, 'd')?.ino ?? 0;
    merge([file('1', 'a', { parentId: '2' })], d);
    expect(table.child(d, 'a')?.ino).toBe(ino);
    expect(names()).toEqual(['d']);
  });

  it('recognizes a moved object also if its old folder was listed first', () => {
    merge([file('1', 'a'), folder('2', 'd')]);
    const ino = table.child(root, 'a')?.ino;
    merge([folder('2', 'd')]);
    const d = table.child(root, 'd')?.ino ?? 0;
    merge([file('1', 'a', { parentId: '2' })], d);
    expect(table.child(d, 'a')?.ino).toBe(ino);
  });

  it('drops the times of other content, keeps the mode, and reports the content', () => {
    merge([file('1', 'a')]);
    const ino = table.child(root, 'a')?.ino ?? 0;
    table.updateOverlay(ino, { mode: 0o600, mtime: { sec: 1, nsec: 0 } });
    expect(merge([file('1', 'a', { modified: 2000 })]).contents).toEqual([]);
    expect(table.get(ino)?.overlay.mtime).toEqual({ sec: 1, nsec: 0 });
    expect(merge([file('1', 'a', { md5: 'f'.repeat(32) })]).contents).toEqual([ino]);
    expect(table.get(ino)?.overlay).toMatchObject({ mode: 0o600, mtime: null });
  });

  it('shows duplicates and impossible names, each as its own object', () => {
    merge([file('1', 'a'), file('2', 'a'), file('3', 'x/y')]);
    expect(names()).toEqual(['a', 'a (~f2)', 'x%2Fy']);
    expect(table.child(root, 'a (~f2)')?.remote?.id).toBe('2');
    expect(table.child(root, 'x%2Fy')?.remote?.name).toBe('x/y');
  });
});

describe('a listing that is older than what this mount did meanwhile', () => {
  it('does not restore removed objects, remove new ones, or undo a rename', () => {
    merge([file('1', 'removed'), file('2', 'old name')]);
    const since = changes.begin();
    const [removed, renamed] = ['removed', 'old name'].map((name) => table.child(root, name)?.ino ?? 0);
    table.update(removed ?? 0, { parent: null, remote: null });
    changes.note('file', '1');
    table.update(renamed ?? 0, { name: 'new name', remote: file('2', 'new name') });
    changes.note('file', '2');
    table.insert({ parent: root, name: 'made', kind: 'file', remote: file('3', 'made') });
    changes.note('file', '3');
    table.transaction(() =>
      atOnce(merging(table, root, [file('1', 'removed'), file('2', 'old name')], { changes, since }, 1)),
    );
    changes.end();
    expect(names()).toEqual(['made', 'new name']);
  });

  it('does not forget changes while another listing is still under way', () => {
    const since = changes.begin();
    changes.note('file', '9');
    changes.begin();
    changes.end();
    expect(changes.changedSince('file', '9', since)).toBe(true);
    changes.end();
    expect(changes.changedSince('file', '9', since)).toBe(false);
  });
});

describe('files with content that is not stored yet', () => {
  it('keep their names when the provider does not have them any more', () => {
    merge([file('1', 'a')]);
    const { ino } = table.update(table.child(root, 'a')?.ino ?? 0, { localSize: 3 });
    merge([]);
    expect(table.get(ino)).toMatchObject({ parent: root, name: 'a', remote: null, localSize: 3 });
  });

  it('keep their names when another client has replaced the old file by another of that name', () => {
    merge([file('1', 'a')]);
    const { ino } = table.update(table.child(root, 'a')?.ino ?? 0, { localSize: 3 });
    merge([file('2', 'a')]);
    expect(table.child(root, 'a')?.ino).toBe(ino);
    expect(names()).toEqual(['a']);
  });

  it('keep their names when a folder of the same name appears, which is shown under another name', () => {
    table.insert({ parent: root, name: 'a', kind: 'file', localSize: 0 });
    merge([folder('2', 'a')]);
    expect(names()).toEqual(['a', 'a (~d2)']);
  });

  it('do not hide a known file that was renamed to their name', () => {
    merge([file('1', 'b')]);
    const { ino } = table.update(table.child(root, 'b')?.ino ?? 0, { localSize: 7 });
    table.insert({ parent: root, name: 'a', kind: 'file', localSize: 0 });
    merge([file('1', 'a')]);
    expect(table.get(ino)).toMatchObject({ parent: root, name: 'a (~f1)' });
  });

  it('keep the times that were set here when the remote content changes', () => {
    merge([file('1', 'a')]);
    const { ino } = table.update(table.child(root, 'a')?.ino ?? 0, { localSize: 3 });
    table.updateOverlay(ino, { mtime: { sec: 9, nsec: 9 } });
    merge([file('1', 'a', { md5: 'e'.repeat(32) })]);
    expect(table.get(ino)?.overlay.mtime).toEqual({ sec: 9, nsec: 9 });
  });
});

describe('the inode table', () => {
  it('answers from disk what it answered from memory', () => {
    merge([file('1', 'a', { md5: null, access: 'read' }), { ...folder('2', 'd'), fileCount: 11, folderCount: 12 }]);
    const a = table.child(root, 'a')?.ino ?? 0;
    table.update(a, { localSize: 13, confirmedAt: 14 });
    table.update(table.child(root, 'd')?.ino ?? 0, { listedAt: 15 });
    const times = { atime: { sec: -5, nsec: 999_999_999 }, mtime: { sec: 6, nsec: 7 }, ctime: { sec: 8, nsec: 9 } };
    table.updateOverlay(a, { mode: 0o1755, uid: 1, gid: 2, ...times });
    const again = new InodeTable(state.sql);
    for (const inode of [table.get(root), ...table.children(root)]) expect(again.get(inode?.ino ?? 0)).toEqual(inode);
    expect(new InodeTable(state.sql).children(root)).toEqual(table.children(root));
    expect(again.countAtMost()).toBe(3);
  });

  it('rolls back memory and disk when a transaction fails', () => {
    merge([file('1', 'a')]);
    const before = table.child(root, 'a');
    expect(() =>
      table.transaction(() => {
        table.update(before?.ino ?? 0, { name: 'b' });
        throw new Error('no');
      }),
    ).toThrow('no');
    expect(table.child(root, 'a')).toEqual(before);
    expect(table.child(root, 'b')).toBeUndefined();
  });

  it('never uses an inode number twice', () => {
    const { ino } = table.insert({ parent: null, name: 'gone', kind: 'file' });
    table.sweep(new Set());
    expect(table.get(ino)).toBeUndefined();
    expect(table.insert({ parent: root, name: 'new', kind: 'file' }).ino).toBeGreaterThan(ino);
  });

  it('removes orphans, with everything below them and their attributes, and nothing else', () => {
    merge([folder('2', 'd'), file('1', 'a')]);
    const d = table.child(root, 'd')?.ino ?? 0;
    merge([file('3', 'x', { parentId: '2' }), folder('4', 'e', '2')], d);
    const e = table.child(d, 'e')?.ino ?? 0;
    merge([file('5', 'y', { parentId: '4' })], e);
    const y = table.child(e, 'y')?.ino ?? 0;
    state.sql.prepare('INSERT INTO xattr VALUES (?, ?, ?)').run(y, 'user.k', Buffer.from('v'));
    merge([file('1', 'a')]);
    table.sweep(new Set());
    expect(state.sql.prepare('SELECT COUNT(*) FROM inode').pluck().get()).toBe(2);
    expect(state.sql.prepare('SELECT COUNT(*) FROM xattr').pluck().get()).toBe(0);
    expect(names()).toEqual(['a']);
  });

  it('keeps the rows of contents that are not stored yet, and the folders above them', () => {
    merge([folder('2', 'd')]);
    const d = table.child(root, 'd')?.ino ?? 0;
    merge([file('3', 'x', { parentId: '2' })], d);
    const x = table.child(d, 'x')?.ino ?? 0;
    merge([]);
    table.sweep(new Set([x]));
    expect(table.get(x)?.parent).toBe(d);
    expect(table.get(d)?.name).toBe('d');
  });
});
