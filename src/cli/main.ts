/**
 * `syncmount`: parses the command line and calls the commands. Each is loaded when it is called: `status` and `umount`
 * answer in the time that the runtime needs to start.
 */
import { readFileSync, statSync } from 'node:fs';
import module from 'node:module';
import { join } from 'node:path';
import { Command, CommanderError } from 'commander';
import { codeOf, messageOf, UsageError } from '../base/errors.js';
import { packageRoot } from '../base/installation.js';
import { optionSpecs } from '../config/options.js';
import { context } from './context.js';
import { complain, endWithOutput } from './output.js';

const version = (JSON.parse(readFileSync(join(packageRoot, 'package.json'), 'utf8')) as { version: string }).version;

const namesOfMounts = 'A mount is named by its account (NAME:), its mountpoint, or anything below that.';

function program(): Command {
  const root = new Command('syncmount')
    .description('Mount a 4shared, 4Sync, 5sync or Acronis File Sync & Share account as an ordinary directory.')
    .version(version)
    .exitOverride()
    .configureOutput({ writeErr: () => undefined })
    .showSuggestionAfterError();

  root
    .command('login <name>')
    .description('add an account, or renew its credentials')
    .requiredOption('--provider <provider>', '4shared, 4sync, 5sync or acronis')
    .option('--credentials <file>', "JSON with the credentials; '-' reads standard input (default: interactive)")
    .option('--endpoint <key=url>', 'another base URL for one of the endpoints; may be repeated', collect, [])
    .action(async (name: string, options) => (await import('./accounts.js')).loginCommand(context, name, options));
  root
    .command('logout <name>')
    .description("forget an account's credentials")
    .action(async (name: string) => (await import('./accounts.js')).logoutCommand(context, name));
  root
    .command('accounts')
    .description('list the accounts')
    .option('--json', 'as JSON')
    .action(async (options) => (await import('./accounts.js')).accountsCommand(context, options));

  const mount = root
    .command('mount <account:path> <mountpoint>')
    .description('mount an account (NAME:) or a folder of it (NAME:/PATH)')
    .option('-f, --foreground', 'stay in the foreground')
    .option('-o <options>', 'name=value,… as in fstab; may be repeated', collect, []);
  for (const { name, value, help, default: standard, defaultText } of optionSpecs) {
    const shown = defaultText ?? (typeof standard === 'string' ? standard : '');
    const tail = value === undefined || shown === '' ? '' : ` (default: ${shown})`;
    mount.option(value === undefined ? `--${name}` : `--${name} <${value}>`, help + tail);
  }
  mount.action(async (source: string, mountpoint: string, options) =>
    (await import('./mount.js')).mountCommand(context, source, mountpoint, options),
  );

  root
    .command('umount <mountpoint>')
    .description('upload what is pending, then unmount')
    .addHelpText('after', `\n${namesOfMounts}`)
    .option('--force', 'unmount at once; what is not uploaded waits for the next mount')
    .action(async (mountpoint: string, options) =>
      (await import('./umount.js')).umountCommand(context, mountpoint, options),
    );
  root
    .command('status [mountpoint]')
    .description('what is mounted, what is still uploading, what failed')
    .addHelpText('after', `\n${namesOfMounts}`)
    .option('--json', 'as JSON')
    .option('--watch', 'again and again, until Ctrl-C')
    .action(async (mountpoint: string | undefined, options) =>
      (await import('./status.js')).statusCommand(context, mountpoint, options),
    );
  root
    .command('uploads [action] [arguments...]')
    .summary('what is not stored yet: list, retry, export, discard')
    .description(
      [
        'What the provider does not have yet:',
        '  list [MOUNTPOINT]             shows it (this is what `uploads` alone does)',
        '  retry [MOUNTPOINT]            tries what failed again',
        '  export DIR [MOUNTPOINT|NAME:] copies it to a local directory, also while nothing is mounted',
        '  discard [MOUNTPOINT] [PATH…]  gives up what failed, after asking twice',
        'Without a mountpoint, all that is mounted is meant; export and discard then want it to be one.',
      ].join('\n'),
    )
    .option('--json', 'list as JSON')
    .action(async (action: string | undefined, args: string[], options) =>
      (await import('./uploads.js')).uploadsCommand(context, action ?? 'list', args, options),
    );
  root
    .command('sandbox')
    .description("a local server that speaks a provider's API, to try things out")
    .option('--provider <provider>', 'whose API', '4shared')
    .option('--port <number>', 'the first of its three ports (default: any free ones)')
    .option('--dir <directory>', 'keep the files there (default: in memory)')
    .option('--latency <time>', 'added to every request, such as 50ms')
    .option('--bandwidth <size>', 'bytes a second for each connection, such as 25M')
    .option('--quota <size>', 'of the account')
    .option('--rate-limit <requests>', 'that the account has in an hour (4shared, 4sync, 5sync)')
    .option('--plan <plan>', 'of 5sync, which sets its rate limit: starter, plus or business')
    .option('--reading <name=value>', 'how to read an open point of the documents; may be repeated', collect, [])
    .option('--json', 'print one line of JSON instead of text')
    .action(async (options) => (await import('./sandbox.js')).sandboxCommand(options));
  root
    .command('doctor')
    .description('check the machine and the accounts, and say how to mend what is amiss')
    .action(async () => (await import('./doctor.js')).doctorCommand(context));
  return root;
}

function collect(value: string, before: string[]): string[] {
  return [...before, value];
}

/** mount(8) and fstab call us without a command: `syncmount NAME:/PATH MOUNTPOINT -o OPTIONS`. */
function withCommand(args: string[]): string[] {
  const [first] = args;
  return first !== undefined && /^[A-Za-z0-9][\w.-]*:/.test(first) ? ['mount', ...args] : args;
}

function commandersLine({ message }: CommanderError): string {
  return message.replace(/^error: /, '').replace(/\n(\(Did you mean [^\n]*\))$/, ' $1');
}

async function main(): Promise<number> {
  try {
    const root = program();
    const args = withCommand(process.argv.slice(2));
    if (args.length === 0) {
      process.stdout.write(root.helpInformation());
      return 0;
    }
    await root.parseAsync(args, { from: 'user' });
    return typeof process.exitCode === 'number' ? process.exitCode : 0;
  } catch (error) {
    if (error instanceof CommanderError && error.exitCode === 0) return 0;
    const isUsage = error instanceof CommanderError || error instanceof UsageError;
    // Commander suggests on a second line; one line is what scripts and people get here.
    complain(error instanceof CommanderError ? commandersLine(error) : messageOf(error));
    if (isUsage) return 2;
    return codeOf(error) === 'left-pending' ? 3 : 1;
  }
}

/**
 * Caches compiled code for the next start (Node.js 22.8 and newer). Not in Node's own place under /tmp, which all users share, and
 * only in a cache directory that a mount of this user has made: root with another user's HOME leaves nothing there.
 */
function keepCompiledCode(): void {
  const { enableCompileCache } = module as { enableCompileCache?: (directory: string) => unknown };
  const { cache } = context.places;
  if (statSync(cache, { throwIfNoEntry: false })?.uid === process.getuid?.()) enableCompileCache?.(join(cache, 'code'));
}

// Databases, spool files and logs are private.
process.umask(0o077);
keepCompiledCode();
endWithOutput();
process.exitCode = await main();
