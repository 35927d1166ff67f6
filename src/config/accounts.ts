/** The accounts that a person has logged in to: one file each, readable by its owner alone. */
import { closeSync, fsyncSync, openSync, readdirSync, readFileSync, renameSync, rmSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { codeOf, messageOf, SyncmountError, UsageError } from '../base/errors.js';
import { type Directories, privateDirectory } from './directories.js';

const accountSchema = z.object({
  provider: z.enum(['4shared', '4sync', '5sync', 'acronis']),
  endpoints: z.record(z.string(), z.string()).default({}),
  credentials: z.record(z.string(), z.string()),
  /** Told by the provider at login: the account's state belongs to this user, whatever the account is called here. */
  userId: z.string(),
  label: z.string().default(''),
});

export type StoredAccount = z.infer<typeof accountSchema>;

/** Names go into file names, mount sources and command lines. Throws `UsageError`. */
export function requireAccountName(name: string): string {
  if (!/^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/.test(name)) {
    throw new UsageError(`'${name}' is no account name: letters, digits, '.', '_' and '-' make one`);
  }
  return name;
}

export class AccountStore {
  readonly #directory: string;

  constructor(directories: Pick<Directories, 'config'>) {
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
      const hint = known.length === 0 ? 'no account is known yet' : `known accounts: ${known.join(', ')}`;
      throw new SyncmountError(
        'unknown-account',
        `unknown account '${name}' (${hint}); 'syncmount login ${name} --provider …' adds it`,
        { cause: error },
      );
    }
    try {
      return accountSchema.parse(JSON.parse(text));
    } catch (error) {
      // The parser's message may quote the file, and the file holds secrets.
      throw new SyncmountError('account-file', `${path} is damaged; 'syncmount login ${name} …' writes it anew`, {
        data: { kind: error instanceof z.ZodError ? 'schema' : 'json' },
      });
    }
  }

  /** Replaces the file at once or not at all. */
  save(name: string, account: StoredAccount): void {
    privateDirectory(this.#directory);
    const path = this.#path(name);
    const temporary = `${path}.${process.pid}.tmp`;
    const fd = openSync(temporary, 'w', 0o600);
    try {
      writeSync(fd, `${JSON.stringify(account, null, 2)}\n`);
      fsyncSync(fd);
    } finally {
      closeSync(fd);
    }
    renameSync(temporary, path);
  }

  /** Throws `unknown-account` where there is none. */
  remove(name: string): void {
    this.load(name);
    rmSync(this.#path(name), { force: true });
  }

  #path(name: string): string {
    return join(this.#directory, `${requireAccountName(name)}.json`);
  }
}
