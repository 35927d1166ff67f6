import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse } from 'smol-toml';
import { codeOf, messageOf, UsageError } from '../base/errors.js';
import type { BaseDirectories } from './base-directories.js';
import { type RawOptions, specOf } from './option-texts.js';

export interface ConfigFile {
  /** The account's own options come last and win. */
  readonly options: readonly RawOptions[];
  /** Warnings, a sentence each. */
  readonly warnings: readonly string[];
}

/**
 * Reads `config.toml`. `[mount]` holds options for every mount, `[account.NAME]` those of one account, which win. `known` are the
 * accounts of this machine. Throws `UsageError` with the file and the mistake, also for a mistake in another account's section.
 */
export function readConfigFile(
  directories: Pick<BaseDirectories, 'config'>,
  account: string,
  known: readonly string[],
): ConfigFile {
  const path = join(directories.config, 'config.toml');
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return { options: [], warnings: [] };
    throw new UsageError(`cannot read ${path}: ${messageOf(error)}`, { cause: error });
  }
  try {
    const config = parse(text) as Record<string, unknown>;
    for (const name of Object.keys(config)) requireSection(name, config[name]);
    const accounts = new Map(
      Object.entries(table(config.account ?? {}, 'account')).map(([name, options]) => {
        requireNotMistyped(name, known, Object.keys(config.account as object));
        return [name, rawOf(table(options, `account.${name}`), `account.${name}`)];
      }),
    );
    const common = rawOf(table(config.mount ?? {}, 'mount'), 'mount');
    const strangers = [...accounts.keys()].filter((name) => !known.includes(name));
    return {
      options: [common, accounts.get(account) ?? new Map()],
      warnings: strangers.map((name) => `${path}: [account.${name}] is of no account that is logged in here`),
    };
  } catch (error) {
    throw new UsageError(`${path}: ${messageOf(error).split('\n')[0]}`, { cause: error });
  }
}

function requireSection(name: string, value: unknown): void {
  if (name === 'mount' || name === 'account') return;
  const isTable = typeof value === 'object' && value !== null && !Array.isArray(value);
  throw new Error(
    isTable
      ? `there is no section [${name}]: [mount] is for every mount, [account.NAME] for one account`
      : `${name} stands outside of a section: [mount] is for every mount, [account.NAME] for one account`,
  );
}

/** Throws for a section name that nearly matches an account without a section. It is a typing mistake, and its options would not apply. */
function requireNotMistyped(name: string, known: readonly string[], sections: readonly string[]): void {
  if (known.includes(name)) return;
  const meant = known.find((account) => !sections.includes(account) && isSlip(account, name));
  if (meant !== undefined) throw new Error(`[account.${name}] is of no account: is [account.${meant}] meant?`);
}

/** Is the name a typing mistake for `meant`? Two swapped letters count as two changes. A short name allows fewer. */
function isSlip(meant: string, name: string): boolean {
  return distance(meant, name) <= Math.min(2, Math.floor(name.length / 2));
}

/** The Levenshtein distance: letters to add, remove or change. */
function distance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, at) => at);
  for (const [i, letter] of [...a].entries()) {
    const next = [i + 1];
    for (let at = 0; at < b.length; at++)
      next.push(
        Math.min((row[at] as number) + Number(b[at] !== letter), (row[at + 1] as number) + 1, (next[at] as number) + 1),
      );
    row = next;
  }
  return row.at(-1) as number;
}

function table(value: unknown, name: string): Record<string, unknown> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw new Error(`[${name}] is not a table`);
  return value as Record<string, unknown>;
}

function rawOf(options: Record<string, unknown>, section: string): RawOptions {
  return new Map(
    Object.entries(options).map(([name, value]) => {
      try {
        const option = specOf(name);
        const values = option.isRepeatable && Array.isArray(value) ? value : [value];
        if (!values.every((one) => ['string', 'number', 'boolean'].includes(typeof one)))
          throw new Error(`${name} has no plain value`);
        return [option.name, values.map(String).join('\n')];
      } catch (error) {
        throw new Error(`${messageOf(error)} (in [${section}])`, { cause: error });
      }
    }),
  );
}
