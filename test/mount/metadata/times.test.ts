/** Times, open files and slow closes as tools expect them: the list of issue 3. */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { beforeEach, describe, expect, it } from 'vitest';
import { describeEach, openWorld, subjects, traits } from '../subjects.js';
import { bindingNames, cleanUpWorlds, createWorld, type World } from '../world.js';

const run = promisify(execFile);

describeEach(subjects, 'tools on $provider over the $binding binding', (subject, { it, unless }) => {
  const { provider } = subject;
  cleanUpWorlds();
  let world: World;
  beforeEach(async () => {
    world = await openWorld(subject);
  });
  /** libfuse 2's limits are in docs/bindings.md; each test that they forbid says which one it is. */
  const unlessNative = (reason: string) => unless(({ binding }) => binding === 'native', reason);

  unlessNative('libfuse 2 loses a change of only one of the two times')(
    'touch sets one time and leaves the other',
    async () => {
      await world.mount();
      expect(
        await world.out(`
          echo x > f; touch -d '2001-02-03 04:05:06.123456789 UTC' f; stat -c '%.9X %.9Y' f
          touch -m -d '2011-01-01 00:00:00.000000001 UTC' f; stat -c '%.9X %.9Y' f
          touch -a -d '1969-12-31 23:59:59.5 UTC' f; stat -c '%.9X %.9Y' f`),
      ).toBe(
        [
          '981173106.123456789 981173106.123456789',
          '981173106.123456789 1293840000.000000001',
          '-0.500000000 1293840000.000000001',
        ].join('\n'),
      );
    },
  );

  it('touch -d and cp -p keep times to the millisecond, across a remount', async () => {
    await world.mount();
    const times = `stat -c '%.3X %.3Y' touched copy`;
    await world.out(`
      echo x > touched; touch -d '2001-02-03 04:05:06.789 UTC' touched
      echo y > "$TOP/original"; chmod 640 "$TOP/original"
      touch -d '2011-01-01 00:00:00.123 UTC' "$TOP/original"; cp -p "$TOP/original" copy`);
    const expected = '981173106.789 981173106.789\n1293840000.123 1293840000.123';
    expect(await world.out(times)).toBe(expected);
    await world.umount();
    await world.mount();
    expect(await world.out(times)).toBe(expected);
    expect(await world.out('stat -c %a copy')).toBe('640');
  });

  unlessNative('both set the modification time alone, which libfuse 2 loses')(
    'tar x and rsync -a keep times, and a second rsync finds nothing to do',
    async () => {
      await world.mount();
      await world.out(`
        mkdir -p "$TOP/tree/sub"
        for i in 1 2 3 4 5; do head -c $((i * 10000)) /dev/urandom > "$TOP/tree/sub/$i"; done
        touch -d '2001-02-03 04:05:06.123456789 UTC' "$TOP"/tree/sub/*; touch -d '2002-01-01 UTC' "$TOP/tree/sub/3"
        chmod 600 "$TOP/tree/sub/2"; touch -d '2003-01-01 00:00:00.5 UTC' "$TOP/tree/sub" "$TOP/tree"
        tar cf "$TOP/tree.tar" --format=posix -C "$TOP" tree; tar xf "$TOP/tree.tar"; rsync -a "$TOP/tree/" synced/`);
      const listing = (from: string): Promise<string> =>
        world.out(`cd ${from} && find . -printf '%p %y %m %T@\\n' | sort && cat sub/*| md5sum`);
      const expected = await listing('"$TOP/tree"');
      expect(await listing('tree')).toBe(expected);
      expect(await listing('synced')).toBe(expected);
      const again = async (): Promise<void> => {
        expect(await world.out('rsync -ai "$TOP/tree/" synced/; rsync -ai "$TOP/tree/" tree/')).toBe('');
        const stats = await world.out('rsync -a --stats "$TOP/tree/" synced/');
        expect(stats).toMatch(/Number of regular files transferred: 0/);
      };
      expect((await world.routesOf(again)).filter((route) => !route.startsWith('GET /changes'))).toEqual([]);
      await world.umount();
      await world.mount();
      await again();
    },
  );

  for (const flags of [[], ['--write-back']])
    it(`git status is clean after git reset ${JSON.stringify(flags)}`, async () => {
      await world.mount(...flags);
      expect(
        await world.out(`
        git init -q repo && cd repo && git config user.email a@b && git config user.name c
        seq 100 > numbers; echo x > other; git add . && git commit -qm first
        echo changed >> numbers; rm other; git status --porcelain
        git reset -q --hard && git status --porcelain && git diff-files --name-only && wc -l < numbers`),
      ).toBe('M numbers\n D other\n100');
    });

  it('a file that is removed or renamed while it is open goes on, and leaves no name behind', async () => {
    await world.sandbox.store.putFile('/there', 'from the server');
    await world.mount();
    expect(
      await world.out(`
        exec 3<> made; echo one >&3; rm made; echo two >&3
        exec 4< there; mv there elsewhere; exec 5< elsewhere; rm elsewhere
        ls -A; cat /proc/self/fd/3 2> /dev/null; cat <&4; echo; cat <&5; exec 3>&- 4<&- 5<&-; ls -A`),
    ).toMatch(/^(one\ntwo\n)?from the server\nfrom the server$/);
    expect(world.sandbox.store.list('/')).toEqual([]);
  });

  unlessNative('libfuse 2 keeps a made-up name for it in the kernel')(
    'a directory goes although a file that was removed from it is open',
    async () => {
      await world.mount();
      expect(await world.out('mkdir d; exec 3> d/f; echo x >&3; rm d/f; rmdir d; exec 3>&-; ls -A')).toBe('');
    },
  );

  unlessNative('libfuse 2 holds a lock on the path meanwhile')(
    'a close that uploads for long delays nobody else',
    async () => {
      await world.sandbox.store.putFile('/d/other', 'other');
      await world.mount();
      await world.out('ls d; cat d/other');
      // Until the faults end, and they end when the others are done.
      world.sandbox.faults.add({ ...traits[provider].bringing, times: 1, action: { kind: 'stall', ms: 600_000 } });
      const slow = world.start('exec 3> d/slow; echo ready; echo slow >&3; exec 3>&-; touch "$TOP/closed"');
      await slow.first;
      await expect.poll(async () => (await world.status()).pending.length).toBe(1);
      // Names in the same directory, reads, attributes of this very file, and the storing and removal of others.
      await world.out(`
        cat d/other; stat d/slow; ls -l d; echo x > "$TOP/copy"; cp "$TOP/copy" d/copy; mkdir d/new
        mv d/copy d/moved; rm d/moved; rmdir d/new; chmod 600 d/slow; touch -d '2001-01-01 UTC' d/other; df .
        [ ! -e "$TOP/closed" ]`);
      world.sandbox.faults.clear();
      expect(await slow.ended).toMatchObject({ code: 0, stderr: '' });
      expect(await world.out('cat d/slow')).toBe('slow');
    },
  );
});

describe.skipIf(process.geteuid?.() !== 0)('an ordinary user (made for the test, which takes root)', () => {
  const name = `syncmount-t${process.pid % 10_000}`;
  cleanUpWorlds();

  it.each(bindingNames)('mounts and unmounts through fusermount3, over the %s binding', async (binding) => {
    await run('useradd', ['--no-create-home', '--user-group', '--shell', '/usr/sbin/nologin', name]);
    try {
      const world = await createWorld({ binding });
      await world.sandbox.store.putFile('/there', 'from the server');
      await world.write(
        'as-user',
        `set -e
        $SYNCMOUNT mount work: "$MNT" --binding ${binding}
        trap '$SYNCMOUNT umount "$MNT"' EXIT
        $SYNCMOUNT status "$MNT" --json | grep -o '"binding": *"${binding}"' > /dev/null
        id -un; cat "$MNT/there"; echo; cat "$MNT/there" > /dev/null; cat "$MNT/there" > /dev/null; echo mine > "$MNT/here"; stat -c %U "$MNT/here"; cat "$MNT/here"
        grep " $MNT " /proc/mounts | grep -o "user_id=$(id -u)"`,
      );
      // /dev/fuse is for everyone where udev made it; where it is not, in a mount namespace of the test's own.
      const said = await world.out(`
        cd "$TOP"; chown -R ${name}: .; mknod fuse c 10 229; chmod 666 fuse
        unshare --mount bash -c 'mount --bind fuse /dev/fuse; exec setpriv --reuid=${name} --regid=${name} --clear-groups \\
          env HOME="$TOP" bash as-user'`);
      expect(said.split('\n').slice(0, 4)).toEqual([name, 'from the server', name, 'mine']);
      expect(said).toContain('user_id=');
      expect(`${await world.sandbox.store.readFile('/here')}`).toBe('mine\n');
      expect((await world.cli(['status', '--json'])).stdout.trim()).toBe('[]');
    } finally {
      await run('userdel', [name]);
    }
  });
});
