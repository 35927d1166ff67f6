/** The completions of a half-typed command line. The shells' completion scripts call it (completion.ts), never users. */
import type { Command, Option } from 'commander';
import { printable } from '../../base/printable.js';
import { liveNames } from '../../config/option-texts.js';
import { callerOptionSpecs, optionSpecs } from '../../config/options.js';
import { PROVIDER_NAMES } from '../../providers/provider.js';
import type { Context } from '../context.js';
import { shells } from '../manual/completion.js';
import { topics } from '../manual/help-topics.js';
import { print } from '../terminal/output.js';

export interface Word {
  readonly value: string;
  /** A few words for shells that show them. */
  readonly help: string;
}

export interface Completion {
  readonly words: readonly Word[];
  /** The words that the shell itself adds. */
  readonly and: 'nothing' | 'files' | 'directories';
}

/** The names that are known on this machine. */
export interface Known {
  accounts(): readonly string[];
  mounts(): readonly { readonly mountpoint: string; readonly account: string }[];
}

const files: Completion = { words: [], and: 'files' };
const directories: Completion = { words: [], and: 'directories' };
const nothing: Completion = { words: [], and: 'nothing' };

/** Prints a line `VALUE<tab>HELP` for each word that the last of `words` can become, and in the end `:files` or the like. */
export function completeCommand(context: Context, root: Command, words: readonly string[]): void {
  const known: Known = {
    accounts: () => context.accounts.names(),
    mounts: () => context.registry.all(),
  };
  const { words: found, and } = completionsOf(root, words, known);
  for (const { value, help } of found) print(value, help);
  print(`:${and}`);
}

/** `words`: those after `syncmount`. The last one is being typed and may be empty. */
export function completionsOf(root: Command, words: readonly string[], known: Known): Completion {
  const typed = words.at(-1) ?? '';
  const found = wordsFor(root, words.slice(0, -1), typed, known);
  // A name with control characters is not offered, because the text printed in its place is not its name.
  const fits = ({ value }: Word): boolean => value.startsWith(typed) && printable(value) === value;
  return { ...found, words: found.words.filter(fits) };
}

function wordsFor(root: Command, before: readonly string[], typed: string, known: Known): Completion {
  const commands = root.createHelp().visibleCommands(root);
  const [name, ...given] = before;
  if (name === undefined) {
    if (typed.startsWith('-')) return named(root, root, []);
    return offer(commands.map((command) => ({ value: command.name(), help: summaryOf(command) })));
  }
  const command = commands.find((one) => one.name() === name);
  if (command === undefined) return nothing;

  const operands: string[] = [];
  let valued: Option | undefined;
  let areOperands = false;
  for (const word of given) {
    if (valued !== undefined) valued = undefined;
    else if (areOperands || !word.startsWith('-') || word === '-') operands.push(word);
    else if (word === '--') areOperands = true;
    else valued = optionOf(command, word);
  }
  if (valued !== undefined) return ofValue(valued, typed, '');
  if (areOperands || !typed.startsWith('-')) return ofOperand(root, command, operands, typed, known);
  const equals = typed.indexOf('=');
  if (equals < 0) return named(root, command, given);
  const option = optionOf(command, typed.slice(0, equals));
  return option === undefined ? nothing : ofValue(option, typed.slice(equals + 1), typed.slice(0, equals + 1));
}

/** The option, if its value is the next word. */
function optionOf(command: Command, flag: string): Option | undefined {
  return command.options.find((option) => option.required && (option.short === flag || option.long === flag));
}

/** The options of a command that were not given yet. */
function named(root: Command, command: Command, given: readonly string[]): Completion {
  const isFree = ({ short, long, defaultValue }: Option): boolean =>
    Array.isArray(defaultValue) || ![short, long].some((flag) => flag !== undefined && given.includes(flag));
  const options = root.createHelp().visibleOptions(command).filter(isFree);
  return offer(options.map(({ long, short, description }) => ({ value: long ?? short ?? '', help: description })));
}

function ofValue({ flags, short }: Option, typed: string, prefix: string): Completion {
  const value = /<(.*)>/.exec(flags)?.[1] ?? '';
  const values = (all: readonly string[]): Completion => offer(all.map((one) => ({ value: prefix + one, help: '' })));
  if (short === '-o') return ofDashO(typed, prefix);
  if (value === 'provider') return values(PROVIDER_NAMES);
  if (value.includes('|')) return values(value.split('|'));
  if (/^file$/i.test(value)) return files;
  return /^dir(ectory)?$/i.test(value) ? directories : nothing;
}

/** The last of the options in `name=value,…`, or its value. */
function ofDashO(typed: string, prefix: string): Completion {
  const done = prefix + typed.slice(0, typed.lastIndexOf(',') + 1);
  const name = /(?:^|,)([a-z-]+)=[^,]*$/.exec(typed)?.[1];
  const specs = [...optionSpecs, ...callerOptionSpecs];
  if (name === undefined)
    return offer(
      specs.map((spec) => ({ value: `${done}${spec.name}${spec.value === undefined ? '' : '='}`, help: spec.help })),
    );
  const values = specs.find((spec) => spec.name === name)?.value?.split('|') ?? [];
  return offer(values.length < 2 ? [] : values.map((value) => ({ value: `${done}${name}=${value}`, help: '' })));
}

function ofOperand(
  root: Command,
  command: Command,
  operands: readonly string[],
  typed: string,
  known: Known,
): Completion {
  const { registeredArguments } = command;
  const last = registeredArguments.at(-1);
  const argument = registeredArguments[operands.length] ?? (last?.variadic ? last : undefined);
  const plain = (values: readonly string[], help: string): Completion =>
    offer(values.map((value) => ({ value, help })));
  const sources = (accounts: readonly string[]): Completion =>
    plain(
      accounts.map((name) => `${name}:`),
      'account',
    );
  /** Mounts by their mountpoints, and by these accounts if one has been begun. Tab alone completes to the mountpoint of the only mount. */
  const mounts = (accounts: readonly string[] = known.mounts().map(({ account }) => account)): Completion => {
    const points = known.mounts().map(({ mountpoint }) => mountpoint);
    const names = typed === '' && points.length > 0 ? [] : sources(accounts).words;
    return offer([...plain(points, 'mounted').words, ...names]);
  };
  switch (argument?.name()) {
    case 'account:path':
      return sources(known.accounts());
    case 'name':
      return plain(known.accounts(), 'account');
    case 'mountpoint':
      if (['mount', 'service'].includes(command.name())) return directories;
      // The log of a mount that has ended can be read too.
      return command.name() === 'log' ? mounts(known.accounts()) : mounts();
    case 'action':
      return plain(actionsOf[command.name()] ?? [], '');
    case 'path':
    case 'paths':
      return { ...mounts(), and: 'files' };
    case 'arguments':
      if (command.name() === 'set') {
        const names = liveNames().map((name) => ({ value: `${name}=`, help: '' }));
        return operands.length === 0 ? offer([...mounts().words, ...names]) : offer(names);
      }
      return operands[0] === 'export' && operands.length === 1 ? directories : mounts();
    case 'shell':
      return plain(shells, '');
    case 'topic':
      return plain(
        [
          ...root
            .createHelp()
            .visibleCommands(root)
            .map((one) => one.name()),
          ...topics,
        ],
        '',
      );
    default:
      return nothing;
  }
}

/** The first word of the commands that have several actions. */
const actionsOf: Readonly<Record<string, readonly string[]>> = {
  uploads: ['list', 'retry', 'export', 'discard'],
  trash: ['list', 'restore', 'empty'],
  cache: ['show', 'drop', 'warm'],
  service: ['install', 'uninstall', 'status'],
};

function offer(words: readonly Word[]): Completion {
  return { words, and: 'nothing' };
}

function summaryOf(command: Command): string {
  return command.summary() || command.description();
}
