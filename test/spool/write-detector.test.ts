import { closeSync, ftruncateSync, mkdtempSync, openSync, rmSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { WriteDetector } from '../../src/spool/write-detector.js';

describe('WriteDetector', () => {
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
    const detector = new WriteDetector(ours);
    expect(detector.check()).toEqual({ size: 6, writtenAt: null, isChanged: false });
    expect(await detector.rearm()).toEqual({ size: 6, writtenAt: null, isChanged: false });
  });

  it('sees every write once, with its time', async () => {
    const detector = new WriteDetector(ours);
    const began = Math.floor(Date.now() / 1000) - 1;
    writeSync(theirs, 'one');
    const first = detector.check();
    expect(first).toMatchObject({ size: 3, isChanged: true });
    expect(first.writtenAt?.sec).toBeGreaterThanOrEqual(began);
    expect(detector.check()).toEqual({ ...first, isChanged: false });
    // What was seen may not have been all of it: within one tick of the clock, nobody can tell.
    expect(await detector.rearm()).toEqual(first);
    expect(await detector.rearm()).toEqual({ size: 3, writtenAt: null, isChanged: false });
  });

  it('once rearmed sees each write, however soon it follows, also one that changes no size', async () => {
    const detector = new WriteDetector(ours);
    writeSync(theirs, 'x');
    for (let i = 0; i < 500; i++) {
      expect((await detector.rearm()).isChanged).toBe(true);
      writeSync(theirs, 'y', 0);
    }
    expect((await detector.rearm()).isChanged).toBe(true);
    expect(detector.check().isChanged).toBe(false);
  });

  it('sees a truncation', async () => {
    writeSync(theirs, 'before');
    const detector = new WriteDetector(ours);
    ftruncateSync(theirs, 2);
    expect(detector.check()).toMatchObject({ size: 2, isChanged: true });
  });
});
