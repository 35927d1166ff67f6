/** The accounts that the user has logged in to. Invariant: one file each, readable only by its owner. */
import { readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { codeOf, messageOf, SyncmountError, UsageError } from '../base/errors.js';
import { type BaseDirectories, privateDirectory } from './base-directories.js';

const providers = ['4shared', '4sync', '5sync', 'acronis'] as const;

export interface StoredAccount {
  readonly provider: (typeof providers)[number];
  readonly endpoints: Record<string, string>;
  readonly credentials: Record<string, string>;
  /** The provider's id of the user, from login. The account's state belongs to this user, even if the account's local name changes. */
  readonly userId: string;
  readonly label: string;
}

/**
 * The account in a file's JSON, or null for anything else. Checked by hand, because every command starts with this, and loading zod takes
 * half as long as starting Node.js.
 */
function accountIn(read: unknown): StoredAccount | null {
  if (typeof read !== 'object' || read === null) return null;
  const { provider, endpoints = {}, credentials, userId, label = '' } = read as Record<string, unknown>;
  const known = providers.find((name) => name === provider);
  if (known === undefined || typeof userId !== 'string' || typeof label !== 'string') return null;
  if (!isRecord(endpoints, isText) || !isRecord(credentials, (value) => value === null || isText(value))) return null;
  return { provider: known, endpoints, credentials: storable(credentials), userId, label };
}

const isText = (value: unknown): value is string => typeof value === 'string';

function isRecord<Value>(read: unknown, isValue: (value: unknown) => value is Value): read is Record<string, Value> {
  return typeof read === 'object' && read !== null && !Array.isArray(read) && Object.values(read).every(isValue);
}

/** Credentials in the form of the account's file, without values that are not set. */
export function storable(credentials: object): Record<string, string> {
  return Object.fromEntries(Object.entries(credentials).filter(([, value]) => typeof value === 'string'));
}

/** Names go into file names, mount sources and command lines. Throws `UsageError`. */
export function requireAccountName(name: string): string {
  if (!/^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/.test(name)) {
    throw new UsageError(`'${name}' is no account name: letters, digits, '.', '_' and '-' make one`);
  }
  return name;
}

export class AccountStore {
  readonly #directory: string;

  constructor(directories: Pick<BaseDirectories, 'config'>) {
    this.#directory = join(directories.config, 'accounts');
  }

  names(): string[] {
    try {
      return readdirSync(this.#directory)
        .filter((file) => file.endsWith('.json'))
        .map((file) => file.slice(0, -'.json'.length))
        .sort();
    } catch (error) {
      if (codeOf(error) === 'ENOENT') return [];
      throw error;
    }
  }

  /** Throws `SyncmountError` `unknown-account` or `account-file`. */
  load(name: string): StoredAccount {
    const path = this.#path(name);
    let text: string;
    try {
      text = readFileSync(path, 'utf8');
    } catch (error) {
      if (codeOf(error) !== 'ENOENT') {
        throw new SyncmountError('account-file', `cannot read ${path}: ${messageOf(error)}`, { cause: error });
      }
      const known = this.names();
      const hint =
        known.length === 0 ? `no account is known yet in ${this.#directory}` : `known accounts: ${known.join(', ')}`;
      throw new SyncmountError(
        'unknown-account',
        `unknown account '${name}' (${hint}); 'syncmount login ${name} --provider …' adds it`,
        { cause: error },
      );
    }
    let read: unknown;
    try {
      read = JSON.parse(text);
    } catch {
      // The parser's message may quote the file, and the file holds secrets.
      throw damaged(name, path, 'json');
    }
    const account = accountIn(read);
    if (account === null) throw damaged(name, path, 'schema');
    return account;
  }

  /** Replaces the file atomically. Throws `account-write` or `directory` if that fails. */
  save(name: string, account: StoredAccount): void {
    const path = this.#path(name);
    const temporary = `${path}.${process.pid}.tmp`;
    privateDirectory(this.#directory);
    try {
      writeFileSync(temporary, `${JSON.stringify(account, null, 2)}\n`, { mode: 0o600, flush: true });
      renameSync(temporary, path);
    } catch (error) {
      rmSync(temporary, { force: true });
      throw new SyncmountError('account-write', `cannot write ${path}: ${messageOf(error)}`, { cause: error });
    }
  }

  /**
   * Runs `act` under this account's lock: no other process runs one meanwhile. `act` may load and save the account.
   * Throws `directory` or `lock` if no lock file can be written, and `locked` if another process hangs.
   */
  async exclusively<T>(name: string, act: () => Promise<T>, signal?: AbortSignal): Promise<T> {
    // Loaded on demand: most commands need no lock, and its library takes a while to load.
    const { underLock } = await import('../base/file-lock.js');
    return await underLock(join(privateDirectory(this.#directory), `${requireAccountName(name)}.lock`), act, signal);
  }

  /** Throws `unknown-account` if there is none. */
  remove(name: string): void {
    this.load(name);
    try {
      rmSync(this.#path(name), { force: true });
    } catch (error) {
      throw new SyncmountError('account-write', `cannot remove ${this.#path(name)}: ${messageOf(error)}`, {
        cause: error,
      });
    }
  }

  #path(name: string): string {
    return join(this.#directory, `${requireAccountName(name)}.json`);
  }
}

function damaged(name: string, path: string, kind: 'json' | 'schema'): SyncmountError {
  const message = `${path} is damaged; 'syncmount login ${name} …' writes it anew`;
  return new SyncmountError('account-file', message, { data: { kind } });
}
