// The least work of a client that keeps small files until they are stored. For each: a file, a row with the content in SQLite's log, a sync
// of the log, the MD5, the request, a rename of the file into the cache, and the deletion of the row. There are no requests of a kernel.
import { createHash } from 'node:crypto';
import { closeSync, fdatasync, mkdirSync, openSync, renameSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import Database from 'better-sqlite3';
import { answerOf, input, output } from './program.mjs';

const { requests, connections, directory, bytes } = await input();
for (const name of ['spool', 'cache']) mkdirSync(join(directory, name), { recursive: true });
const sql = new Database(join(directory, 'state.db'));
sql.pragma('journal_mode = WAL');
sql.pragma('synchronous = NORMAL');
sql.exec('CREATE TABLE pending (name TEXT PRIMARY KEY, content BLOB)');
const log = openSync(join(directory, 'state.db-wal'), 'r');
const sync = promisify(fdatasync);
const put = sql.prepare('INSERT INTO pending VALUES (?, ?)');
const remove = sql.prepare('DELETE FROM pending WHERE name = ?');

await output(async () => {
  const waiting = requests.entries();
  const storeNext = async () => {
    for (const [n, request] of waiting) {
      const data = Buffer.alloc(bytes, n % 251);
      const path = join(directory, 'spool', String(n));
      const fd = openSync(path, 'wx');
      writeSync(fd, data);
      closeSync(fd);
      put.run(String(n), data);
      await sync(log);
      createHash('md5').update(data).digest('hex');
      let answer = '';
      for await (const part of await answerOf(request, data)) answer += part;
      JSON.parse(answer);
      renameSync(path, join(directory, 'cache', String(n)));
      remove.run(String(n));
    }
  };
  await Promise.all(Array.from({ length: connections }, storeNext));
});
