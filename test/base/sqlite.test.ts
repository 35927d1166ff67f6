import { cpSync, mkdtempSync, readdirSync, renameSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { codeOf } from '../../src/base/errors.js';
import { singleFlight } from '../../src/base/single-flight.js';
import { openDatabase, openSql } from '../../src/base/sqlite.js';
import { WriteAheadLog } from '../../src/base/write-ahead-log.js';

let path: string;
beforeEach(() => {
  path = join(mkdtempSync(join(tmpdir(), 'syncmount-sqlite-')), 'state.db');
});
afterEach(() => rmSync(join(path, '..'), { recursive: true, force: true }));

const codeFrom = (act: () => unknown): string | undefined => {
  try {
    act();
  } catch (error) {
    return codeOf(error);
  }
  return undefined;
};

describe('openDatabase', () => {
  const one = 'CREATE TABLE a (x INTEGER)';
  const two = 'ALTER TABLE a ADD COLUMN y TEXT';

  it('is the only one that has it, until it is closed', () => {
    const database = openDatabase(path, [one]);
    expect(codeFrom(() => openDatabase(path, [one]))).toBe('locked');
    database.close();
    openDatabase(path, [one]).close();
  });

  it('brings an older schema up to date, and keeps what is in it', () => {
    let database = openDatabase(path, [one]);
    database.sql.exec('INSERT INTO a VALUES (1)');
    database.close();
    database = openDatabase(path, [one, two]);
    expect(database.sql.prepare('SELECT * FROM a').all()).toEqual([{ x: 1, y: null }]);
    database.close();
  });

  it('refuses what a newer version wrote', () => {
    openDatabase(path, [one, two]).close();
    expect(codeFrom(() => openDatabase(path, [one]))).toBe('newer');
    openDatabase(path, [one, two]).close();
  });

  it('rolls back a migration that fails, and closes the file', () => {
    expect(codeFrom(() => openDatabase(path, [one, 'no sql at all']))).toBe('database');
    const database = openDatabase(path, [one]);
    expect(database.sql.prepare('SELECT COUNT(*) FROM a').pluck().get()).toBe(0);
    database.close();
  });

  it('reads the whole file to check it, unless that is the very one that was closed', () => {
    const checks = (): number => {
      let count = 0;
      const note = (statement: unknown): void => {
        if (String(statement).includes('quick_check')) count++;
      };
      openDatabase(path, [one], true, note).close();
      return count;
    };
    expect(checks()).toBe(1);
    expect(checks()).toBe(0);
    // A copy is another file, even if nothing else about it differs.
    cpSync(path, `${path}.copy`, { preserveTimestamps: true });
    renameSync(`${path}.copy`, path);
    expect(checks()).toBe(1);
    utimesSync(path, new Date(), new Date());
    expect(checks()).toBe(1);
    expect(checks()).toBe(0);
  });

  it('checks a file whose process died', () => {
    openDatabase(path, [one], true).close();
    const dying = openDatabase(path, [one], true);
    dying.sql.exec('INSERT INTO a VALUES (1)');
    // As kill -9 leaves them: the file, and the log beside it.
    const left = mkdtempSync(join(tmpdir(), 'syncmount-sqlite-'));
    for (const name of readdirSync(dirname(path))) cpSync(join(dirname(path), name), join(left, name));
    dying.close();
    const statements: string[] = [];
    openDatabase(join(left, 'state.db'), [one], true, (text) => statements.push(String(text))).close();
    expect(statements.some((text) => text.includes('quick_check'))).toBe(true);
    rmSync(left, { recursive: true });
  });

  it('says in one line what is wrong with a file that is no database', () => {
    writeFileSync(path, 'something else, and long enough to be looked at as a header '.repeat(20));
    expect(codeFrom(() => openDatabase(path, [one]))).toBe('damaged');
    expect(codeFrom(() => openDatabase(join(path, 'below', 'a', 'file'), [one]))).toBe('database');
  });

  it('makes what was committed durable, from the first moment on', async () => {
    const database = openDatabase(path, [one]);
    await database.durable();
    database.sql.exec('INSERT INTO a VALUES (1)');
    await Promise.all([database.durable(), database.durable()]);
    database.close();
    const again = openDatabase(path, [one]);
    await again.durable();
    again.close();
  });
});

describe('singleFlight', () => {
  const controlled = () => {
    const runs: { end: () => void; fail: (error: Error) => void }[] = [];
    const act = singleFlight(
      () => new Promise<void>((resolve, reject) => void runs.push({ end: resolve, fail: reject })),
    );
    return { runs, act };
  };
  const turn = () => new Promise<void>((resolve) => setImmediate(resolve));

  it('shares one later run among all who come during a run', async () => {
    const { runs, act } = controlled();
    const done: string[] = [];
    const note = (name: string) => () => void done.push(name);
    const all = [act().then(note('1')), act().then(note('2')), act().then(note('3'))];
    expect(runs).toHaveLength(1);
    runs[0]?.end();
    await turn();
    expect(done).toEqual(['1']);
    expect(runs).toHaveLength(2);
    all.push(act().then(note('4')));
    runs[1]?.end();
    await turn();
    expect(done).toEqual(['1', '2', '3']);
    runs[2]?.end();
    await Promise.all(all);
    expect(runs).toHaveLength(3);
  });

  it('runs again after a failure, which only its own callers hear of', async () => {
    const { runs, act } = controlled();
    const first = act();
    const second = act();
    runs[0]?.fail(new Error('no'));
    await expect(first).rejects.toThrow('no');
    await turn();
    runs[1]?.end();
    await second;
    const third = act();
    runs[2]?.end();
    await third;
  });
});

describe('a disk that does not take the log', () => {
  /** What the database has without its log, as after a power cut that took the log. */
  const onDisk = (): unknown[] => {
    const copy = join(dirname(path), 'copy.db');
    cpSync(path, copy);
    const sql = openSql(copy, {});
    const rows = sql.prepare('SELECT x FROM a').pluck().all();
    sql.close();
    return rows;
  };

  it('is told once by the kernel: then all is written to another place before anybody is promised anything', async () => {
    const { sql, close } = openDatabase(path, ['CREATE TABLE a (x INTEGER)']);
    sql.pragma('wal_checkpoint(TRUNCATE)');
    const answers = [new Error('EIO'), null];
    const log = new WriteAheadLog(sql, path, async () => {
      const answer = answers.shift();
      if (answer instanceof Error) throw answer;
    });
    sql.exec('INSERT INTO a VALUES (1)');
    const [first, alike] = [log.durable(), log.durable()];
    await expect(first).rejects.toThrow('EIO');
    await alike;
    expect(onDisk()).toEqual([1]);
    sql.exec('INSERT INTO a VALUES (2)');
    await log.durable();
    // Nothing is in doubt any more: the log is enough.
    expect(onDisk()).toEqual([1]);
    close();
    log.close();
  });
});
