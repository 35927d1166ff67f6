/**
 * The options of a mount, declared once. The flags of the command line, `-o` for fstab, the config file, the help text and
 * the table in docs/options.md all come from here.
 */
import { parseBandwidth, type Timetable } from './bandwidth-timetable.js';
import { type MetricsAddress, parseMetricsAddress } from './metrics-address.js';
import { oneOf, parseCount, parseId, parsePatterns, parseSwitch, parseTransfers, parseUmask } from './option-values.js';
import { parseDuration, parseSize } from './units.js';

export interface MountOptions {
  readonly readOnly: boolean;
  readonly noexec: boolean;
  readonly nosymfollow: boolean;
  readonly writeBack: boolean;
  /** Bytes. */
  readonly cacheSize: number;
  /** ms */
  readonly dirTtl: number;
  readonly uid: number;
  readonly gid: number;
  readonly umask: number;
  readonly allowOther: boolean;
  readonly delete: 'trash' | 'permanent';
  readonly metadata: 'account' | 'local';
  /** ms */
  readonly deadline: number;
  readonly strictReads: boolean;
  /** ms; null: no limit. */
  readonly stopTimeout: number | null;
  readonly binding: 'auto' | 'kernel' | 'native';
  readonly bwlimit: { readonly text: string; readonly timetable: Timetable };
  /** null: not given. */
  readonly transfers: number | null;
  readonly exclude: readonly string[];
  readonly metrics: MetricsAddress | null;
  readonly logLevel: 'error' | 'warn' | 'info' | 'debug';
  readonly logFile: string | null;
  /** Bytes. */
  readonly logMaxSize: number;
  /** ms; null: no limit. */
  readonly logMaxAge: number | null;
  readonly logKeep: number;
}

/** Options that the kernel enforces, under their names in mount(8). Each has an opposite, without the `no`. */
export const kernelFlags = ['noexec', 'nosymfollow'] as const;
export type KernelFlag = (typeof kernelFlags)[number];

export interface OptionSpec<K extends keyof MountOptions = keyof MountOptions> {
  readonly key: K;
  /** The name as typed: `--name`, or `-o name=value`. */
  readonly name: string;
  /** The name of the value in the help; absent for a switch. */
  readonly value?: string;
  /** The default as typed, or computed for the user who mounts. */
  readonly default: string | (() => string);
  /** The default in the documentation's words, if the default itself is computed or empty. */
  readonly defaultText?: string;
  readonly help: string;
  /** The option may be given several times. Its text then has one line for each value. */
  readonly isRepeatable?: true;
  /** `syncmount set` changes it on a running mount. */
  readonly isLive?: true;
  /** Other names that fstab and mount(8) use with -o. */
  readonly aliases?: readonly string[];
  readonly parse: (text: string) => MountOptions[K];
}

function spec<K extends keyof MountOptions>(option: OptionSpec<K>): OptionSpec {
  return option as unknown as OptionSpec;
}

export const optionSpecs: readonly OptionSpec[] = [
  spec({
    key: 'readOnly',
    name: 'read-only',
    default: 'false',
    aliases: ['ro'],
    parse: parseSwitch,
    help: 'refuse every change',
  }),
  spec({
    key: 'noexec',
    name: 'noexec',
    default: 'false',
    parse: parseSwitch,
    help: 'no program in the mount can be executed (in fstab also implied by user and users, unless exec follows)',
  }),
  spec({
    key: 'nosymfollow',
    name: 'nosymfollow',
    default: 'false',
    parse: parseSwitch,
    help: 'no symbolic link in the mount is followed (Linux 5.10; as an ordinary user fuse3 3.17.1)',
  }),
  spec({
    key: 'writeBack',
    name: 'write-back',
    default: 'false',
    parse: parseSwitch,
    help: 'close() answers once the content is safe on the local disk, and the upload follows',
  }),
  spec({
    key: 'cacheSize',
    name: 'cache-size',
    value: 'SIZE',
    default: '10G',
    parse: parseSize,
    help: 'the most that downloaded blocks may take on the local disk',
  }),
  spec({
    key: 'dirTtl',
    name: 'dir-ttl',
    value: 'TIME',
    default: '60s',
    parse: parseDuration,
    help: 'how long a listing is used before the provider is asked again',
  }),
  spec({
    key: 'uid',
    name: 'uid',
    value: 'ID',
    default: () => String(process.getuid?.() ?? 0),
    defaultText: 'yours',
    parse: parseId,
    help: 'the owner of files that nobody has given another one (chown)',
  }),
  spec({
    key: 'gid',
    name: 'gid',
    value: 'ID',
    default: () => String(process.getgid?.() ?? 0),
    defaultText: 'yours',
    parse: parseId,
    help: 'the group of files that nobody has given another one (chgrp)',
  }),
  spec({
    key: 'umask',
    name: 'umask',
    value: 'OCTAL',
    default: '022',
    parse: parseUmask,
    help: 'permission bits that files and directories lack unless chmod has set them',
  }),
  spec({
    key: 'allowOther',
    name: 'allow-other',
    default: 'false',
    aliases: ['allow_other'],
    parse: parseSwitch,
    help: 'let other users in (as an ordinary user this needs user_allow_other in /etc/fuse.conf)',
  }),
  spec({
    key: 'delete',
    name: 'delete',
    value: 'trash|permanent',
    default: 'trash',
    parse: oneOf('trash', 'permanent'),
    help: 'where removed files go: to the trash, if the provider has one, or away for ever',
  }),
  spec({
    key: 'strictReads',
    name: 'strict-reads',
    default: 'no',
    parse: parseSwitch,
    help: 'if the service does not say which version of a file a range belongs to, ask after each range: a reader of an older version is never shown bytes of a newer one, and each read takes a round trip more (default: ask beside the ranges, at most once a second)',
  }),
  spec({
    key: 'metadata',
    name: 'metadata',
    value: 'account|local',
    default: 'account',
    parse: oneOf('account', 'local'),
    help: 'where modes, owners, times, attributes and special files are kept: in the account, for every machine, or on this machine only',
  }),
  spec({
    key: 'deadline',
    name: 'deadline',
    value: 'TIME',
    default: '60s',
    parse: parseDuration,
    help: 'how long a request is retried before the program gets an error',
  }),
  spec({
    key: 'stopTimeout',
    name: 'stop-timeout',
    value: 'TIME',
    default: '',
    defaultText: 'as long as it takes',
    parse: (text) => (text === '' ? null : parseDuration(text)),
    help: 'how long a signal (a service that is stopped, a shutdown) waits for uploads and open files; contents that are not stored by then wait for the next mount',
  }),
  spec({
    key: 'bwlimit',
    name: 'bwlimit',
    value: 'DOWN:UP',
    default: 'off',
    isLive: true,
    parse: (text) => ({ text: text.trim() === '' ? 'off' : text.trim(), timetable: parseBandwidth(text) }),
    help: 'how many bytes a second may move in each direction (5M:1M, or 2M for both), or a timetable of such limits (08:00,512K 19:00,off; Mon-08:00,1M)',
  }),
  spec({
    key: 'transfers',
    name: 'transfers',
    value: 'N',
    default: '',
    defaultText: 'as many as programs wait for, and 24 others',
    isLive: true,
    parse: parseTransfers,
    help: 'how many files are uploaded at a time',
  }),
  spec({
    key: 'exclude',
    name: 'exclude',
    value: 'PATTERN',
    default: '',
    defaultText: 'none',
    isRepeatable: true,
    isLive: true,
    parse: parsePatterns,
    help: 'files with such a name, or in a directory with such a name, are never uploaded and stay on this machine (.DS_Store, ~$*, .~lock.*#); may be repeated',
  }),
  spec({
    key: 'binding',
    name: 'binding',
    value: 'auto|kernel|native',
    default: 'auto',
    parse: oneOf('auto', 'kernel', 'native'),
    help: 'how to speak to the kernel: directly in its FUSE protocol, or through libfuse 2',
  }),
  spec({
    key: 'metrics',
    name: 'metrics',
    value: 'ADDRESS',
    default: '',
    defaultText: 'nowhere',
    parse: (text) => (text === '' ? null : parseMetricsAddress(text)),
    help: 'where Prometheus may ask for metrics: a port of this machine (9469), IP:PORT, or the path of a Unix socket',
  }),
  spec({
    key: 'logLevel',
    name: 'log-level',
    value: 'error|warn|info|debug',
    default: 'info',
    isLive: true,
    parse: oneOf('error', 'warn', 'info', 'debug'),
    help: 'how detailed the log is',
  }),
  spec({
    key: 'logFile',
    name: 'log-file',
    value: 'FILE',
    default: '',
    defaultText: 'in the state directory',
    parse: (text) => (text === '' ? null : text),
    help: 'where a mount in the background writes its log',
  }),
  spec({
    key: 'logMaxSize',
    name: 'log-max-size',
    value: 'SIZE',
    default: '10M',
    parse: parseSize,
    help: 'a log file of this size is renamed to FILE.1, and so on, and a new one begins',
  }),
  spec({
    key: 'logMaxAge',
    name: 'log-max-age',
    value: 'TIME',
    default: '',
    defaultText: 'as long as there is room',
    parse: (text) => (text === '' ? null : parseDuration(text)),
    help: 'a log file is closed after this time, and removed when its last line is that old',
  }),
  spec({
    key: 'logKeep',
    name: 'log-keep',
    value: 'N',
    default: '5',
    parse: parseCount,
    help: 'how many log files there are at most',
  }),
];

/** Options that are needed before the mount's own options are read: only on the command line and in fstab, not in `config.toml`. */
export interface CallerOptionSpec {
  readonly name: string;
  readonly value: string;
  readonly defaultText: string;
  readonly help: string;
}

export const callerOptionSpecs: readonly CallerOptionSpec[] = [
  {
    name: 'user',
    value: 'NAME',
    defaultText: 'yours',
    help: "root mounts for this user, with that user's accounts and rights",
  },
  {
    name: 'config',
    value: 'DIR',
    defaultText: "the user's own",
    help: 'the config directory, with the accounts and config.toml',
  },
];
