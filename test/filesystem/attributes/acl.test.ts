import { describe, expect, it } from 'vitest';
import {
  encodeAcl,
  inherited,
  isExtended,
  parseAcl,
  permissionsOf,
  withMode,
} from '../../../src/filesystem/attributes/acl.js';
import { aclOf } from '../../support/acl-text.js';
import { errnoOf } from '../harness.js';

const parse = (text: string) => parseAcl(aclOf(text));

describe('an ACL', () => {
  it.each([
    ['u::rw- g::r-- o::---', 0o640, false],
    ['u::rwx g::r-x m::--x o::---', 0o710, true],
    ['u::rwx u:5:rwx g::r-x m::rwx o::r--', 0o774, true],
    ['u::--- g::--- g:7:rwx m::rw- o::rwx', 0o067, true],
  ])('%s has the mode %i', (text, mode, extended) => {
    const acl = parse(text);
    expect([permissionsOf(acl), isExtended(acl)]).toEqual([mode, extended]);
    expect(Buffer.from(encodeAcl(acl))).toEqual(aclOf(text));
  });

  it.each([
    ['u::rw- g::r-- o::---', 0o751, 'u::rwx g::r-x o::--x'],
    // The mask stands for the group; what the owning group itself may do stays.
    ['u::rw- g::r-- m::rwx o::---', 0o751, 'u::rwx g::r-- m::r-x o::--x'],
    ['u::rw- u:5:rwx g::r-- m::rwx o::---', 0o600, 'u::rw- u:5:rwx g::r-- m::--- o::---'],
  ])('%s becomes with mode %i %s', (text, mode, after) => {
    expect(Buffer.from(encodeAcl(withMode(parse(text), mode)))).toEqual(aclOf(after));
  });

  it.each([
    ['u::rwx g::r-x o::r-x', 0o666, 'u::rw- g::r-- o::r--', 0o644],
    ['u::rwx u:5:rw- g::r-x m::rwx o::---', 0o666, 'u::rw- u:5:rw- g::r-x m::rw- o::---', 0o660],
    ['u::rwx u:5:rw- g::r-x m::r-x o::r--', 0o2777, 'u::rwx u:5:rw- g::r-x m::r-x o::r--', 0o2754],
    ['u::rwx g::rwx o::rwx', 0o600, 'u::rw- g::--- o::---', 0o600],
  ])('%s as a default gives a new object of mode %i %s', (text, asked, access, mode) => {
    const born = inherited(parse(text), asked);
    expect(Buffer.from(encodeAcl(born.acl))).toEqual(aclOf(access));
    expect(born.mode).toBe(mode);
  });

  it.each([
    ['is cut', Buffer.alloc(3)],
    ['is cut in an entry', aclOf('u::rw- g::r-- o::---').subarray(0, 20)],
    ['lacks the others', aclOf('u::rw- g::r--')],
    ['has two owners', aclOf('u::rw- u::rw- g::r-- o::---')],
    ['names a user without a mask', aclOf('u::rw- u:5:r-- g::r-- o::---')],
    ['is in disorder', aclOf('g::r-- u::rw- o::---')],
    ['has an unknown tag', Buffer.from('020000000300070000000000', 'hex')],
  ])('that %s is refused', async (_, value) => {
    expect(await errnoOf(() => parseAcl(value))).toBe('EINVAL');
  });

  it('of another version is not supported', async () => {
    expect(await errnoOf(() => parseAcl(Buffer.from('01000000', 'hex')))).toBe('ENOTSUP');
  });

  it('without entries is none', () => {
    expect(parse('')).toEqual([]);
  });
});
