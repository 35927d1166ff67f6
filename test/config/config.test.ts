import { mkdirSync, mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { inspect } from 'node:util';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { codeOf, messageOf, UsageError } from '../../src/base/errors.js';
import { AccountStore, requireAccountName, type StoredAccount } from '../../src/config/accounts.js';
import { baseDirectoriesOf, privateDirectory } from '../../src/config/base-directories.js';
import { readConfigFile } from '../../src/config/config-file.js';
import { tellUnmet } from '../../src/config/foreign-options.js';
import { parseDashO, parseLive, quoteDashO, resolveOptions, toRaw } from '../../src/config/option-texts.js';
import { kernelFlags, optionSpecs } from '../../src/config/options.js';
import { formatSize, parseDuration, parseSize } from '../../src/config/units.js';

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'syncmount-config-'));
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

const errorOf = (act: () => unknown): unknown => {
  try {
    act();
  } catch (error) {
    return error;
  }
  throw new Error('nothing was thrown');
};

describe('units', () => {
  it.each([
    ['0', 0],
    ['4096', 4096],
    ['1k', 1024],
    ['10G', 10 * 1024 ** 3],
    ['512MiB', 512 * 1024 ** 2],
    ['1.5T', 1.5 * 1024 ** 4],
    [' 2 GB ', 2 * 1024 ** 3],
  ])('%j is %i bytes', (text, bytes) => {
    expect(parseSize(text)).toBe(bytes);
  });

  it.each([
    ['60s', 60_000],
    ['30', 30_000],
    ['250ms', 250],
    ['5m', 300_000],
    ['1.5h', 5_400_000],
    ['1D', 86_400_000],
    ['0', 0],
  ])('%j is %i ms', (text, ms) => {
    expect(parseDuration(text)).toBe(ms);
  });

  it.each(['', '-1', 'G', '10X', '1e9', '1,5G', 'NaN', '10 G G'])('%j is no size', (text) => {
    expect(errorOf(() => parseSize(text))).toBeInstanceOf(UsageError);
  });

  it.each(['', '-1s', 's', '5 years', '1:30', 'Infinity'])('%j is no time', (text) => {
    expect(errorOf(() => parseDuration(text))).toBeInstanceOf(UsageError);
  });

  it.each([
    [0, '0 B'],
    [1023, '1023 B'],
    [1024, '1.0 KiB'],
    [12.3 * 1024 ** 2, '12.3 MiB'],
    [1024 ** 6, '1024.0 PiB'],
  ])('%i bytes are shown as %s', (bytes, text) => {
    expect(formatSize(bytes)).toBe(text);
  });
});

describe('options', () => {
  it('have defaults that each option can read', () => {
    expect(resolveOptions()).toMatchObject({
      readOnly: false,
      noexec: false,
      nosymfollow: false,
      writeBack: false,
      cacheSize: 10 * 1024 ** 3,
      dirTtl: 60_000,
      umask: 0o022,
      delete: 'trash',
      logFile: null,
    });
  });

  it('may have several values, in each place where they can be given', () => {
    const places = baseDirectoriesOf({ SYNCMOUNT_CONFIG_DIR: directory });
    writeFileSync(
      join(directory, 'config.toml'),
      '[mount]\nexclude = [".DS_Store", "~$*"]\n[account.work]\ncache-size = "1G"',
    );
    const config = readConfigFile(places, 'work', ['work']).options;
    expect(resolveOptions(...config).exclude).toEqual(['.DS_Store', '~$*']);
    const typed = parseDashO(['exclude=a\\,b,ro', 'exclude=*.tmp']);
    expect(resolveOptions(...config, typed).exclude).toEqual(['a,b', '*.tmp']);
    expect(resolveOptions(new Map(Object.entries(toRaw([...config, typed])))).exclude).toEqual(['a,b', '*.tmp']);
    const passedOn = Object.entries(toRaw([typed])).map(([name, value]) => `${name}=${quoteDashO(value)}`);
    expect(resolveOptions(parseDashO(passedOn)).exclude).toEqual(['a,b', '*.tmp']);
    expect(resolveOptions(typed, parseDashO(['exclude='])).exclude).toEqual([]);
  });

  it('of a running mount are those that can be changed', () => {
    expect([...parseLive(['bwlimit=5M:1M', 'exclude=a', 'exclude=b', 'transfers='])]).toEqual([
      ['bwlimit', '5M:1M'],
      ['exclude', 'a\nb'],
      ['transfers', ''],
    ]);
    for (const wrong of ['uid=0', 'bwlimit', 'transfers=-1', 'log-level=loud', 'what=1'])
      expect(errorOf(() => parseLive([wrong]))).toBeInstanceOf(UsageError);
  });

  it('come from several sources, the later winning', () => {
    const raw = (entries: Record<string, string>) => new Map(Object.entries(entries));
    const options = resolveOptions(
      raw({ 'cache-size': '1G', 'dir-ttl': '5s' }),
      raw({ 'cache-size': '2G' }),
      parseDashO(['ro,umask=077', 'dir_ttl=10s']),
    );
    expect(options).toMatchObject({ cacheSize: 2 * 1024 ** 3, dirTtl: 10_000, readOnly: true, umask: 0o077 });
  });

  it('of fstab that do not concern us are ignored', () => {
    expect([...parseDashO(['defaults,_netdev,nofail,noauto,user,x-systemd.automount,comment=hello', ''])]).toEqual([]);
    expect(Object.fromEntries(parseDashO(['allow_other,cache-size=1G']))).toEqual({
      'allow-other': 'true',
      'cache-size': '1G',
    });
  });

  it.each(kernelFlags)('takes %s, and of it and its opposite the later one', (flag) => {
    const opposite = flag.slice(2);
    expect([...parseDashO([`${opposite},${flag}`])]).toEqual([[flag, 'true']]);
    expect([...parseDashO([`${flag},${opposite}`])]).toEqual([]);
  });

  // Those of mount(8) for any file system: the option that it is for us, `told` where it cannot be had, `refused`, or nothing to do.
  it.each([
    ...[
      'async',
      'atime',
      'noatime',
      'auto',
      'noauto',
      'defaults',
      'dev',
      'nodev',
      'diratime',
      'nodiratime',
      'dirsync',
      'exec',
      'group',
    ],
    ...[
      'noiversion',
      'nomand',
      '_netdev',
      'nofail',
      'relatime',
      'norelatime',
      'nostrictatime',
      'lazytime',
      'nolazytime',
    ],
    ...[
      'nosuid',
      'silent',
      'loud',
      'owner',
      'rw',
      'user',
      'nouser',
      'users',
      'symfollow',
      'seclabel',
      'X-mount.mkdir',
      'x-initrd.mount',
    ],
    ...['ro: read-only', 'noexec: noexec', 'nosymfollow: nosymfollow'],
    ...['sync: told', 'strictatime: told', 'iversion: told', 'mand: told'],
    ...['context=x', 'fscontext=x', 'defcontext=x', 'rootcontext=x', 'remount'].map((name) => `${name}: refused`),
  ])('of mount(8): %s', (row) => {
    const [option = '', meaning] = row.split(': ');
    if (meaning === 'refused') return expect(errorOf(() => parseDashO([option]))).toBeInstanceOf(UsageError);
    const isTold = meaning === 'told';
    expect([...parseDashO([option]).keys()]).toEqual(meaning === undefined || isTold ? [] : [meaning]);
    expect(tellUnmet([option])).toEqual(
      isTold ? [expect.stringMatching(`^option '${option}' has no effect: .{20,}$`)] : [],
    );
  });

  it('tells nothing of a flag that a later one takes back', () => {
    expect(tellUnmet('sync,mand,iversion,async,nomand,noiversion'.split(','))).toEqual([]);
    expect(tellUnmet(['strictatime', 'relatime'])).toEqual([]);
    expect(tellUnmet(['async', 'sync'])).toHaveLength(1);
  });

  // Lines as they are found in fstab, in manuals, in units of systemd and in /proc/mounts.
  it.each([
    'rw,nosuid,nodev,relatime,user_id=1000,group_id=1000,default_permissions,allow_other,max_read=131072',
    'rw,noauto,users,_netdev,x-systemd.automount,x-systemd.idle-timeout=60,X-mount.mkdir,uid=0,gid=0,umask=022,allow_other',
    'nonempty,auto_unmount,fsname=x,subtype=y,kernel_cache,max_read=1,big_writes,default_permissions',
    'auto_cache,use_ino,hard_remove,noauto_cache,max_write=1,async_read,splice_read,clone_fd,volname=Cloud,local,dev,suid',
  ])('that are copied from elsewhere and harmless are taken: %s', (line) => {
    expect([...parseDashO([line]).keys()].filter((name) => !/^(allow-other|uid|gid|umask)$/.test(name))).toEqual([]);
  });

  it.each([
    'remount,ro',
    'allow_root',
    'direct_io',
    'attr_timeout=1',
    'entry_timeout=1',
    'fmask=111',
    'bind',
    'password=x',
  ])('that would need something else are refused in one line that says what: %s', (line) => {
    const error = errorOf(() => parseDashO([line]));
    expect(error).toBeInstanceOf(UsageError);
    expect(messageOf(error)).toMatch(/^option '\w+' is not taken: [^\n]{20,}$/);
    expect(messageOf(error)).not.toContain('password=x');
  });

  it('that contradict each other: the later holds, and the rw that mount(8) adds takes nothing from config.toml', () => {
    expect(resolveOptions(parseDashO(['ro,rw'])).readOnly).toBe(false);
    expect(resolveOptions(parseDashO(['rw,ro'])).readOnly).toBe(true);
    expect(resolveOptions(new Map([['read-only', 'true']]), parseDashO(['rw'])).readOnly).toBe(true);
  });

  it('go to another process and come back', () => {
    const sources = [parseDashO(['ro,umask=027,log-file=/a\\,b\\\\c']), parseDashO(['umask=077'])];
    expect(resolveOptions(...sources).logFile).toBe('/a,b\\c');
    const again = parseDashO(Object.entries(toRaw(sources)).map(([name, value]) => `${name}=${quoteDashO(value)}`));
    expect(resolveOptions(again)).toEqual(resolveOptions(...sources));
  });

  it.each([
    ['nonsense', 'nonsense'],
    ['cache-size=lots', '--cache-size'],
    ['uid=me', '--uid'],
    ['umask=999', '--umask'],
    ['delete=maybe', '--delete'],
    ['read-only=perhaps', '--read-only'],
  ])('-o %s is refused in one line that names it', (text, name) => {
    const error = errorOf(() => resolveOptions(parseDashO([text])));
    expect(error).toBeInstanceOf(UsageError);
    expect(messageOf(error)).toContain(name);
    expect(messageOf(error)).not.toContain('\n');
  });

  it('each have a help text and a name of their own', () => {
    expect(new Set(optionSpecs.map(({ name }) => name)).size).toBe(optionSpecs.length);
    for (const { help, name } of optionSpecs) {
      expect(help.length).toBeGreaterThan(10);
      expect(name).toMatch(/^[a-z]+(-[a-z]+)*$/);
    }
  });
});

describe('config.toml', () => {
  const write = (text: string): void => writeFileSync(join(directory, 'config.toml'), text);
  const read = (account = 'home', known = ['home', 'work']) =>
    readConfigFile({ config: directory }, account, known).options;

  it('need not exist', () => {
    expect(read()).toEqual([]);
  });

  it('holds options for all mounts and for one account, which win', () => {
    write('[mount]\ncache-size = "1G"\ndir_ttl = 30\n[account.home]\ncache-size = "2G"\nread-only = true\n');
    expect(resolveOptions(...read())).toMatchObject({ cacheSize: 2 * 1024 ** 3, dirTtl: 30_000, readOnly: true });
    expect(resolveOptions(...read('work'))).toMatchObject({ cacheSize: 1024 ** 3, readOnly: false });
  });

  it.each([
    ['[mount', ''],
    ['[mount]\nnonsense = 1', "unknown option 'nonsense' (in [mount])"],
    ['[mount]\ncache-size = [1]', 'cache-size has no plain value (in [mount])'],
    ['mount = 1', '[mount] is not a table'],
    ['[account]\nhome = 1', '[account.home] is not a table'],
    ['[mounts]\nread-only = true', 'there is no section [mounts]'],
    ['[Mount]\nread-only = true', 'there is no section [Mount]'],
    ['[accounts.home]\nread-only = true', 'there is no section [accounts]'],
    ['[[mount]]\nread-only = true', '[mount] is not a table'],
    ['read-only = true', 'read-only stands outside of a section'],
    ['[account.hmoe]\nread-only = true', 'is [account.home] meant?'],
    ['[account.Home]\nread-only = true', 'is [account.home] meant?'],
    ['[account.home]\n[account.work]\nread-onyl = true', "unknown option 'read-onyl' (in [account.work])"],
    ['[mount]\nremount = true', "option 'remount' is not taken: unmount, and mount again"],
  ])('is refused in one line that names the file: %j', (text, what) => {
    write(text);
    const error = errorOf(() => read());
    expect(error).toBeInstanceOf(UsageError);
    expect(messageOf(error)).toContain('config.toml: ');
    expect(messageOf(error)).toContain(what);
    expect(messageOf(error)).not.toContain('\n');
  });

  it('may speak of accounts that are not logged in here, which is said', () => {
    write('[account.elsewhere]\nread-only = true\n[account.home]\nread-only = true\n');
    const { options, warnings } = readConfigFile({ config: directory }, 'home', ['home', 'work']);
    expect(resolveOptions(...options).readOnly).toBe(true);
    expect(warnings).toEqual([
      expect.stringMatching(/\[account\.elsewhere\] is of no account that is logged in here$/),
    ]);
  });
});

describe('directories', () => {
  it('follow SYNCMOUNT_*, else XDG, else the home directory', () => {
    expect(baseDirectoriesOf({ HOME: '/h' })).toEqual({
      config: '/h/.config/syncmount',
      state: '/h/.local/state/syncmount',
      cache: '/h/.cache/syncmount',
    });
    expect(
      baseDirectoriesOf({ HOME: '/h', XDG_CONFIG_HOME: '/c', XDG_STATE_HOME: '', SYNCMOUNT_CACHE_DIR: '/own' }),
    ).toEqual({ config: '/c/syncmount', state: '/h/.local/state/syncmount', cache: '/own' });
  });

  it('are made for their owner alone, also where they exist', () => {
    mkdirSync(join(directory, 'open'), { mode: 0o755 });
    expect(statSync(privateDirectory(join(directory, 'open'))).mode & 0o777).toBe(0o700);
    expect(statSync(privateDirectory(join(directory, 'a', 'b'))).mode & 0o777).toBe(0o700);
    writeFileSync(join(directory, 'file'), '');
    expect(codeOf(errorOf(() => privateDirectory(join(directory, 'file', 'x'))))).toBe('directory');
  });
});

describe('the account store', () => {
  const secret = 'very-secret-value';
  const account: StoredAccount = {
    provider: '4shared',
    endpoints: { api: 'https://api.example.org/v1_2' },
    credentials: { consumerKey: 'k', consumerSecret: secret },
    userId: '1',
    label: 'person',
  };
  const store = (): AccountStore => new AccountStore({ config: directory });

  it('keeps accounts in files of mode 0600 in a directory of mode 0700', () => {
    store().save('home', account);
    store().save('home', { ...account, label: 'again' });
    const accounts = join(directory, 'accounts');
    expect(readdirSync(accounts)).toEqual(['home.json']);
    expect(statSync(join(accounts, 'home.json')).mode & 0o777).toBe(0o600);
    expect(statSync(accounts).mode & 0o777).toBe(0o700);
    expect(store().load('home')).toEqual({ ...account, label: 'again' });
    expect(store().names()).toEqual(['home']);
    store().remove('home');
    expect(store().names()).toEqual([]);
  });

  it('names the accounts that are known, and how to add one', () => {
    expect(messageOf(errorOf(() => store().load('x')))).toContain('no account is known yet');
    store().save('home', account);
    const error = errorOf(() => store().load('x'));
    expect(codeOf(error)).toBe('unknown-account');
    expect(messageOf(error)).toContain('home');
    expect(messageOf(error)).toContain('syncmount login x');
    expect(codeOf(errorOf(() => store().remove('x')))).toBe('unknown-account');
  });

  it.each([
    ['broken JSON', `{"provider": "4shared", "credentials": {"consumerSecret": "${secret}"`],
    ['a wrong shape', JSON.stringify({ provider: '4shared', credentials: secret, userId: '1' })],
    ['an unknown provider', JSON.stringify({ ...account, provider: secret })],
    ['a number among the credentials', JSON.stringify({ ...account, credentials: { consumerKey: secret, token: 1 } })],
    ['endpoints in a list', JSON.stringify({ ...account, endpoints: [secret] })],
    ['no user', JSON.stringify({ ...account, userId: undefined })],
    ['a label that is no text', JSON.stringify({ ...account, label: { secret } })],
    ['nothing', 'null'],
  ])('tells of %s without a word of what is in the file', (_what, text) => {
    store().save('home', account);
    writeFileSync(join(directory, 'accounts', 'home.json'), text);
    const error = errorOf(() => store().load('home'));
    expect(codeOf(error)).toBe('account-file');
    expect(inspect(error, { depth: 10, showHidden: true })).not.toContain(secret);
  });

  it('takes a file without what newer versions add, and without values that are not set', () => {
    store().save('home', account);
    const { endpoints: _, label: __, ...older } = account;
    const text = JSON.stringify({ ...older, credentials: { ...account.credentials, token: null }, later: 1 });
    writeFileSync(join(directory, 'accounts', 'home.json'), text);
    expect(store().load('home')).toEqual({ ...account, endpoints: {}, label: '' });
  });

  it.each(['', '.', '../x', 'a/b', '-x', 'a b', 'ä', 'x'.repeat(65), 'a:b'])('refuses the name %j', (name) => {
    expect(errorOf(() => requireAccountName(name))).toBeInstanceOf(UsageError);
    expect(errorOf(() => store().load(name))).toBeInstanceOf(UsageError);
  });

  it.each(['a', 'home', 'A.b_c-9', 'x'.repeat(64)])('takes the name %j', (name) => {
    expect(requireAccountName(name)).toBe(name);
  });
});
