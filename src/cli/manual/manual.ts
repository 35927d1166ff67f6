/**
 * The manual pages, as data. They are made from the commands (program.ts) and the options of a mount (config/options.ts), so that they
 * match the program. `scripts/man-pages.mjs` writes them to `man/`; `syncmount help TOPIC` prints them as text.
 */
import type { Command } from 'commander';
import { type CallerOptionSpec, callerOptionSpecs, type OptionSpec, optionSpecs } from '../../config/options.js';
import type { PageTopic } from './help-topics.js';
import type { Block, Page, Section } from './manual-format.js';
import { subjects } from './manual-sections.js';

export { renderRoff } from './manual-format.js';

const exitStatus: Section = {
  title: 'Exit status',
  blocks: [
    {
      items: [
        ['0', 'success; for umount: everything is stored'],
        ['1', 'an error; one line on standard error says which'],
        ['2', 'bad usage'],
        ['3', 'umount has unmounted, and some contents wait for the next mount to store them'],
      ],
    },
  ],
};

const places: Section = {
  title: 'Files',
  blocks: [
    {
      items: [
        ['~/.config/syncmount/', 'accounts and credentials, config.toml; $SYNCMOUNT_CONFIG_DIR, $XDG_CONFIG_HOME'],
        [
          '~/.local/state/syncmount/',
          'inodes, journals, logs, and contents that are not stored yet; $SYNCMOUNT_STATE_DIR, $XDG_STATE_HOME',
        ],
        [
          '~/.cache/syncmount/',
          'downloaded files; may be removed while nothing is mounted; $SYNCMOUNT_CACHE_DIR, $XDG_CACHE_HOME',
        ],
      ],
    },
  ],
};

const environment: Section = {
  title: 'Environment',
  blocks: [
    {
      items: [
        [
          'HTTPS_PROXY, ALL_PROXY',
          'the proxy that leads to the service, such as http://USER:PASSWORD@proxy.example:3128; requests go through a tunnel (CONNECT), so it sees only the name of the host',
        ],
        [
          'NO_PROXY',
          'hosts that are reached without the proxy: names with a comma between them, .example.com for all below it, * for all',
        ],
        ['NODE_EXTRA_CA_CERTS', 'a file of further certificates that are trusted (PEM), such as those of a company'],
      ],
    },
    'The first two are also read in small letters, which win. A mount keeps the values that it was started with; a service keeps those of `syncmount service install`. For fstab: DefaultEnvironment= in `systemd-system.conf`(5).',
  ],
};

const units =
  'Sizes take K, M, G and T (powers of 1024); times take ms, s, m, h and d. A switch takes true or false, or no value for true.';

/** All pages, by the topic of `help` that prints each. */
export function manualPages(root: Command): Readonly<Record<PageTopic, Page>> {
  const version = root.version() ?? '';
  return { manual: programPage(root, version), fstab: mountPage(version), config: configPage(version) };
}

function programPage(root: Command, version: string): Page {
  const commands = root.createHelp().visibleCommands(root);
  return {
    name: 'syncmount',
    section: 1,
    version,
    purpose: 'mount a 4shared, 4Sync, 5sync or Acronis File Sync & Share account',
    sections: [
      { title: 'Synopsis', blocks: [{ code: commands.map(usageOf).join('\n') }] },
      {
        title: 'Description',
        blocks: [
          root.description(),
          'A mount is named by its account (NAME:), its mountpoint, or anything below that. `syncmount sandbox` is a server to try things out without an account.',
        ],
      },
      ...commands.map((command) => ({ title: usageOf(command), isSub: true, blocks: blocksOf(command) })),
      exitStatus,
      places,
      environment,
      {
        title: 'Examples',
        blocks: [
          { code: 'syncmount login work --provider 4shared\nsyncmount mount work: ~/cloud\nsyncmount umount ~/cloud' },
          'Completion of commands, options, accounts and mountpoints in bash:',
          { code: 'source <(syncmount completion bash)' },
        ],
      },
      { title: 'See also', blocks: ['`syncmount-mount`(8), `syncmount.toml`(5), `mount`(8), `fuse`(4)'] },
    ],
  };
}

function usageOf(command: Command): string {
  return `syncmount ${command.name()} ${command.usage()}`.replace('[options] ', '').replace(/ ?\[options\]$/, '');
}

function blocksOf(command: Command): Block[] {
  // The options of a mount have a page of their own.
  const options = command.options.filter(({ long }) => !isOfMount(command, long));
  const [first = '', ...more] = command.description().split('\n');
  return [
    first.replace(/^./, (letter) => letter.toUpperCase()).replace(/[^.:]$/, '$&.'),
    ...(more.length === 0 ? [] : [{ code: more.join('\n') }]),
    ...(options.length === 0
      ? []
      : [{ items: options.map(({ flags, description }): [string, string] => [flags, description]) }]),
    ...(command.name() === 'mount' ? ['The other options are in `syncmount-mount`(8).'] : []),
  ];
}

function isOfMount(command: Command, long: string | undefined): boolean {
  return command.name() === 'mount' && [...optionSpecs, ...callerOptionSpecs].some(({ name }) => long === `--${name}`);
}

function mountPage(version: string): Page {
  return {
    name: 'syncmount-mount',
    section: 8,
    version,
    purpose: 'options of a mount, in fstab too',
    sections: [
      {
        title: 'Synopsis',
        blocks: [
          { code: 'syncmount mount NAME:[/PATH] MOUNTPOINT [-f] [-o OPTION[=VALUE],…] [--OPTION [VALUE]]…' },
          { code: 'mount -t syncmount -o OPTION[=VALUE],… NAME:[/PATH] MOUNTPOINT' },
        ],
      },
      {
        title: 'Description',
        blocks: [
          'The command returns with 0 when the mountpoint answers. Before that, it prints any failure. The mount then goes on in the background until `syncmount umount`, `umount`(8) or a signal ends it.',
          'An option can be given in three places, and a later one wins: `config.toml` (`syncmount.toml`(5)), `-o`, and the command line.',
        ],
      },
      {
        title: 'Options',
        blocks: [
          { items: optionSpecs.map((spec): [string, string] => [flagOf(spec), meaningOf(spec)]) },
          units,
          'Only on the command line and in fstab:',
          { items: callerOptionSpecs.map((spec): [string, string] => [flagOf(spec), meaningOf(spec)]) },
        ],
      },
      {
        title: 'Fstab',
        blocks: [
          'An account of the user ann, and one of root:',
          {
            code: 'work:   /home/ann/work  syncmount  _netdev,nofail,user=ann  0 0\nstore:  /mnt/store      syncmount  noauto,x-systemd.automount,_netdev,allow_other,uid=1000  0 0',
          },
          "With `user=NAME` the mount belongs to that user, with the user's accounts, rights and directories. The user must be able to write to the mountpoint; allow_other then needs user_allow_other in /etc/fuse.conf. `config=DIR` names another config directory. The type is syncmount or fuse.syncmount.",
          '`mount -o remount,ro` and `remount,rw` change whether programs may write, and `syncmount set` changes the limits. To change any other option, mount anew.',
          '`ro` is read-only and `allow_other` is allow-other. Options of `mount`(8) and libfuse that change nothing for a program are ignored; for every other one a line says what it would need. A comma within a value has a backslash before it.',
        ],
      },
      ...Object.values(subjects),
      exitStatus,
      { title: 'See also', blocks: ['`syncmount`(1), `syncmount.toml`(5), `fstab`(5), `systemd.automount`(5)'] },
    ],
  };
}

function configPage(version: string): Page {
  return {
    name: 'syncmount.toml',
    section: 5,
    version,
    purpose: 'config.toml of syncmount: options for every mount, or for one account',
    sections: [
      {
        title: 'Description',
        blocks: [
          'The file is ~/.config/syncmount/config.toml ($SYNCMOUNT_CONFIG_DIR, $XDG_CONFIG_HOME), in TOML. It is optional.',
          {
            items: [
              ['[mount]', 'options for every mount'],
              ['[account.NAME]', 'options for the mounts of one account; they win over those of [mount]'],
            ],
          },
          'Options given with -o or on the command line win over the file. An unknown section or option, and a wrong value, is an error that names it.',
        ],
      },
      {
        title: 'Options',
        blocks: [{ items: optionSpecs.map((spec): [string, string] => [settingOf(spec), meaningOf(spec)]) }, units],
      },
      {
        title: 'Example',
        blocks: [{ code: '[mount]\ncache-size = "5G"\n\n[account.work]\nwrite-back = true\ndir-ttl = "10s"' }],
      },
      { title: 'See also', blocks: ['`syncmount`(1), `syncmount-mount`(8)'] },
    ],
  };
}

function flagOf({ name, value }: OptionSpec | CallerOptionSpec): string {
  return value === undefined ? `--${name}` : `--${name} ${value}`;
}

function settingOf({ name, value }: OptionSpec): string {
  if (value === undefined) return `${name} = true`;
  return value === 'ID' ? `${name} = ${value}` : `${name} = "${value}"`;
}

function meaningOf(spec: OptionSpec | CallerOptionSpec): string {
  const { help, value, defaultText } = spec;
  const shown = defaultText ?? ('default' in spec && typeof spec.default === 'string' ? spec.default : '');
  return value === undefined || shown === '' ? help : `${help} (default: ${shown})`;
}
