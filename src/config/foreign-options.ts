/** Options of mount(8), libfuse and other programs, which appear in lines that users copy. */

const selinux = 'labels of SELinux come from its policy; no option sets them';

const words = (text: string): string[] => text.trim().split(/\s+/);

/** Options that we ignore, because they do not concern us or ask for our own default. Each may have a value. */
const harmless = new Set([
  // mount(8), systemd.mount(5). `user=` in fstab makes mount(8) add `suid` and `dev`. `comment` and names that begin with `x-` or `X-`
  // are for other programs.
  ...words(`rw defaults auto noauto user nouser users owner noowner group nogroup exec suid nosuid dev nodev async
    dirsync nofail fail _netdev relatime norelatime noatime atime nodiratime diratime nostrictatime lazytime nolazytime
    noiversion nomand silent loud symfollow helper uhelper comment`),
  // mount.fuse3(8): the kernel always checks permissions, and read sizes and caching are negotiated.
  ...words(`default_permissions nonempty auto_unmount fsname subtype blksize kernel_cache auto_cache noauto_cache ac_attr_timeout
    max_read max_write max_readahead max_background congestion_threshold async_read sync_read big_writes atomic_o_trunc
    hard_remove use_ino readdir_ino intr intr_signal large_read no_remote_lock no_remote_flock no_remote_posix_lock
    splice_read splice_write splice_move no_splice_read no_splice_write no_splice_move clone_fd max_idle_threads max_threads`),
  // As /proc/mounts shows them.
  ...words('user_id group_id rootmode seclabel'),
  // macFUSE
  ...words('volname local noappledouble noapplexattr iosize'),
]);

/**
 * Flags of mount(8) that we cannot fulfil, with the behaviour that holds instead. A mount without the flag is still useful, so this is a
 * warning, not an error. A later flag that matches `against` cancels the flag.
 */
const unmet: Readonly<Record<string, { readonly against: RegExp; readonly instead: string }>> = {
  sync: {
    against: /^async$/,
    instead: 'what was written is safe on this machine after fsync, and stored at the service after close',
  },
  strictatime: {
    against: /^(nostrictatime|relatime|noatime)$/,
    instead: 'reading a file does not change its access time',
  },
  iversion: { against: /^noiversion$/, instead: 'no change counter is kept; each change gives a later ctime' },
  mand: { against: /^nomand$/, instead: 'Linux has no mandatory locks since 5.15; locks are advisory' },
};

/** By option: advice how to get the same effect here. */
const others: Readonly<Record<string, string>> = {
  remount: 'unmount, and mount again with the options that you want',
  allow_root: 'allow_other lets root in, and everybody else whom the permissions let in',
  direct_io: 'pages are shared with the kernel always; dir-ttl says how soon changes of others are seen',
  attr_timeout: 'dir-ttl says how long what is known counts as the truth',
  entry_timeout: 'dir-ttl says how long what is known counts as the truth',
  negative_timeout: 'dir-ttl says how long what is known counts as the truth',
  fmask: 'umask is for files and directories alike',
  dmask: 'umask is for files and directories alike',
  bind: 'mount the account, and its mountpoint can be bound elsewhere with mount(8)',
  rbind: 'mount the account, and its mountpoint can be bound elsewhere with mount(8)',
  move: 'unmount, and mount at the other place',
  loop: 'an account is no file with a file system in it',
  debug: 'log-level=debug writes everything to the log',
  fd: 'the program opens /dev/fuse itself',
  username: "'syncmount login' takes credentials, and no option does",
  password: "'syncmount login' takes credentials, and no option does",
  credentials: "'syncmount login' takes credentials, and no option does",
  context: selinux,
  fscontext: selinux,
  defcontext: selinux,
  rootcontext: selinux,
};

export function isHarmless(name: string): boolean {
  return harmless.has(name) || /^x-/i.test(name);
}

/** Is it a flag of mount(8) that we cannot fulfil? */
export function isUnmet(name: string): boolean {
  return Object.hasOwn(unmet, name);
}

/** A sentence for each such flag among the options that no later one cancels. */
export function tellUnmet(options: readonly string[]): string[] {
  return Object.entries(unmet).flatMap(([name, { against, instead }]) => {
    const last = options.findLast((option) => option === name || against.test(option));
    return last === name ? [`option '${name}' has no effect: ${instead}`] : [];
  });
}

/** One sentence about an option that is known but not supported. Undefined for an unknown name. */
export function adviceFor(name: string): string | undefined {
  return Object.hasOwn(others, name) ? others[name] : undefined;
}
