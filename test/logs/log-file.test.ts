import { execFileSync } from 'node:child_process';
import {
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  truncateSync,
  utimesSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { RotatedFile } from '../../src/mount/logging/log-file.js';
import { readLog } from '../../src/mount/logging/read-log.js';
import { TestClock } from '../support/test-clock.js';

let directory: string;
let path: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'syncmount-log-'));
  path = join(directory, 'work.log');
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

const clock = new TestClock();
const small = { maxSize: 20, keep: 3, maxAge: null };
const files = (): Record<string, string> =>
  Object.fromEntries(
    readdirSync(directory)
      .sort()
      .map((name) => [name, readFileSync(join(directory, name), 'utf8')]),
  );

describe('a log file', () => {
  it('is renamed at its size, and only so many are kept', () => {
    const log = new RotatedFile(path, small, clock);
    for (const line of 'abcdefg') log.write(`line ${line} ..\n`);
    expect(files()).toEqual({
      'work.log': 'line g ..\n',
      'work.log.1': 'line e ..\nline f ..\n',
      'work.log.2': 'line c ..\nline d ..\n',
    });
  });

  it('begins a new line behind one of which the disk took a part', () => {
    // The system writes up to the limit of a file's size, as up to the last free byte.
    const limit = (bytes: number | 'unlimited') =>
      execFileSync('prlimit', ['--pid', `${process.pid}`, `--fsize=${bytes}:`]);
    const log = new RotatedFile(path, { ...small, maxSize: 1000 }, clock);
    limit(12);
    try {
      for (const line of ['line one\n', 'line two\n', 'lost\n']) log.write(line);
    } finally {
      limit('unlimited');
    }
    log.write('line three\n');
    expect(files()).toEqual({ 'work.log': 'line one\nlin\nline three\n' });
  });

  it('goes on where an earlier process has ended, and drops what is too much by now', () => {
    new RotatedFile(path, small, clock).write('0123456789\n');
    const log = new RotatedFile(path, { ...small, keep: 1 }, clock);
    log.write('short\n');
    log.write('one more\n');
    expect(files()).toEqual({ 'work.log': 'one more\n' });
  });

  it('is closed after its time, and removed when it is as old', () => {
    const log = new RotatedFile(path, { maxSize: 1000, keep: 9, maxAge: 60_000 }, clock);
    log.write('one\n');
    clock.advance(60_001);
    log.write('two\n');
    expect(files()).toEqual({ 'work.log': 'two\n', 'work.log.1': 'one\n' });
    utimesSync(`${path}.1`, new Date(), new Date(clock.now() - 60_001));
    new RotatedFile(path, { maxSize: 1000, keep: 9, maxAge: 60_000 }, clock);
    expect(files()).toEqual({ 'work.log': 'two\n' });
  });

  it('that logrotate has emptied (copytruncate) is not renamed before it is full again', () => {
    const log = new RotatedFile(path, small, clock);
    log.write('0123456789012\n');
    truncateSync(path);
    for (const line of ['one\n', 'two two\n', 'three\n']) log.write(line);
    expect(files()).toEqual({ 'work.log': 'one\ntwo two\nthree\n' });
    log.write('four four\n');
    expect(files()).toEqual({ 'work.log': 'four four\n', 'work.log.1': 'one\ntwo two\nthree\n' });
  });

  it('that logrotate has moved is begun anew, and so is one that another process has rotated', () => {
    const log = new RotatedFile(path, small, clock);
    const other = new RotatedFile(path, small, clock);
    log.write('first\n');
    renameSync(path, `${path}-moved`);
    log.reopen();
    log.write('second second\n');
    expect(files()).toEqual({ 'work.log': 'second second\n', 'work.log-moved': 'first\n' });
    other.write('of the other process\n');
    other.write('of the other\n');
    expect(files()['work.log']).toBe('second second\nof the other\n');
    expect(existsSync(`${path}.1`)).toBe(false);
  });
});

describe('reading a log', () => {
  const all = async (): Promise<(string | null)[]> => {
    const lines: (string | null)[] = [];
    for await (const line of readLog(path, clock, false)) lines.push(line);
    return lines;
  };

  it('begins with the oldest file', async () => {
    const log = new RotatedFile(path, { maxSize: 20, keep: 30, maxAge: null }, clock);
    const lines = Array.from({ length: 20 }, (_, at) => `line ${at} ..`);
    for (const line of lines) log.write(`${line}\n`);
    expect(await all()).toEqual(lines);
  });

  it('has the last words behind the last line, and reads letters that lie in two pieces', async () => {
    const log = new RotatedFile(path, { maxSize: 1e9, keep: 1, maxAge: null }, clock);
    const long = `x${'ä'.repeat(100_000)}`;
    log.write(`${long}\nlast words`);
    expect(await all()).toEqual([long, 'last words']);
  });

  it('fails where there is none', async () => {
    await expect(all()).rejects.toMatchObject({ code: 'ENOENT' });
  });

  it('goes on over renames, however many there are between two looks', async () => {
    const log = new RotatedFile(path, { ...small, keep: 20 }, clock);
    log.write('line 0 ..\n');
    const following = readLog(path, clock, true);
    const next = async (): Promise<string | null | undefined> => {
      const found = following.next();
      // Whoever waits for the next look gets it.
      await new Promise((done) => setTimeout(done, 0));
      clock.advance(1000);
      return (await found).value;
    };
    expect([await next(), await next()]).toEqual(['line 0 ..', null]);
    for (let at = 1; at < 9; at++) log.write(`line ${at} ..\n`);
    for (let at = 1; at < 9; at++) expect(await next()).toBe(`line ${at} ..`);
    expect(await next()).toBeNull();
    await following.return(undefined);
  });
});
