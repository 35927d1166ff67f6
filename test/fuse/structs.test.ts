import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import * as protocol from '../../src/fuse/kernel/protocol/protocol.js';
import * as structs from '../../src/fuse/kernel/protocol/structs.js';

/** Our tables, and the structs of linux/fuse.h that they describe (a prefix of, where the length differs). */
const described = {
  inHeader: 'fuse_in_header',
  outHeader: 'fuse_out_header',
  initIn: 'fuse_init_in',
  initOut: 'fuse_init_out',
  attr: 'fuse_attr',
  entryOutHead: 'fuse_entry_out',
  attrOutHead: 'fuse_attr_out',
  dirent: 'fuse_dirent',
  forgetIn: 'fuse_forget_in',
  batchForgetIn: 'fuse_batch_forget_in',
  forgetOne: 'fuse_forget_one',
  setattrIn: 'fuse_setattr_in',
  mknodIn: 'fuse_mknod_in',
  mkdirIn: 'fuse_mkdir_in',
  renameIn: 'fuse_rename_in',
  rename2In: 'fuse_rename2_in',
  openIn: 'fuse_open_in',
  openOut: 'fuse_open_out',
  createIn: 'fuse_create_in',
  releaseIn: 'fuse_release_in',
  flushIn: 'fuse_flush_in',
  fsyncIn: 'fuse_fsync_in',
  readIn: 'fuse_read_in',
  writeIn: 'fuse_write_in',
  writeOut: 'fuse_write_out',
  statfsOut: 'fuse_kstatfs',
  setxattrIn: 'fuse_setxattr_in',
  getxattrIn: 'fuse_getxattr_in',
  getxattrOut: 'fuse_getxattr_out',
  interruptIn: 'fuse_interrupt_in',
  fallocateIn: 'fuse_fallocate_in',
  copyFileRangeIn: 'fuse_copy_file_range_in',
  lseekIn: 'fuse_lseek_in',
  lseekOut: 'fuse_lseek_out',
  notifyInvalidateInode: 'fuse_notify_inval_inode_out',
  notifyInvalidateEntry: 'fuse_notify_inval_entry_out',
} as const satisfies Partial<Record<keyof typeof structs, string>>;

const tables = { ...structs };
const prefixes = new Set(['initIn', 'entryOutHead', 'attrOutHead', 'setxattrIn']);

const initFlags = {
  asyncRead: 'FUSE_ASYNC_READ',
  atomicTruncate: 'FUSE_ATOMIC_O_TRUNC',
  bigWrites: 'FUSE_BIG_WRITES',
  autoInvalidateData: 'FUSE_AUTO_INVAL_DATA',
  readdirplus: 'FUSE_DO_READDIRPLUS',
  readdirplusAuto: 'FUSE_READDIRPLUS_AUTO',
  asyncDirectIo: 'FUSE_ASYNC_DIO',
  parallelDirectoryOperations: 'FUSE_PARALLEL_DIROPS',
  dontMask: 'FUSE_DONT_MASK',
  posixAcl: 'FUSE_POSIX_ACL',
  extendedSetxattr: 'FUSE_SETXATTR_EXT',
  abortError: 'FUSE_ABORT_ERROR',
  maxPages: 'FUSE_MAX_PAGES',
  cacheSymlinks: 'FUSE_CACHE_SYMLINKS',
  explicitInvalidateData: 'FUSE_EXPLICIT_INVAL_DATA',
  handleKillPrivileges: 'FUSE_HANDLE_KILLPRIV_V2',
  extended: 'FUSE_INIT_EXT',
} as const satisfies Record<keyof typeof protocol.initFlag, string>;

const setattrBits = {
  mode: 'FATTR_MODE',
  uid: 'FATTR_UID',
  gid: 'FATTR_GID',
  size: 'FATTR_SIZE',
  atime: 'FATTR_ATIME',
  mtime: 'FATTR_MTIME',
  handle: 'FATTR_FH',
  atimeNow: 'FATTR_ATIME_NOW',
  mtimeNow: 'FATTR_MTIME_NOW',
  killPrivileges: 'FATTR_KILL_SUIDGID',
} as const satisfies Record<keyof typeof protocol.setattrValid, string>;

const others: [string, number][] = [
  ['FUSE_ROOT_ID', protocol.rootNode],
  ['FUSE_KERNEL_VERSION', protocol.protocolMajor],
  ['FOPEN_KEEP_CACHE', protocol.openedFlag.keepCache],
  ['FOPEN_CACHE_DIR', protocol.openedFlag.cacheDirectory],
  ['FOPEN_NOFLUSH', protocol.openedFlag.noFlush],
  ['FUSE_WRITE_KILL_SUIDGID', protocol.writeKillPrivileges],
  ['FUSE_OPEN_KILL_SUIDGID', protocol.openKillPrivileges],
  ['FUSE_NOTIFY_INVAL_INODE', protocol.notifyCode.invalidateInode],
  ['FUSE_NOTIFY_INVAL_ENTRY', protocol.notifyCode.invalidateEntry],
  ['RENAME_NOREPLACE', protocol.renameFlag.noReplace],
  ['RENAME_EXCHANGE', protocol.renameFlag.exchange],
  ['FALLOC_FL_KEEP_SIZE', protocol.fallocateFlag.keepSize],
  ['FALLOC_FL_PUNCH_HOLE', protocol.fallocateFlag.punchHole],
  ['FALLOC_FL_ZERO_RANGE', protocol.fallocateFlag.zeroRange],
  ['FUSE_SETXATTR_ACL_KILL_SGID', protocol.setxattrKillSetGroupId],
  ['XATTR_CREATE', protocol.setxattrFlag.create],
  ['XATTR_REPLACE', protocol.setxattrFlag.replace],
];

const snake = (name: string): string => name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);

const lacking = ['/usr/include/linux/fuse.h', '/usr/bin/cc'].find((path) => !existsSync(path));

describe.skipIf(lacking !== undefined)(
  `against the kernel's header${lacking ? ` (${lacking} is not here)` : ''}`,
  () => {
    it('has every field where the C compiler has it, and every number right', async () => {
      const expressions: [string, number][] = [...others];
      for (const [name, type] of Object.entries(described)) {
        const { $bytes, ...fields } = tables[name as keyof typeof described];
        for (const [field, { offset }] of Object.entries(fields)) {
          // Padding and reserved words have other names, or are arrays, over there.
          // What came with 7.40 took the place of padding, which is all that older headers know.
          if (/^(unused\d*|spare\d*|dummy|padding|backingId|maxStackDepth)$/.test(field)) continue;
          expressions.push([`offsetof(struct ${type}, ${snake(field)})`, offset]);
        }
        if (!prefixes.has(name)) expressions.push([`sizeof(struct ${type})`, $bytes]);
      }
      expressions.push(['offsetof(struct fuse_entry_out, attr)', structs.entryOutHead.$bytes]);
      expressions.push(['offsetof(struct fuse_attr_out, attr)', structs.attrOutHead.$bytes]);
      for (const [name, code] of Object.entries(protocol.opcode))
        expressions.push([`FUSE_${snake(name).toUpperCase()}`, code]);
      for (const [name, macro] of Object.entries(initFlags))
        expressions.push([macro, protocol.initFlag[name as keyof typeof initFlags]]);
      for (const [name, macro] of Object.entries(setattrBits))
        expressions.push([macro, protocol.setattrValid[name as keyof typeof setattrBits]]);

      const folder = await mkdtemp(join(tmpdir(), 'syncmount-structs-'));
      try {
        const headers = [
          'stddef.h',
          'stdio.h',
          'fcntl.h',
          'linux/fuse.h',
          'linux/fs.h',
          'linux/xattr.h',
          'linux/falloc.h',
        ];
        const source = `${headers.map((header) => `#include <${header}>`).join('\n')}
int main(void) {
${expressions.map(([expression]) => `  printf("%lld\\n", (long long)(${expression}));`).join('\n')}
}`;
        await writeFile(join(folder, 'offsets.c'), source);
        execFileSync('cc', ['-D_GNU_SOURCE', '-o', join(folder, 'offsets'), join(folder, 'offsets.c')]);
        const values = execFileSync(join(folder, 'offsets'), { encoding: 'utf8' }).trim().split('\n').map(Number);
        const theirs = expressions.map(([expression], index) => `${expression} = ${values[index]}`);
        expect(expressions.map(([expression, ours]) => `${expression} = ${ours}`)).toEqual(theirs);
        expect(expressions.length).toBeGreaterThan(200);
      } finally {
        await rm(folder, { recursive: true });
      }
    });
  },
);

it('reads and writes 64-bit numbers up to 2^53, and negative ones', () => {
  const view = new DataView(new ArrayBuffer(8));
  const { offset } = structs.lseekOut;
  for (const value of [0, 1, 2 ** 31, 2 ** 32, 2 ** 32 + 1, Number.MAX_SAFE_INTEGER, -1, -(2 ** 40) - 5]) {
    offset.set(view, 0, value);
    expect(offset.getSigned(view, 0)).toBe(value);
    expect(view.getBigInt64(0, true)).toBe(BigInt(value));
    if (value >= 0) expect(offset.get(view, 0)).toBe(value);
  }
});
