/**
 * The commands of `syncmount`: their arguments, options and help. The parser, the shells' completion and the manual pages come from here.
 * Each command is loaded when it is called, so `status` and `umount` take little longer than the start of the runtime.
 */
import { Command, Help } from 'commander';
import { version } from '../base/installation.js';
import { callerOptionSpecs, optionSpecs } from '../config/options.js';
import { context } from './context.js';

const optionHelp = new Help();
const namesOfMounts = 'A mount is named by its account (NAME:), its mountpoint, or anything below that.';

/**
 * The root of the commands. A wrong command line makes it throw `CommanderError`. With `first`, the first word of a command line, it
 * declares only the command of that name, if there is one that does not refer to the others. Declaring all commands takes as long as
 * loading the parser.
 */
export function createProgram(first?: string): Command {
  const root = new Command('syncmount')
    .description('Mount a 4shared, 4Sync, 5sync or Acronis File Sync & Share account as an ordinary directory.')
    .version(version)
    .exitOverride()
    .configureOutput({ writeErr: () => undefined })
    .showSuggestionAfterError()
    // An option that may be repeated has an empty list as its default, which the help need not show.
    .configureHelp({
      optionDescription: (option) => optionHelp.optionDescription(option).replace(' (default: [])', ''),
    });

  const all = Object.entries(declarations).map(([usage, declare]) => ({ name: usage.split(' ')[0], usage, declare }));
  const only = all.filter(({ name }) => name === first && name !== 'help' && name !== 'complete');
  for (const { name, usage, declare } of only.length === 0 ? all : only)
    declare(root.command(usage, { hidden: name === 'complete' }), root);
  return root.helpCommand(false);
}

/** Each command by its usage. */
const declarations: Readonly<Record<string, (command: Command, root: Command) => unknown>> = {
  'login <name>': (command) =>
    command
      .description('add an account, or renew its credentials')
      .requiredOption('--provider <provider>', '4shared, 4sync, 5sync or acronis')
      .option('--credentials <file>', "JSON with the credentials; '-' reads standard input (default: interactive)")
      .option('--endpoint <key=url>', 'another base URL for one of the endpoints; may be repeated', collect, [])
      .action(async (name: string, options) =>
        (await import('./commands/accounts.js')).loginCommand(context, name, options),
      ),
  'logout <name>': (command) =>
    command
      .description("forget an account's credentials")
      .option('--purge', 'remove all that this machine keeps of it too: state, cache, what was not stored')
      .option('--force', 'with --purge: also contents that are stored nowhere else')
      .action(async (name: string, options) =>
        (await import('./commands/accounts.js')).logoutCommand(context, name, options),
      ),
  accounts: (command) =>
    command
      .description('list the accounts')
      .option('--json', 'as JSON')
      .action(async (options) => (await import('./commands/accounts.js')).accountsCommand(context, options)),
  'mount [account:path] [mountpoint]': (command) => {
    command
      .description('mount an account (NAME:) or a folder of it (NAME:/PATH); or all accounts, with --all')
      .option('--all <dir>', 'mount every account, each on a folder of its name in DIR; the other options apply to all')
      .option('-f, --foreground', 'stay in the foreground')
      .option('-o <options>', 'name=value,… as in fstab; may be repeated', collect, []);
    for (const { name, value, help, default: standard, defaultText, isRepeatable } of optionSpecs) {
      const shown = defaultText ?? (typeof standard === 'string' ? standard : '');
      const tail = value === undefined || shown === '' ? '' : ` (default: ${shown})`;
      const flags = value === undefined ? `--${name}` : `--${name} <${value}>`;
      if (isRepeatable) command.option(flags, help + tail, collectFirst);
      else command.option(flags, help + tail);
    }
    for (const { name, value, help, defaultText } of callerOptionSpecs)
      command.option(`--${name} <${value}>`, `${help} (default: ${defaultText})`);
    command.action(async (source: string | undefined, mountpoint: string | undefined, options) =>
      (await import('./commands/mount.js')).mountCommand(context, source, mountpoint, options),
    );
  },
  'umount [mountpoint]': (command) =>
    command
      .description('upload what is pending, then unmount')
      .addHelpText('after', `\n${namesOfMounts}`)
      .option('--all', 'all mounts, one after the other')
      .option('--force', 'unmount at once; what is not uploaded waits for the next mount')
      .action(async (mountpoint: string | undefined, options) =>
        (await import('./commands/umount.js')).umountCommand(context, mountpoint, options),
      ),
  'status [mountpoint]': (command) =>
    command
      .description('what is mounted, what is still uploading, what failed')
      .addHelpText('after', `\n${namesOfMounts}`)
      .option('--json', 'as JSON')
      .option('--watch', 'again and again, until Ctrl-C')
      .action(async (mountpoint: string | undefined, options) =>
        (await import('./commands/status.js')).statusCommand(context, mountpoint, options),
      ),
  'metrics [mountpoint]': (command) =>
    command
      .summary('numbers for monitoring: calls, requests, bytes, cache, uploads')
      .description(
        'print the metrics of a mount (default: of all) in the format of Prometheus, such as for the text-file collector of node_exporter; docs/monitoring.md lists them',
      )
      .addHelpText('after', `\n${namesOfMounts}`)
      .option('--openmetrics', 'in the OpenMetrics format')
      .action(async (mountpoint: string | undefined, options) =>
        (await import('./commands/metrics.js')).metricsCommand(context, mountpoint, options),
      ),
  'log [mountpoint]': (command) =>
    command
      .summary('what a mount has logged')
      .description('print the log of a mount, also after it has ended')
      .addHelpText('after', `\n${namesOfMounts}`)
      .option('-f, --follow', 'go on with new lines as they are logged, until Ctrl-C')
      .option('-n, --lines <count>', 'only the last lines (default: all; with --follow: 10)')
      .option('--level <error|warn|info|debug>', 'only this level and those above')
      .option('--since <time>', 'only lines that were logged since then, such as 1h (ago) or 2026-11-29 08:00')
      .option('--json', 'the lines as they are in the file')
      .action(async (mountpoint: string | undefined, options) =>
        (await import('./commands/log.js')).logCommand(context, mountpoint, options),
      ),
  'uploads [action] [arguments...]': (command) =>
    command
      .summary('what is not stored yet: list, retry, export, discard')
      .description(
        [
          'Contents that the provider does not have yet:',
          '  list [MOUNTPOINT]             shows them (so does `uploads` alone)',
          '  retry [MOUNTPOINT]            tries the failed ones again',
          '  export DIR [MOUNTPOINT|NAME:] copies them to a local directory, also while nothing is mounted',
          '  discard [MOUNTPOINT] [PATH…]  gives up failed ones, after asking twice',
          'Without a mountpoint, the command is for all mounts; export and discard then need exactly one mount.',
        ].join('\n'),
      )
      .option('--json', 'list as JSON')
      .action(async (action: string | undefined, args: string[], options) =>
        (await import('./commands/uploads.js')).uploadsCommand(
          context,
          action === undefined ? [] : [action, ...args],
          options,
        ),
      ),
  'pause [mountpoint]': (command) =>
    command
      .summary('upload nothing until resume')
      .description(
        'Cancels the uploads of a mount (default: of all), and begins none until `resume` or the next mount. Files that programs ' +
          'write meanwhile are safe on this machine, and a close does not wait. Reading, names and metadata go on.',
      )
      .addHelpText('after', `\n${namesOfMounts}`)
      .action(async (mountpoint?: string) =>
        (await import('./commands/pause.js')).pauseCommand(context, mountpoint, 'pause'),
      ),
  'resume [mountpoint]': (command) =>
    command
      .description('go on with the uploads of a mount (default: of all) after `pause`')
      .addHelpText('after', `\n${namesOfMounts}`)
      .action(async (mountpoint?: string) =>
        (await import('./commands/pause.js')).pauseCommand(context, mountpoint, 'resume'),
      ),
  'set [arguments...]': (command) =>
    command
      .summary('change limits of a running mount')
      .description(
        [
          'set [MOUNTPOINT] [NAME=VALUE…]: change options of a running mount until its end (default: of all mounts), and show them:',
          ...optionSpecs.flatMap(({ name, value, isLive }) => (isLive ? [`  ${name}=${value}`] : [])),
          'An empty value is the default. The values of an option that may be repeated replace all of its earlier ones.',
        ].join('\n'),
      )
      .action(async (args: string[]) => (await import('./commands/set.js')).setCommand(context, args)),
  'trash [action] [paths...]': (command) =>
    command
      .summary('what is in the trash of an account: list, restore, empty')
      .description(
        [
          'The trash of a mounted account, which file managers show too:',
          '  list [MOUNTPOINT] [PATH…]     shows it (so does `trash` alone)',
          '  restore [MOUNTPOINT] PATH…    brings back objects that were at or below these paths',
          '  empty [MOUNTPOINT] [PATH…]    removes it for ever, after asking twice',
          'A path is where an object was, within the mount or as the list shows it.',
        ].join('\n'),
      )
      .option('--json', 'as JSON')
      .option('--older-than <time>', 'only objects that were removed at least that long ago, such as 30d')
      .option('--yes', 'empty without asking')
      .action(async (action: string | undefined, paths: string[], options) =>
        (await import('./commands/trash.js')).trashCommand(
          context,
          action === undefined ? [] : [action, ...paths],
          options,
        ),
      ),
  'pin [paths...]': (command) =>
    command
      .summary('keep files and folders on this machine, up to date')
      .description(
        'Keeps whole files and folders of a mount on this machine, also files that any machine puts into such a folder later. They are ' +
          "fetched in the background, can be read without the service, and do not count against the cache's size.",
      )
      .option('--list', 'what is pinned (default: in all mounts), and how much of it is here')
      .option('--json', 'the list as JSON')
      .action(async (paths: string[], options) =>
        (await import('./commands/pin.js')).pinCommand(context, paths, options),
      ),
  'unpin <paths...>': (command) =>
    command
      .description('end `pin`: the files stay in the cache as long as there is room')
      .action(async (paths: string[]) => (await import('./commands/pin.js')).unpinCommand(context, paths)),
  'cache [action] [paths...]': (command) =>
    command
      .summary('what was downloaded and is here: show, drop, warm')
      .description(
        [
          'Downloaded files, which are kept on this machine up to --cache-size:',
          '  show [MOUNTPOINT]        shows them, the largest first (so does `cache` alone)',
          '  drop [MOUNTPOINT] [PATH…]  frees those at or below these paths (default: all), except pinned and open ones',
          '  warm PATH…               fetches files and folders once, before they are read; Ctrl-C ends it',
        ].join('\n'),
      )
      .option('--all', 'show all files')
      .option('--json', 'as JSON')
      .action(async (action: string | undefined, paths: string[], options) =>
        (await import('./commands/cache.js')).cacheCommand(
          context,
          action === undefined ? [] : [action, ...paths],
          options,
        ),
      ),
  'service <action> [name] [mountpoint]': (command) =>
    command
      .summary('mounts that systemd keeps: install, uninstall, status')
      .description(
        [
          'Lets systemd mount an account, for you at login, or, if root calls it, at boot:',
          '  install NAME MOUNTPOINT   writes the unit syncmount@NAME, enables and starts it',
          '  uninstall NAME            stops and removes it',
          '  status [NAME]             shows them',
        ].join('\n'),
      )
      .option('-o <options>', 'of the mount: name=value,…; may be repeated', collect, [])
      .action(async (action: string, name: string | undefined, mountpoint: string | undefined, options) =>
        (await import('./commands/service.js')).serviceCommand(context, action, name, mountpoint, options),
      ),
  'link <path>': (command) =>
    command
      .summary('share a file or folder by a link')
      .description('make the link by which others see a file or folder of a mounted account, and print it')
      .option('--list', 'print the link that there is')
      .option('--remove', 'end it')
      .option('--password', 'ask for a password that others need (4shared, 4Sync: of a folder)')
      .option('--expires <time>', 'when it ends, such as 7d (Acronis)')
      .option('--qr', 'draw it as a QR code too, on a terminal')
      .option('--json', 'as JSON')
      .action(async (path: string, options) =>
        (await import('./commands/inspect.js')).linkCommand(context, path, options),
      ),
  'share <path> [emails...]': (command) =>
    command
      .summary('share a folder with people (Acronis)')
      .description(
        'share PATH EMAIL…: let people reach a folder of a mounted Acronis account, or change their rights; without an address, list those ' +
          'who can. The documented interface cannot end a membership; the website can.',
      )
      .option('--read-only', 'they may read, and change nothing')
      .option('--may-invite', 'they may share it with others')
      .option('--sees-members', 'they see with whom it is shared')
      .option('--json', 'as JSON')
      .action(async (path: string, emails: string[], options) =>
        (await import('./commands/inspect.js')).shareCommand(context, path, emails, options),
      ),
  'search <words...>': (command) =>
    command
      .summary('find files and folders by their names')
      .description(
        'search [MOUNTPOINT] WORDS: list the files and folders whose name has these words, among those that are known here',
      )
      .option('--remote', "the service's own search instead (4shared, 4Sync)")
      .option('--json', 'as JSON')
      .action(async (words: string[], options) =>
        (await import('./commands/inspect.js')).searchCommand(context, words, options),
      ),
  'info <paths...>': (command) =>
    command
      .summary('all that is known of a file or folder')
      .description('print all that is known of files or folders of a mounted account: ids, checksum, cache, upload')
      .option('--json', 'as JSON')
      .action(async (paths: string[], options) =>
        (await import('./commands/inspect.js')).infoCommand(context, paths, options),
      ),
  'api <name> <method> <route>': (command) =>
    command
      .summary("any request of the service's documents, with the account's login")
      .description(
        "send a request of the service's documents, such as GET /user, with the account's login; docs/api.md lists them",
      )
      .option(
        '-f, --field <key=value>',
        'a parameter: of the query, the form or the JSON object; may be repeated',
        collect,
        [],
      )
      .option('--data <file>', "the body; '-' reads standard input")
      .option('-H, --header <name:value>', 'a header; may be repeated', collect, [])
      .option('--endpoint <key>', "which of the account's base URLs (default: the one of the documents)")
      .option('--paginate', 'all pages of a list, one document each')
      .option('-i, --include', 'print the status and the headers too')
      .action(async (name: string, method: string, route: string, options) =>
        (await import('./commands/api.js')).apiCommand(context, name, method, route, options),
      ),
  sandbox: (command) =>
    command
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
      .option('--tls-cert <file>', 'speak TLS, with this certificate (PEM); clients trust it by NODE_EXTRA_CA_CERTS')
      .option('--tls-key <file>', "the certificate's private key (PEM)")
      .option('--json', 'print one line of JSON instead of text')
      .action(async (options) => (await import('./commands/sandbox.js')).sandboxCommand(options)),
  doctor: (command) =>
    command
      .description('check the machine and the accounts, and say how to mend each problem')
      .action(async () => (await import('./commands/doctor.js')).doctorCommand(context)),
  'completion <shell>': (command) =>
    command
      .description(
        'print the script that makes a shell complete commands, options, accounts and mountpoints: bash, zsh or fish',
      )
      .action(async (shell: string) => (await import('./manual/completion.js')).completionCommand(shell)),
  'help [topic]': (command, root) =>
    command
      .description('explain a command, or one of: manual, fstab, config, limits, monitoring')
      .action(async (topic: string | undefined) => (await import('./manual/help.js')).helpCommand(root, topic)),
  'complete [words...]': (command, root) =>
    command
      .description('what the last of these words can become; the completion of a shell asks')
      .action(async (words: string[]) =>
        (await import('./commands/complete.js')).completeCommand(context, root, words),
      ),
};

/** Collects values without a default: an option that is not given stays undefined. */
function collectFirst(value: string, before: string[] | undefined): string[] {
  return [...(before ?? []), value];
}

function collect(value: string, before: string[]): string[] {
  return [...before, value];
}
