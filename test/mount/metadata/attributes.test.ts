/**
 * Modes, owners, extended attributes and ACLs: scripts run in a directory of the mount and in one of the local disk, and must
 * print the same.
 */
import { expect } from 'vitest';
import { long } from '../../support/extent.js';
import { describeEach, overKernel, shareWorld } from '../subjects.js';
import type { World } from '../world.js';

/** Others go through the mountpoint's parents by the script's working directory. */
const as = (uid: number, command: string, gid = uid): string =>
  `setpriv --reuid ${uid} --regid ${gid} --clear-groups sh -c '${command}' 2>&1 | sed 's/^.*: //'`;

/** What a backup keeps of a tree. */
const everything = `find . -mindepth 1 -printf '%P %M %U:%G %T@\\n' | sort
  for at in $(find . | sort); do getfacl -n $at; getfattr -dm - $at | sort; done`;

describeEach(overKernel, 'attributes on $provider', (subject, turns) => {
  let world: World;
  shareWorld(subject, ['--allow-other'], (shared) => {
    world = shared;
  });

  /** The output of a script on a local disk, and on the mount; both are left for a look. */
  async function both(script: string): Promise<[local: string, mounted: string]> {
    const run = (directory: string): Promise<string> =>
      world.out(`umask 022; mkdir ${directory}; chmod 755 ${directory}; cd ${directory}; ${script}\ntrue`);
    return [await run('"$TOP/w"'), await run('"$MNT/w"')];
  }

  turns.it('an ACL grants, its mask limits, and chmod changes the mask', async () => {
    const [local, mounted] = await both(`
      echo secret > f; chmod 600 f; setfacl -m u:1234:rw,g:77:r f; getfacl -n f; ls -l f | cut -c 1-11; stat -c %a f
      ${as(1234, 'cat f; echo more >> f')}; ${as(1235, 'cat f', 77)}; ${as(1235, 'cat f; echo x >> f')}
      chmod 640 f; getfacl -nc f; ${as(1234, 'cat f; echo x >> f')}
      chmod 0 f; getfacl -nc f; ${as(1234, 'cat f')}
      chmod 664 f; setfacl -x u:1234 f; getfacl -nc f; setfacl -b f; getfacl -nc f; ls -l f | cut -c 1-11; getfattr -dm - f
      mkdir d; setfacl -m u:1234:rwx d; ${as(1234, 'mkdir d/s; touch d/t; ls d')}; ${as(1235, 'touch d/u')}
      touch -d 2001-02-03 old; before=$(stat -c %Z old); setfacl -m u:5:r old; [ $(stat -c %Z old) -ge $before ]; stat -c %Y old
      chmod 2771 d; setfacl -m u:1235:rx d; stat -c %a d; ${as(1234, 'setfacl -m u:1:r d')}; cp -a d copied; getfacl -n copied`);
    expect(mounted).toBe(local);
    expect(local).toContain('user:1234:rw-');
  });

  turns.it('a default ACL is inherited by what is made in the directory, and by nothing else', long, async () => {
    const [local, mounted] = await both(`
      mkdir d; setfacl -d -m u:1234:rwx,g:77:r-x,o::--- d; getfacl -n d; ls -ld d | cut -c 1-11
      (umask 077; touch d/f; mkdir d/s d/s/t; echo x > d/s/t/g; touch outside)
      mkdir -m 700 d/private; python3 -c 'import os; os.close(os.open("d/locked", os.O_CREAT | os.O_WRONLY, 0o400))'
      mv outside d/moved; cp outside d/copied 2>&1; cp d/moved d/copied; setfacl -k d; touch d/later
      setfacl -d -m u::rwx,g::r-x,o::--x d; mkdir d/plain; touch d/plain/f; rm -r d/private; ${everything.replaceAll(' %T@', '')}
      setfacl -d -m u:1:r d/f 2>&1; setfacl -R -b d; ${everything.replaceAll(' %T@', '')}`);
    expect(mounted).toBe(local);
    expect(local).toContain('default:user:1234:rwx');
  });

  turns.it('as many attributes as can be listed are taken, and no more', long, async () => {
    const fill = `exec python3 - <<'END'
import errno, os
open('many', 'w').close(); said = []
for i in range(400):
    try: os.setxattr('many', f'user.{i:0249}', b'v')
    except OSError as e: said.append(errno.errorcode[e.errno]); break
os.setxattr('many', 'user.' + '0' * 249, b'changed'); os.removexattr('many', f'user.{1:0249}'); os.setxattr('many', 'user.again', b'v')
print(said, len(os.listxattr('many')) > 200, os.getxattr('many', 'user.again'))
END`;
    expect(await world.out(fill)).toBe("['ENOSPC'] True b'v'");
  });

  turns.it('capabilities, `trusted` and other attributes are kept, for those who may', long, async () => {
    const [local, mounted] = await both(`
      attempt() { "$@" 2>&1 | sed 's/^.*: //'; }
      cp /bin/true f; chmod 755 f; setcap cap_net_raw,cap_net_admin+ep f; getcap f; chmod 711 f; touch f; getcap f
      ${as(1234, 'getfattr -dm - f; setfattr -n user.x -v y f; setfattr -n trusted.x -v y f; setcap -r f')}
      setfattr -n trusted.t -v one f; setfattr -n security.other -v two f; setfattr -n user.u -v three f; getfattr -dm - f
      ${as(1234, 'getfattr -dm - f; getfattr -n trusted.t f')}
      attempt setfattr -n system.other -v x f; attempt setfattr -n other.x -v x f; attempt setfattr -n user. -v x f
      attempt setfattr -x user.none f; attempt setfattr -n user.$(printf 'n%.0s' $(seq 251)) -v x f
      setfattr -x user.u f; setfattr -x trusted.t f; getfattr -dm - f
      echo changed >> f; getcap f; setcap cap_net_raw+ep f; truncate -s 3 f; getcap f; setcap cap_net_raw+ep f; chown 5 f; getcap f
      setcap cap_net_raw+ep f; : > f; getcap f; setcap cap_net_raw+ep f; python3 -c '
import mmap, os
f = os.open("f", os.O_RDWR); os.ftruncate(f, 4096)'; getcap f; setcap cap_net_raw+ep f; setcap -r f; getfattr -dm - f`);
    expect(mounted).toBe(local);
    expect(local).toContain('cap_net_admin,cap_net_raw=ep');
  });

  turns.it('the set-id bits are kept, inherited, and go as on a local disk', async () => {
    const [local, mounted] = await both(`
      touch f; chmod 6755 f; stat -c '%a %s' f; echo x >> f; stat -c '%a %s' f; chown 1234:77 f; stat -c '%a %s' f; chmod 6755 f
      ${as(1234, 'echo y >> f; stat -c "%a %s" f; chmod 6755 f; stat -c "%a %s" f')}; ${as(1234, 'chmod 2755 f; stat -c "%a %s" f', 77)}
      chmod 6755 f; ${as(1234, ': > f; stat -c "%a %s" f')}; chmod 6755 f; ${as(1234, 'truncate -s 9 f; stat -c "%a %s" f')}
      chmod 6644 f; chown 1235 f; stat -c '%a %s' f; chmod 6755 f; chown -h 1236 f; stat -c '%a %s' f; chmod 6777 f; chgrp 5 f; stat -c '%a %s' f
      mkdir d; chown 0:77 d; chmod 3777 d; mkdir d/s; touch d/f; stat -c '%a %U:%g' d d/s d/f
      ${as(1234, 'mkdir d/mine; touch d/own; rm d/f; rm d/own; stat -c %a:%g d/mine')}; rm d/f
      chown 1234 d; stat -c %a d; ${as(1234, 'chown 1235 d; chmod 700 d; stat -c %a d; chown :5 d')}`);
    expect(mounted).toBe(local);
    expect(local).toContain('6755');
  });

  turns.it('all of it is there after a remount', async () => {
    const [local, mounted] = await both(`
      mkdir d; touch d/f d/g; setfacl -m u:5:rw d/f; setfacl -d -m g:7:rx d; setcap cap_chown+p d/g; chown 12:13 d/f; chmod 4750 d/g
      setfattr -n user.n -v v d/f; setfattr -n trusted.n -v v d; touch -d '1999-12-31 23:59:59.123456789' d/f d/g d; ${everything}`);
    expect(mounted).toBe(local);
    await world.umount();
    await world.mount('--allow-other');
    expect(await world.out(`cd w; ${everything}`)).toBe(local);
  });

  turns.it('rsync and tar carry all of it: nothing differs afterwards, after a remount too', async () => {
    const archive =
      'tar --acls --xattrs --xattrs-include=* --numeric-owner --sort=name --pax-option=delete=atime,delete=ctime -c .';
    const compare = `rsync -aHAXSni --numeric-ids --checksum "$TOP/tree/" t/; rsync -aHAXSni --numeric-ids --checksum t/ "$TOP/tree/"
      cmp <(cd "$TOP/tree"; ${archive}) <(cd t; ${archive})`;
    await world.out(`
      mkdir "$TOP/tree"; cd "$TOP/tree"; mkdir -m 3777 sticky; mkdir d; echo f > d/f; ln d/f d/g; ln -s f d/link; ln -s /nowhere dangling
      mkfifo fifo; mknod null c 1 3; mknod loop b 7 0; touch "$(printf 'caf\\xe9')"; : > empty
      truncate -s 1M sparse; printf x | dd of=sparse bs=1 seek=600000 conv=notrunc status=none
      cp /bin/true tool; setcap cap_net_raw+ep tool; cp /bin/true suid; chmod 4755 suid; chown 12:34 fifo sticky suid; chmod 6755 suid
      setfacl -m u:1234:rw,g:77:r d/f; setfacl -d -m u:5:rwx d; setfattr -n trusted.t -v y d; setfattr -n user.u -v z empty
      chown -h 5:6 dangling; find . -depth -exec touch -h -d '2001-02-03 04:05:06.123456789' {} +
      rsync -aHAXS --numeric-ids "$TOP/tree/" "$MNT/t/"; cd "$MNT"; ${compare}`);
    expect(await world.out(compare)).toBe('');
    await world.umount();
    await world.mount('--allow-other');
    expect(await world.out(compare)).toBe('');
  });
});
