import { closeSync, ftruncateSync, mkdtempSync, openSync, rmSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { WriteWatch } from '../../src/spool/write-watch.js';

describe('WriteWatch', () => {
  let directory: string;
  let ours: number;
  let theirs: number;
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'syncmount-test-'));
    ours = openSync(join(directory, 'f'), 'w+');
    theirs = openSync(join(directory, 'f'), 'r+');
  });
  afterEach(() => {
    for (const fd of [ours, theirs]) closeSync(fd);
    rmSync(directory, { recursive: true });
  });

  it('sees that nothing was written', async () => {
    writeSync(theirs, 'before');
    const watch = new WriteWatch(ours);
    expect(watch.look()).toEqual({ size: 6, writtenAt: null, isChanged: false });
    expect(await watch.seal()).toEqual({ size: 6, writtenAt: null, isChanged: false });
  });

  it('sees every write once, with its time', async () => {
    const watch = new WriteWatch(ours);
    const began = Math.floor(Date.now() / 1000) - 1;
    writeSync(theirs, 'one');
    const first = watch.look();
    expect(first).toMatchObject({ size: 3, isChanged: true });
    expect(first.writtenAt?.sec).toBeGreaterThanOrEqual(began);
    expect(watch.look()).toEqual({ ...first, isChanged: false });
    // What was seen may not have been all of it: within one tick of the clock, nobody can tell.
    expect(await watch.seal()).toEqual(first);
    expect(await watch.seal()).toEqual({ size: 3, writtenAt: null, isChanged: false });
  });

  it('after a seal sees each write, however soon it follows, also one that changes no size', async () => {
    const watch = new WriteWatch(ours);
    writeSync(theirs, 'x');
    for (let i = 0; i < 500; i++) {
      expect((await watch.seal()).isChanged).toBe(true);
      writeSync(theirs, 'y', 0);
    }
    expect((await watch.seal()).isChanged).toBe(true);
    expect(watch.look().isChanged).toBe(false);
  });

  it('sees a truncation', async () => {
    writeSync(theirs, 'before');
    const watch = new WriteWatch(ours);
    ftruncateSync(theirs, 2);
    expect(watch.look()).toMatchObject({ size: 2, isChanged: true });
  });
});
