import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse } from 'smol-toml';
import { codeOf, messageOf, UsageError } from '../base/errors.js';
import type { Directories } from './directories.js';
import { type RawOptions, specOf } from './options.js';

/**
 * `config.toml`: `[mount]` holds options for every mount, `[account.NAME]` those of one account, which win.
 * Throws `UsageError` that names the file and what is wrong in it.
 */
export function readConfigFile(directories: Pick<Directories, 'config'>, account: string): RawOptions[] {
  const path = join(directories.config, 'config.toml');
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return [];
    throw new UsageError(`cannot read ${path}: ${messageOf(error)}`, { cause: error });
  }
  try {
    const config = parse(text) as Record<string, unknown>;
    const accounts = table(config.account ?? {}, 'account');
    return [rawOf(table(config.mount ?? {}, 'mount')), rawOf(table(accounts[account] ?? {}, `account.${account}`))];
  } catch (error) {
    throw new UsageError(`${path}: ${messageOf(error).split('\n')[0]}`, { cause: error });
  }
}

function table(value: unknown, name: string): Record<string, unknown> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw new Error(`[${name}] is not a table`);
  return value as Record<string, unknown>;
}

function rawOf(options: Record<string, unknown>): RawOptions {
  return new Map(
    Object.entries(options).map(([name, value]) => {
      if (!['string', 'number', 'boolean'].includes(typeof value)) throw new Error(`${name} has no plain value`);
      return [specOf(name).name, String(value)];
    }),
  );
}
