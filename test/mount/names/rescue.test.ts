import {
  closeSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { openDatabase } from '../../../src/base/sqlite.js';
import { setStateAside } from '../../../src/mount/state/state-quarantine.js';
import { Journal } from '../../../src/spool/journal.js';
import { completeState } from '../../../src/spool/spool-state.js';
import { InodeTable } from '../../../src/tree/inode-table.js';
import { stateMigrations } from '../../../src/tree/state-schema.js';

const BOOT = 'the boot in which all was written';
const PAGE = 4096;

type Table = 'inode' | 'upload' | 'kept';

/** An account with `d/small`, which only the log holds, and `d/large`, whose spool file was synced. */
function account() {
  const directory = mkdtempSync(join(tmpdir(), 'syncmount-test-'));
  onTestFinished(() => rmSync(directory, { recursive: true, force: true }));
  mkdirSync(join(directory, 'spool'));
  const database = join(directory, 'state.db');
  const { sql, close } = openDatabase(database, stateMigrations);
  const table = new InodeTable(sql);
  const journal = new Journal(sql);
  const root = table.insert({ parent: null, name: '', kind: 'directory' }).ino;
  const parent = table.insert({ parent: root, name: 'd', kind: 'directory' }).ino;
  const add = (name: string, spool: string, bytes: string): void => {
    const { ino } = table.insert({ parent, name, kind: 'file', localSize: bytes.length });
    const content = completeState(bytes.length);
    const rest = { base: null, checkpoint: null, attempts: [], code: null, message: null, since: 0 };
    journal.put({ ino, spool, state: 'queued', content, ...rest });
    writeFileSync(join(directory, 'spool', spool), bytes);
    if (name === 'small') journal.putInline(ino, Buffer.from(bytes), BOOT);
  };
  add('small', '1', 'what close() accepted');
  add('large', '2', 'x'.repeat(100_000));
  const pageOf = (name: Table): number =>
    sql.prepare('SELECT rootpage FROM sqlite_master WHERE name = ?').pluck().get(name) as number;
  const pages = { inode: pageOf('inode'), upload: pageOf('upload'), kept: pageOf('kept') };
  close();
  return {
    spool: join(directory, 'spool'),
    damage(name: Table): void {
      const fd = openSync(database, 'r+');
      writeSync(fd, Buffer.alloc(PAGE, 0xa5), 0, PAGE, (pages[name] - 1) * PAGE);
      closeSync(fd);
    },
    /** What is found where, by path; long contents by their length. */
    rescue(boot: string | null): { contents: number; files: Record<string, string | number> } {
      const rescued = setStateAside(directory, new Date(0), boot);
      const files: Record<string, string | number> = {};
      for (const path of readdirSync(rescued.directory, { recursive: true, encoding: 'utf8' })) {
        if (!/^(contents|parts|unsynced|unknown)\//.test(path)) continue;
        try {
          const text = readFileSync(join(rescued.directory, path), 'utf8');
          files[path] = text.length > 100 ? text.length : text;
        } catch (error) {
          expect((error as { code?: unknown }).code).toBe('EISDIR');
        }
      }
      return { contents: rescued.contents, files };
    },
  };
}

const small = 'what close() accepted';

describe('contents of a damaged state database', () => {
  it.each<[string, (path: string) => void]>([
    ['empty', (path) => truncateSync(path, 0)],
    ['missing', (path) => rmSync(path)],
  ])('come from the log where a power cut left the spool file %s', (_what, cut) => {
    const state = account();
    cut(join(state.spool, '1'));
    expect(state.rescue('another boot')).toEqual({
      contents: 2,
      files: { 'contents/d/small': small, 'contents/d/large': 100_000 },
    });
  });

  it.each([
    ['cut short', 'what cl'],
    ['full of zeros', '\0'.repeat(small.length)],
  ])('come from the log where a power cut left the spool file %s, which is kept beside it', (_what, left) => {
    const state = account();
    writeFileSync(join(state.spool, '1'), left);
    expect(state.rescue('another boot')).toEqual({
      contents: 2,
      files: { 'contents/d/small': small, 'unsynced/d/small': left, 'contents/d/large': 100_000 },
    });
  });

  it('are in one place where spool file and log agree', () => {
    const state = account();
    expect(state.rescue('another boot').files).not.toHaveProperty('unsynced/d/small');
  });

  it('come from the spool file in the same boot, with what was written since', () => {
    const state = account();
    writeFileSync(join(state.spool, '1'), `${small}, and more`);
    expect(state.rescue(BOOT)).toEqual({
      contents: 2,
      files: { 'contents/d/small': `${small}, and more`, 'contents/d/large': 100_000 },
    });
  });

  it('come from the log where the spool file is short in the same boot', () => {
    const state = account();
    writeFileSync(join(state.spool, '1'), 'what');
    expect(state.rescue(BOOT).files).toMatchObject({ 'contents/d/small': small });
  });

  it('come from the log where nothing else tells of them', () => {
    const state = account();
    state.damage('upload');
    expect(state.rescue('another boot')).toEqual({
      contents: 3,
      files: { 'contents/d/small': small, 'unknown/1': small, 'unknown/2': 100_000 },
    });
  });

  it('come from the spool file where the log cannot be read', () => {
    const state = account();
    state.damage('kept');
    expect(state.rescue('another boot').files).toEqual({ 'contents/d/small': small, 'contents/d/large': 100_000 });
  });

  it('are there without their names where those cannot be read', () => {
    const state = account();
    state.damage('inode');
    writeFileSync(join(state.spool, '1'), '');
    expect(Object.values(state.rescue('another boot').files).map(String).sort()).toEqual(['100000', small]);
  });
});
