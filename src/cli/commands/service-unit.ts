/** The text of a systemd unit that mounts an account: systemd.service(5). */

/** Every text in the syntax of units, as `unitWord` makes it, so that a template can hold specifiers. */
export interface ServiceUnit {
  /** The account. */
  readonly name: string;
  readonly mountpoint: string;
  /** The program and its first arguments. */
  readonly command: readonly string[];
  /** Options of the mount: words after those of `mount`. */
  readonly options: readonly string[];
  /** `NAME=VALUE` */
  readonly environment: readonly string[];
  /** For the whole machine; otherwise for one user. */
  readonly isSystem: boolean;
}

/** The unit of the package, which `systemctl --user enable --now syncmount@NAME` uses: the account NAME on the folder NAME at home. */
export const templateUnit: ServiceUnit = {
  name: '%i',
  mountpoint: '"%h/%i"',
  command: ['/usr/bin/syncmount'],
  options: [],
  environment: [],
  isSystem: false,
};

/** How long a stop waits for uploads. The rest waits in the spool. */
const STOP_TIMEOUT = '90s';

export function unitText({ name, mountpoint, command, options, environment, isSystem }: ServiceUnit): string {
  const network = isSystem ? 'Wants=network-online.target\nAfter=network-online.target\n' : '';
  return `[Unit]
Description=syncmount: the account ${name}
Documentation=man:syncmount(1) man:syncmount-mount(8)
${network}
[Service]
Type=notify
SyslogIdentifier=syncmount
# Many files are read, written and synced at the same time.
Environment=UV_THREADPOOL_SIZE=16
${environment.map((variable) => `Environment=${variable}\n`).join('')}ExecStartPre=-/bin/mkdir -p ${mountpoint}
ExecStart=${[...command, 'mount', `${name}:`, mountpoint, '--foreground', '--stop-timeout', STOP_TIMEOUT, ...options].join(' ')}
ExecReload=/bin/kill -HUP $MAINPID
# The service may be slow, or away for a while.
TimeoutStartSec=3min
Restart=on-failure
RestartSec=60s
# Bad usage, and a program that was removed.
RestartPreventExitStatus=2 203
# The program answers at once. One that hangs holds up all who use the directory.
WatchdogSec=2min
# Later than --stop-timeout, when the mount ends by itself and keeps what is not stored.
TimeoutStopSec=2min

[Install]
WantedBy=${isSystem ? 'multi-user.target' : 'default.target'}
`;
}

/** One word of a command line or of `Environment=`, quoted. `$` is doubled only in command lines. */
export function unitWord(text: string, isOfCommand = true): string {
  const escaped = text.replace(/[\\"]/g, '\\$&').replaceAll('\n', '\\n').replaceAll('%', '%%');
  return `"${isOfCommand ? escaped.replaceAll('$', '$$$$') : escaped}"`;
}
