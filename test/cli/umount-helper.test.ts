import { describe, expect, it } from 'vitest';
import { parseUmountCall } from '../../src/cli/commands/umount-helper.js';

describe('the helper of umount(8)', () => {
  it.each([
    ['/mnt', { flags: [], isForced: false }],
    ['/mnt -n -v -t fuse.syncmount', { flags: ['-n', '-v'], isForced: false }],
    ['/mnt -l', { flags: ['-l'], isForced: true }],
    ['/mnt -nf', { flags: ['-nf'], isForced: true }],
  ])('reads: %s', (line, expected) => {
    expect(parseUmountCall(line.split(' '))).toEqual({ target: '/mnt', ...expected });
  });

  it.each(['', '/mnt /more', '/mnt --all', '/mnt -N ns'])('refuses: %j', (line) => {
    expect(() => parseUmountCall(line.split(' ').filter(Boolean))).toThrow();
  });
});
