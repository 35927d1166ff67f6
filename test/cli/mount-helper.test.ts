import { describe, expect, it } from 'vitest';
import { environmentOf } from '../../src/cli/commands/caller.js';
import { knownOf, parseHelperCall, remountOf } from '../../src/cli/commands/mount-helper.js';
import { parseDashO, toRaw } from '../../src/config/option-texts.js';

describe('the helper of mount(8)', () => {
  it.each([
    ['work: /mnt', { options: [] }],
    ['work: /mnt -o ro,user=ann', { options: ['ro,user=ann'] }],
    ['work: /mnt -sfnv -o a -o b -t fuse.syncmount', { options: ['a', 'b'], isFake: true, isSloppy: true }],
    ['-v -n work: /mnt -o a', { options: ['a'] }],
  ])('reads: %s', (line, expected) => {
    expect(parseHelperCall(line.split(' '))).toEqual({
      ...{ source: 'work:', target: '/mnt', isFake: false, isSloppy: false },
      ...expected,
    });
  });

  it.each(['', 'work:', 'work: /mnt /more', 'work: /mnt -o', 'work: /mnt --foreground', 'work: /mnt -N ns'])(
    'refuses: %j',
    (line) => {
      expect(() => parseHelperCall(line.split(' ').filter(Boolean))).toThrow();
    },
  );

  it.each([
    [['rw,nosuid'], null],
    [['remount,ro'], 'ro'],
    [['ro,remount', 'rw'], 'rw'],
    [['remount'], 'rw'],
    [['x-remount'], null],
  ])('%j is a remount to %j', (options, remount) => {
    expect(remountOf(options)).toBe(remount);
  });
});

describe('sloppy options', () => {
  it.each([
    ['ro,size=5,user=ann', 'ro,user=ann'],
    ['log-file=/a\\,b,_netdev,what', 'log-file=/a\\,b,_netdev'],
    ['what', ''],
  ])('%s are %s', (list, known) => {
    expect(knownOf(list)).toBe(known);
  });
});

describe('user= and config=', () => {
  it('are options of ours with a value only, and the process in the background does not get them again', () => {
    const raw = parseDashO(['user,users,ro', 'user=ann,config=/etc/x']);
    expect([...raw]).toEqual([
      ['read-only', 'true'],
      ['user', 'ann'],
      ['config', '/etc/x'],
    ]);
    expect(toRaw([raw])).toEqual({ 'read-only': 'true' });
  });

  it("leave nothing of another user's environment", () => {
    const person = { username: 'ann', uid: 5, gid: 6, homedir: '/home/ann', shell: '/bin/sh' };
    const env = {
      HOME: '/root',
      XDG_STATE_HOME: '/x',
      SYNCMOUNT_CACHE_DIR: '/y',
      USER: 'root',
      PATH: '/bin',
      TZ: 'UTC',
    };
    expect(environmentOf(env, person)).toEqual({
      ...{ HOME: '/home/ann', USER: 'ann', LOGNAME: 'ann', SHELL: '/bin/sh' },
      ...{ PATH: '/bin', TZ: 'UTC' },
    });
  });
});
