/** Removes everything that this machine keeps of an account: its state, its spool, its cache and its log. */
import { existsSync, readdirSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { codeOf } from '../../base/errors.js';
import { readFrom, type Sql } from '../../base/sqlite.js';
import type { StoredAccount } from '../../config/accounts.js';
import type { BaseDirectories } from '../../config/base-directories.js';
import { rotatedFiles } from '../logging/log-file.js';
import { unnamedContents } from './journal-contents.js';
import { identityOf } from './same-account.js';

/** Data that would be lost with the state of an account. */
export interface Unstored {
  /** Another process has the account mounted. */
  readonly isInUse: boolean;
  /** The journal cannot be read, so its contents are unknown. */
  readonly isUnreadable: boolean;
  /** Contents that the service does not have, including those that were rescued from a damaged state. */
  readonly contents: number;
  /** Packs of metadata with changes that the account does not have. */
  readonly metadata: number;
}

type Places = Pick<BaseDirectories, 'state' | 'cache'>;

/** Looks at the state of an account that is not mounted. */
export function unstoredOf(name: string, stored: StoredAccount, places: Places): Unstored {
  const directory = stateOf(name, stored, places);
  const path = join(directory, 'state.db');
  const found = readFrom(path, (sql) => ({
    contents: countIn(sql, 'SELECT count(*) FROM upload'),
    metadata: countIn(sql, 'SELECT count(*) FROM metadata_own_pack WHERE changes > 0'),
  }));
  const rescued = unnamedContents(directory).length + namesIn(join(directory, 'rescued')).length;
  if (found === 'locked') return { isInUse: true, isUnreadable: false, contents: rescued, metadata: 0 };
  if (found === 'none') return { isInUse: false, isUnreadable: existsSync(path), contents: rescued, metadata: 0 };
  return { isInUse: false, isUnreadable: false, contents: found.contents + rescued, metadata: found.metadata };
}

/**
 * Removes everything. An interrupted purge leaves no half state, because directories are renamed first; a later purge removes the renamed
 * ones. Throws the system's error.
 */
export function purge(name: string, stored: StoredAccount, places: Places): void {
  const identity = identityOf(name, stored);
  for (const parent of [places.cache, join(places.state, 'accounts')]) {
    const doomed = join(parent, `${identity}.removed`);
    rmSync(doomed, { recursive: true, force: true });
    try {
      renameSync(join(parent, identity), doomed);
    } catch (error) {
      if (codeOf(error) !== 'ENOENT') throw error;
    }
    rmSync(doomed, { recursive: true, force: true });
  }
  const log = join(places.state, 'log', `${name}.log`);
  for (const path of [log, ...rotatedFiles(log).map((file) => file.path)]) rmSync(path, { force: true });
}

function stateOf(name: string, stored: StoredAccount, { state }: Places): string {
  return join(state, 'accounts', identityOf(name, stored));
}

/** 0 if the database is of an older version without that table. */
function countIn(sql: Sql, statement: string): number {
  try {
    return sql.prepare(statement).pluck().get() as number;
  } catch (error) {
    if (codeOf(error) === 'SQLITE_ERROR') return 0;
    throw error;
  }
}

function namesIn(directory: string): string[] {
  return existsSync(directory) ? readdirSync(directory) : [];
}
