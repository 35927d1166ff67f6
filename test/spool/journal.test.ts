import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { systemClock } from '../../src/base/clock.js';
import { openDatabase, type StateDatabase } from '../../src/base/sqlite.js';
import { Journal, type UploadRow } from '../../src/spool/journal.js';
import { Spool } from '../../src/spool/spool.js';
import { stateMigrations } from '../../src/tree/state-schema.js';

const row: UploadRow = {
  ino: 7,
  spool: '1a',
  state: 'queued',
  content: {
    size: 100,
    baseEnd: 60,
    present: [
      [10, 20],
      [50, 100],
    ],
  },
  base: { kind: 'file', id: 'x', parentId: 'd', name: 'ü/"', size: 60, modified: 5, md5: 'ab', access: 'write' },
  checkpoint: { uploadId: 'u', parts: [1, 2] },
  attempts: ['0123456789abcdef0123456789abcdef'],
  code: null,
  message: null,
  since: 1000,
};

describe('the journal', () => {
  let state: StateDatabase;
  let journal: Journal;
  beforeEach(() => {
    state = openDatabase(':memory:', stateMigrations);
    journal = new Journal(state.sql);
  });
  afterEach(() => state.close());

  it('gives back what it was given', () => {
    journal.put(row);
    expect(journal.get(7)).toEqual(row);
    const bare = { ...row, ino: 8, base: null, checkpoint: null, content: { size: 0, baseEnd: 0, present: [] } };
    journal.put(bare);
    expect(journal.get(8)).toEqual(bare);
    expect(journal.get(9)).toBeUndefined();
  });

  it('deletes the mark of a removed file with the next change, and not that of a newer file of the same name', () => {
    const stands = (): unknown[] => state.sql.prepare('SELECT spool FROM dropped ORDER BY spool').pluck().all();
    journal.put({ ...row, ino: 1, spool: 'a' });
    journal.stored(1);
    journal.garbageRemoved('a');
    expect(stands()).toEqual(['a']);
    journal.put({ ...row, ino: 2, spool: 'b' });
    journal.stored(2);
    expect(stands()).toEqual(['b']);
    journal.garbageRemoved('b');
    // Its name is used again: what was said of the earlier file does not count for this one.
    journal.put({ ...row, ino: 3, spool: 'b' });
    journal.stored(3);
    journal.put({ ...row, ino: 4, spool: 'c' });
    journal.remove(4);
    expect(journal.garbage()).toEqual(['b', 'c']);
    journal.garbageRemoved('b');
    journal.forgetRemovedGarbage();
    expect(stands()).toEqual(['c']);
  });

  it('says of a content that is sent what the provider may hold, and nothing of an earlier failure', () => {
    journal.put(row);
    journal.setState(7, 'failed', { code: 'EIO', message: 'why' });
    journal.sending(7, ['x', 'y']);
    expect(journal.get(7)).toEqual({ ...row, state: 'uploading', attempts: ['x', 'y'] });
    journal.sending(7, ['x'], { v: 1 });
    expect(journal.get(7)).toEqual({ ...row, state: 'uploading', attempts: ['x'], checkpoint: { v: 1 } });
    journal.sending(7, ['z']);
    expect(journal.get(7)).toMatchObject({ attempts: ['z'], checkpoint: { v: 1 } });
  });

  it('lists the spool files that are garbage until they are removed', () => {
    for (const [ino, spool] of [
      [1, 'a'],
      [2, 'b'],
      [3, 'c'],
    ] as const)
      journal.put({ ...row, ino, spool });
    journal.remove(1);
    journal.stored(2);
    journal.orphan(3);
    journal.markGarbage('d');
    expect(journal.garbage()).toEqual(['a', 'b', 'd']);
    journal.garbageRemoved('a');
    // One that a row names is wanted again.
    journal.put({ ...row, ino: 4, spool: 'd' });
    expect(journal.garbage()).toEqual(['b']);
  });

  it('lists the oldest first', () => {
    for (const [ino, since] of [
      [1, 30],
      [2, 10],
      [3, 20],
    ] as const)
      journal.put({ ...row, ino, since });
    expect(journal.all().map(({ ino }) => ino)).toEqual([2, 3, 1]);
  });

  it('changes state, reason, checkpoint and base, each without the others', () => {
    journal.put(row);
    journal.setState(7, 'failed', { code: 'ENOSPC', message: 'full' });
    expect(journal.get(7)).toEqual({ ...row, state: 'failed', code: 'ENOSPC', message: 'full' });
    journal.setState(7, 'queued');
    journal.setCheckpoint(7, { uploadId: 'v' });
    expect(journal.get(7)).toEqual({ ...row, checkpoint: { uploadId: 'v' } });
    journal.setBase(7, null);
    expect(journal.get(7)?.base).toBeNull();
    journal.remove(7);
    expect(journal.all()).toEqual([]);
  });

  it('keeps the checkpoints of abandoned uploads until they are forgotten', () => {
    journal.put(row);
    journal.changing(7, 'open');
    journal.setCheckpoint(7, { uploadId: 'second' });
    journal.put({ ...row, checkpoint: null });
    journal.setCheckpoint(7, { uploadId: 'third' });
    journal.remove(7);
    journal.put(row);
    journal.stored(7);
    expect(journal.all()).toEqual([]);
    const abandoned = journal.abandoned();
    expect(abandoned.map(({ checkpoint }) => checkpoint)).toEqual([
      row.checkpoint,
      { uploadId: 'second' },
      { uploadId: 'third' },
    ]);
    for (const { id } of abandoned.slice(1)) journal.forgetAbandoned(id);
    expect(journal.abandoned()).toEqual(abandoned.slice(0, 1));
  });

  it('forgets what was sent of a content that changes', () => {
    journal.put({ ...row, state: 'failed', code: 'EIO', message: 'x' });
    journal.changing(7, 'synced');
    expect(journal.get(7)).toEqual({ ...row, state: 'synced', checkpoint: null });
  });

  it('cuts the ranges of a content that is truncated', () => {
    journal.put(row);
    journal.shrink(7, 200);
    expect(journal.get(7)).toEqual(row);
    journal.shrink(7, 55);
    expect(journal.get(7)?.content).toEqual({
      size: 55,
      baseEnd: 55,
      present: [
        [10, 20],
        [50, 55],
      ],
    });
    journal.shrink(8, 0);
  });
});

describe('the spool directory', () => {
  let directory: string;
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'syncmount-spool-'));
  });
  afterEach(() => rmSync(directory, { recursive: true, force: true }));

  it('never gives a name twice while anything of that name may be left', async () => {
    const clock = { ...systemClock, now: () => 1 };
    const first = await new Spool(directory, { clock }).create(null);
    writeFileSync(join(directory, 'z'), 'left by a crash');
    mkdirSync(join(directory, 'rescued'));
    writeFileSync(join(directory, 'rescued', '11'), 'rescued');
    const spool = new Spool(directory, { clock });
    spool.reserveNames(['12', 'not a number of ours']);
    const second = await spool.create(null);
    expect(first.name).toBe('1');
    expect(second.name).toBe('13');
    await first.file.remove();
    await second.file.remove();
  });

  it('never gives a name again that nothing here tells of any more', async () => {
    const clock = { ...systemClock, now: () => 1_764_457_200_000 };
    const first = await new Spool(directory, { clock }).create(null);
    await first.file.remove();
    const later = { ...clock, now: () => clock.now() + 60_000 };
    const second = await new Spool(directory, { clock: later }).create(null);
    expect(second.name).not.toBe(first.name);
    await second.file.remove();
  });

  it('sets content aside that no row names, and removes empty files', async () => {
    writeFileSync(join(directory, '1'), 'content');
    writeFileSync(join(directory, '2'), '');
    writeFileSync(join(directory, '3'), 'named');
    const spool = new Spool(directory);
    expect(spool.sweep(new Set(['3']), new Set())).toEqual(['1']);
    expect(readdirSync(directory).toSorted()).toEqual(['3', 'rescued']);
    expect(readFileSync(join(directory, 'rescued', '1'), 'utf8')).toBe('content');
    expect(spool.sweep(new Set(['3']), new Set())).toEqual([]);
  });

  it('removes garbage, unless a row names it all the same', () => {
    writeFileSync(join(directory, '1'), 'unwanted');
    writeFileSync(join(directory, '2'), 'named');
    writeFileSync(join(directory, '3'), 'neither');
    expect(new Spool(directory).sweep(new Set(['2']), new Set(['1', '2', '4']))).toEqual(['3']);
    expect(readdirSync(directory).toSorted()).toEqual(['2', 'rescued']);
  });

  it('leaves nothing behind when a file cannot be made', async () => {
    const spool = new Spool(directory);
    rmSync(directory, { recursive: true });
    await expect(spool.create(null)).rejects.toThrow(/ENOENT/);
  });

  it('makes files that only their owner can read', async () => {
    const { file } = await new Spool(join(directory, 'spool')).create(null);
    expect((await import('node:fs')).statSync(file.path).mode & 0o777).toBe(0o600);
    expect((await import('node:fs')).statSync(join(directory, 'spool')).mode & 0o777).toBe(0o700);
    await file.remove();
  });
});
