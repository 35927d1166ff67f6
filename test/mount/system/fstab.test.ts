/**
 * mount(8) with lines of fstab, as root. The tests run in their own mount namespace: there /sbin has the helper, and /etc/passwd one
 * more user. Nothing stays afterwards.
 */
import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { describe, expect, it } from 'vitest';
import { long } from '../../support/extent.js';
import { cleanUpWorlds, createWorld, type Outcome, type World } from '../world.js';

const isRoot = process.getuid?.() === 0;
const skipped = isRoot ? '' : ' (skipped: only root mounts for others)';

const hasAutofs = readFileSync('/proc/filesystems', 'utf8').includes('autofs');

const prepare = `
set -eu
mount -t tmpfs -o mode=755 tmpfs /mnt
mkdir -p /mnt/program /mnt/up /mnt/work /mnt/store /mnt/home/ann/cloud /mnt/home/ann/.config/syncmount
mount --bind '${resolve('.')}' /mnt/program
mount -t overlay -o lowerdir="$(realpath /sbin)",upperdir=/mnt/up,workdir=/mnt/work overlay "$(realpath /sbin)"
for name in mount.syncmount mount.fuse.syncmount umount.fuse.syncmount; do ln -s /mnt/program/bin/syncmount.js /sbin/$name; done
{ cat /etc/passwd; echo 'ann:x:54321:54321::/mnt/home/ann:/bin/sh'; } > /mnt/passwd
mount --bind /mnt/passwd /etc/passwd
cp -r "$SYNCMOUNT_CONFIG_DIR/accounts" /mnt/home/ann/.config/syncmount/
cp -r "$SYNCMOUNT_CONFIG_DIR" /mnt/config
chown -R 54321:54321 /mnt/home/ann
chmod 700 /mnt/home/ann
export PATH="$(dirname '${process.execPath}'):$PATH"
ann() { setpriv --reuid=54321 --regid=54321 --clear-groups sh -c "$1"; }
# The process of a mount ends after its mount.
ended() { until [ -z "$(ls "$1/mounts")" ]; do sleep 0.05; done; }
`;

function asRoot(world: World, script: string): Promise<Outcome> {
  // Where the directories are is what fstab says, or the defaults of the user.
  return world.start(
    `cd /; exec unshare -m --propagation private bash -c '${`${prepare}\n${script}`.replaceAll("'", "'\\''")}'`,
  ).ended;
}

/** A script's beginning: root, whose own directories are elsewhere, mounts Ann's account at `$at` by such a line of fstab. */
const mountedFor = (options: string): string => `
unset SYNCMOUNT_CONFIG_DIR SYNCMOUNT_STATE_DIR SYNCMOUNT_CACHE_DIR
export XDG_CONFIG_HOME=/mnt/nobody/elsewhere HOME=/mnt/nobody
at=/mnt/home/ann/cloud
echo "work: $at syncmount ${options} 0 0" > /mnt/fstab
mount --bind /mnt/fstab /etc/fstab
mount $at`;

describe.skipIf(!isRoot)(`mount(8) and fstab${skipped}`, () => {
  cleanUpWorlds();

  it("user=NAME mounts that user's account with his rights; remount changes who may write", async () => {
    const world = await createWorld();
    const outcome = await asRoot(
      world,
      `
${mountedFor('noauto,nofail,_netdev,x-systemd.automount,user=ann')}
grep -o 'fuse.syncmount .*user_id=54321' /proc/mounts | cut -d, -f1
ann "echo one > $at/file; cat $at/file; stat -c '%u %a' $at/file"
mount -o remount,ro $at
findmnt -n -o VFS-OPTIONS $at
ann "echo two > $at/file" 2>&1 | grep -o 'Read-only file system'
mount -o remount,rw $at
findmnt -n -o VFS-OPTIONS $at
ann "echo two > $at/file; cat $at/file"
umount $at
ended /mnt/home/ann/.local/state/syncmount
find /mnt/home/ann -not -uid 54321
`,
    );
    expect({ ...outcome, stdout: outcome.stdout.split('\n') }).toEqual({
      code: 0,
      stdout: [
        ...['fuse.syncmount rw', 'one', '54321 644'],
        ...['ro,nosuid,nodev,relatime', 'Read-only file system', 'rw,nosuid,nodev,relatime', 'two', ''],
      ],
      stderr: '',
    });
    expect(`${await world.sandbox.store.readFile('/file')}`).toBe('two\n');
  });

  it("noexec is the kernel's, also for a user, and remount changes it", async () => {
    const world = await createWorld();
    const { code, stdout, stderr } = await asRoot(
      world,
      `
${mountedFor('noauto,noexec,user=ann')}
findmnt -n -o VFS-OPTIONS $at
ann "printf '#!/bin/sh\\necho ran\\n' > $at/program; chmod 755 $at/program; $at/program" 2>&1 | grep -o 'Permission denied'
mount -o remount,exec $at
findmnt -n -o VFS-OPTIONS $at
ann "$at/program"
mount -o remount,noexec $at
ann "$at/program" 2>&1 | grep -o 'Permission denied'
umount $at
ended /mnt/home/ann/.local/state/syncmount
`,
    );
    expect({ code, stdout: stdout.split('\n'), stderr }).toEqual({
      code: 0,
      stdout: [
        ...['rw,nosuid,nodev,noexec,relatime', 'Permission denied'],
        ...['rw,nosuid,nodev,relatime', 'ran', 'Permission denied', ''],
      ],
      stderr: '',
    });
  });

  it('flags of mount(8) that a mount cannot have are told, and it is mounted', async () => {
    const world = await createWorld();
    const { code, stdout, stderr } = await asRoot(
      world,
      `
echo 'work: /mnt/store syncmount defaults,noauto,suid,dev,sync,dirsync,mand,strictatime,iversion,lazytime,silent 0 0' > /mnt/fstab
mount -T /mnt/fstab /mnt/store
findmnt -n -o VFS-OPTIONS /mnt/store
umount /mnt/store
ended "$SYNCMOUNT_STATE_DIR"
`,
    );
    expect({ code, stdout }).toEqual({ code: 0, stdout: 'rw,nosuid,nodev,relatime\n' });
    expect(stderr.trim().split('\n')).toEqual(
      ['sync', 'strictatime', 'iversion', 'mand'].map((name) =>
        expect.stringMatching(`^syncmount: warning: option '${name}' has no effect: `),
      ),
    );
  });

  it("nosymfollow is the kernel's; of a user it holds too, or nothing is mounted; remount takes it back", async () => {
    const world = await createWorld();
    const { code, stdout, stderr } = await asRoot(
      world,
      `
flags() { findmnt -n -o VFS-OPTIONS $1; }
mount -t syncmount -o nosymfollow,noexec work: /mnt/store
flags /mnt/store
echo one > /mnt/store/file
ln -s file /mnt/store/link
readlink /mnt/store/link
cat /mnt/store/link 2>&1 | grep -o 'Too many levels of symbolic links'
mount -o remount,symfollow /mnt/store
flags /mnt/store
cat /mnt/store/link
mount -o remount,ro,exec /mnt/store
flags /mnt/store
umount /mnt/store
ended "$SYNCMOUNT_STATE_DIR"
unset SYNCMOUNT_CONFIG_DIR SYNCMOUNT_STATE_DIR SYNCMOUNT_CACHE_DIR
if mount -t syncmount -o nosymfollow,user=ann work: /mnt/home/ann/cloud; then
  flags /mnt/home/ann/cloud | grep -o nosymfollow
  umount /mnt/home/ann/cloud
else
  flags /mnt/home/ann/cloud || echo not mounted
fi 2>&1
`,
    );
    const lines = stdout.trim().split('\n');
    expect({ code, lines: lines.slice(0, 6), stderr }).toEqual({
      code: 0,
      lines: [
        ...['rw,nosuid,nodev,noexec,relatime,nosymfollow', 'file', 'Too many levels of symbolic links'],
        ...['rw,nosuid,nodev,noexec,relatime', 'one', 'ro,nosuid,nodev,relatime'],
      ],
      stderr: '',
    });
    // By the version of fusermount3.
    const refused = 'syncmount: nosymfollow: fuse3 before 3.17.1 does not know it; root can mount with it';
    expect([['nosymfollow'], [refused, 'not mounted']]).toContainEqual(lines.slice(6));
  });

  it('umount(8) of root stores what a user has written before it unmounts', long, async () => {
    const world = await createWorld();
    world.sandbox.settings.latencyMs = 2000;
    const outcome = await asRoot(
      world,
      `
unset SYNCMOUNT_CONFIG_DIR SYNCMOUNT_STATE_DIR SYNCMOUNT_CACHE_DIR
at=/mnt/home/ann/cloud
stored() { '${process.execPath}' -e "fetch('${world.sandbox.control}/stat/$1').then((a) => a.json()).then((s) => console.log(s === null ? 'waits' : s.size))"; }
mount -t syncmount -o user=ann,write-back work: $at
ann "echo one > $at/one"
umount $at
stored one
`,
    );
    expect(outcome).toEqual({ code: 0, stdout: '4\n', stderr: '' });
  });

  it('mount -a leaves alone what is mounted already', async () => {
    const world = await createWorld();
    const outcome = await asRoot(
      world,
      `
mkdir /mnt/all
echo 'work: /mnt/all syncmount nofail,_netdev 0 0' > /mnt/fstab
mount --bind /mnt/fstab /etc/fstab
mount -a
mount -a
findmnt -r -n -o SOURCE,FSTYPE /mnt/all
umount /mnt/all
ended "$SYNCMOUNT_STATE_DIR"
`,
    );
    expect(outcome).toEqual({ code: 0, stdout: 'work: fuse.syncmount\n', stderr: '' });
  });

  it.skipIf(!hasAutofs)(
    `x-systemd.automount: mounts over an automount point${hasAutofs ? '' : ' (skipped: the kernel has no autofs)'}`,
    async () => {
      const world = await createWorld();
      const outcome = await asRoot(
        world,
        `
mkdir /mnt/auto
exec 7> >(cat > /dev/null)
# As systemd does. For all but its process group, whoever enters waits until it is mounted.
mount -t autofs -o fd=7,pgrp=$(cut -d' ' -f5 /proc/$$/stat),minproto=5,maxproto=5,direct systemd-1 /mnt/auto
mount -t syncmount work: /mnt/auto
echo content > /mnt/auto/file
cat /mnt/auto/file
umount /mnt/auto
ended "$SYNCMOUNT_STATE_DIR"
umount /mnt/auto
`,
      );
      expect(outcome).toEqual({ code: 0, stdout: 'content\n', stderr: '' });
    },
  );

  it('config=DIR names the accounts; what cannot be done is one line', async () => {
    const world = await createWorld();
    const outcome = await asRoot(
      world,
      `
unset SYNCMOUNT_CONFIG_DIR
mkdir -m 700 /mnt/closed
echo "work: /mnt/store fuse.syncmount ro,config=/mnt/config,x-systemd.device-timeout=1,nofail 0 0" > /mnt/fstab
mount -f -T /mnt/fstab /mnt/store
mountpoint -q /mnt/store || echo faked
mount -T /mnt/fstab /mnt/store
mount -o remount,rw /mnt/store || echo "$?"
umount /mnt/store
ended "$SYNCMOUNT_STATE_DIR"
for options in user=nobody-here user=ann,allow_other remount,ro size=5 config=/nonexistent config=/etc/passwd user=ann,config=/mnt/closed user= config= ; do mount -t syncmount -o $options work: /mnt/store || echo "$?"; done
ann '/sbin/mount.syncmount work: /mnt/store -o user=root' || echo "$?"
/sbin/mount.syncmount work: || echo "$?"
`,
    );
    expect({ ...outcome, stderr: outcome.stderr.trim().split('\n') }).toEqual({
      code: 0,
      stdout: 'faked\n1\n1\n1\n1\n2\n1\n1\n1\n2\n2\n1\n2\n',
      stderr: [
        'syncmount: /mnt/store was mounted read-only: unmount, and mount it again to write',
        expect.stringMatching(/^syncmount: there is no user 'nobody-here' on this machine/),
        expect.stringMatching(/^syncmount: cannot mount on \/mnt\/store: .*/),
        expect.stringMatching(/^syncmount: cannot remount \/mnt\/store: .*no account is mounted there/),
        "syncmount: unknown option 'size'",
        'syncmount: config=/nonexistent: there is no such directory',
        'syncmount: config=/etc/passwd: it is no directory',
        "syncmount: config=/mnt/closed: 'ann' may not read it",
        'syncmount: user= needs a name',
        'syncmount: config= needs a directory',
        "syncmount: only root can mount for the user 'root'",
        expect.stringMatching(/^syncmount: a mount helper is called with/),
      ],
    });
  });
});
