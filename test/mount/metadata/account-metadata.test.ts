/**
 * The account carries metadata that the service has no field for: a tree of one machine is the same on another machine with fresh
 * config, state and cache.
 */
import { mkdir, mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { gunzipSync } from 'node:zlib';
import { expect, it, onTestFinished } from 'vitest';
import { long } from '../../support/extent.js';
import { describeEach, openWorld, overKernel, protocols, type Subject } from '../subjects.js';
import { cleanUpWorlds, joinWorld, type World } from '../world.js';

/** What a program sees of a tree, but ctime, device, inode number, and the link count, which for a directory needs its listing. */
const look = `find . -printf '%P|%y|%l|%m|%U|%G|%T@|%A@\\n' | sort; getfattr -dhR -m - . 2>/dev/null`;
/** Names, kinds, targets and modes. */
const names = `find . -mindepth 1 -printf '%P|%y|%l|%m\\n' | sort`;
/** The same without what a look changes: times of access. */
const lookAgain = look.replace('|%A@', '');

const isRoot = process.getuid?.() === 0;
const carried = ['--metadata', 'account'] as const;

/** A tree with everything that a service does not know. */
const make = `
mkdir -p a/b 'a/with space' empty
echo one > a/one; echo two > a/b/two; echo plain > plain; printf x > 'a/with space/x'
chmod 600 a/one; chmod 4755 a/b/two; chmod 1777 'a/with space'; chmod 750 a
${isRoot ? 'chown 12:34 a/one; chown -h 5:6 a/b' : ''}
setfattr -n user.colour -v blue a/one; setfattr -n user.bin -v 0x00ff0102 a/b
ln -s one a/link; ln -s ../nowhere/at/all a/dangling; mkfifo -m 640 a/fifo
python3 -c "import socket; socket.socket(socket.AF_UNIX).bind('a/socket')"
${isRoot ? 'mknod -m 600 a/null c 1 3; mknod -m 660 a/disk b 259 70000' : ''}
touch -d '2001-02-03 04:05:06.123456789' a/one; touch -d '1969-12-31 23:59:58.5' a/b/two
touch -h -d '2010-10-10 10:10:10.000000001' a/link
touch -d '2005-05-05' 'a/with space/x'
touch -d '2020-02-02 02:02:02.2' a/b 'a/with space' empty a plain .
`;

async function second(world: World, ...flags: string[]): Promise<World> {
  const other = await joinWorld(world);
  await other.mount(...carried, ...flags);
  return other;
}

/** The lines of all files of the store. */
function storeOf({ sandbox }: World): Promise<Record<string, unknown>[]> {
  const files = sandbox.store.tree().filter(({ path }) => path.startsWith('/.syncmount/') && path.endsWith('.gz'));
  return Promise.all(files.map(async ({ path }) => gunzipSync(await sandbox.store.readFile(path)).toString())).then(
    (texts) =>
      texts.flatMap((text) =>
        text
          .split('\n')
          .filter(Boolean)
          .map((line) => JSON.parse(line)),
      ),
  );
}

const speaksLike4shared = ({ provider }: Subject): boolean => provider === '4sync';
const lacksEmptyFolders = ({ provider }: Subject): boolean => provider === '5sync';

describeEach(overKernel, 'the account carries metadata: $provider', (subject, turns) => {
  cleanUpWorlds();

  it('a tree with all kinds of attributes is the same on a second machine', long, async () => {
    const a = await openWorld(subject);
    await a.mount(...carried);
    await a.out(make);
    const made = await a.out(look);
    await a.umount();
    const b = await second(a);
    expect(await b.out(look)).toBe(made);
    // What it shows is kept, also while nothing is asked again.
    await b.umount();
    await b.mount(...carried);
    expect(await b.out(lookAgain)).toBe(made.replaceAll(/^((?:[^|\n]*\|){6}[^|\n]*)\|.*$/gm, '$1'));
  });

  turns.it('changes, renames and removals of both machines come to the other one', async () => {
    const a = await openWorld(subject);
    await a.mount(...carried);
    await a.out('mkdir d e; echo x > d/x; echo y > d/y; chmod 600 d/x d/y; ln -s 1 d/l; ln -s 2 d/m; mkfifo d/p');
    await a.umount();
    const b = await second(a);
    await b.out('chmod 640 d/x; rm d/l; mv d/m e/m; ln -sfn 3 e/m; mv d/y e/z; rm d/p; ln -s 4 d/p; mv d/x d/w');
    const made = await b.out(names);
    await b.umount();
    await a.mount(...carried, '--dir-ttl', '1s');
    await a.until(`[ "$(${names})" = "${made}" ]`);
    await a.umount();
  });

  turns.it('another client removes the folder: the next mount that has the entries writes them again', async () => {
    const a = await openWorld(subject);
    await a.mount(...carried);
    await a.out('mkdir d; echo x > d/x; chmod 600 d/x; ln -s x d/l');
    await a.umount();
    expect((await storeOf(a)).length).toBeGreaterThan(2);
    a.sandbox.store.remove('/.syncmount');
    // A machine that has never seen them shows the defaults, and says nothing of it.
    const fresh = await second(a);
    expect((await fresh.out(names)).split('\n').toSorted()).toEqual(['d/x|f||644', 'd|d||755']);
    expect(await fresh.out('cat d/x')).toBe('x');
    expect(await fresh.status()).toMatchObject({ metadata: { pending: 0 }, failed: [] });
    await fresh.umount();
    expect(await fresh.log()).not.toMatch(/"level":"(warn|error)"|"level":[45]0/);
    expect(a.sandbox.store.tree().filter(({ path }) => path.startsWith('/.syncmount'))).toEqual([]);
    await a.mount(...carried);
    expect(await a.out('stat -c %a d/x; readlink d/l')).toBe('600\nx');
    // Its listing of the root tells.
    await expect.poll(async () => (await a.status()).metadata?.pending).toBeGreaterThan(0);
    await a.umount();
    const b = await second(a);
    expect(await b.out('stat -c %a d/x; readlink d/l')).toBe('600\nx');
  });

  turns.it('its folder is shown nowhere, and its name is taken', async () => {
    const a = await openWorld(subject);
    await a.mount(...carried);
    await a.out('echo x > x; chmod 600 x');
    await a.umount();
    for (const mode of ['account', 'local']) {
      await a.mount('--metadata', mode);
      expect(await a.out('ls -A; find . -name ".sync*"; (stat .syncmount 2>&1 || true) | tail -c 26')).toBe(
        'x\nNo such file or directory',
      );
      const { stdout, stderr } = await a.sh(
        'mkdir .syncmount; mv x .syncmount; : > .syncmount; ls -A; mkdir d; mkdir d/.syncmount',
      );
      expect(stdout).toBe('x\n');
      expect(stderr.match(/Operation not permitted/g)?.length, stderr).toBe(3);
      await a.out('rm -r d');
      await a.umount();
    }
    expect((await storeOf(a)).length).toBeGreaterThan(1);
  });

  turns.it('a file that an editor saves with the usual mode and owner, or touch makes, costs nothing', async () => {
    const a = await openWorld(subject);
    await a.mount(...carried);
    await a.out(`
      umask 022; echo old > x; echo new > .x.tmp; chown $(id -u):$(id -g) .x.tmp; chmod 644 .x.tmp; mv .x.tmp x
      touch new; mv new made; rm made
      (umask 077; echo newer > .x.tmp); chmod 644 .x.tmp; mv .x.tmp x; cp x y; sed -i s/newer/last/ y`);
    await a.umount();
    expect(a.sandbox.store.tree().filter(({ path }) => path.startsWith('/.syncmount'))).toEqual([]);
    await a.mount(...carried);
    expect(
      await a.out(
        'mkdir d; echo y > d/y; echo z > d/z; touch x; chmod 600 d/y; sync d; chmod 644 d/y; stat -c "%n %a" x d/*',
      ),
    ).toBe('x 644\nd/y 644\nd/z 644');
    await a.umount();
    // The time of what is stored already; the mode, which the account has as another one.
    expect((await storeOf(a)).flatMap(({ name }) => name ?? [])).toEqual(expect.arrayContaining(['x', 'y']));
    expect((await storeOf(a)).some(({ name }) => name === 'z')).toBe(false);
  });

  turns.it('--metadata local writes nothing, and what it kept is carried by the first mount that carries', async () => {
    const a = await openWorld(subject);
    await a.mount('--metadata', 'local');
    await a.out(make);
    const made = await a.out(lookAgain);
    expect((await a.status()).metadata).toBeUndefined();
    await a.umount();
    expect(a.sandbox.store.tree().filter(({ path }) => path.startsWith('/.syncmount'))).toEqual([]);
    await a.mount(...carried);
    await expect.poll(async () => (await a.status()).metadata?.pending).toBeGreaterThan(0);
    await a.umount();
    const b = await second(a);
    expect(await b.out(lookAgain)).toBe(made);
  });

  turns.it('a read-only mount reads, and writes nothing', async () => {
    const a = await openWorld(subject);
    await a.mount(...carried);
    await a.out('echo x > x; chmod 600 x');
    await a.umount();
    const b = await joinWorld(a);
    const routes = await b.routesOf(async () => {
      await b.mount(...carried, '--read-only');
      expect(await b.out('stat -c %a x')).toBe('600');
      await b.umount();
    });
    expect(routes.filter((route) => !route.startsWith('GET '))).toEqual([]);
  });

  turns.it('where another client changes the content, its time counts, and mode and owner stay', async () => {
    const a = await openWorld(subject);
    await a.mount(...carried);
    await a.out('echo x > x; chmod 4750 x; touch -d 2001-01-01 x; setfattr -n user.a -v 1 x');
    await a.umount();
    await a.sandbox.store.putFile('/x', 'from elsewhere');
    const b = await second(a);
    expect(await b.out('stat -c %a x; cat x; getfattr --only-values -n user.a x')).toBe('750\nfrom elsewhere1');
    expect(Number(await b.out('stat -c %Y x'))).toBeGreaterThan(1_000_000_000);
    expect(await b.out('stat -c %y x')).not.toMatch(/^2001/);
  });

  turns.it('fsync of a directory brings it to the account, and status tells what is not there yet', async () => {
    const a = await openWorld(subject);
    await a.mount(...carried);
    await a.out('mkdir d; echo x > d/x; chmod 600 d/x');
    expect((await a.status()).metadata?.pending).toBeGreaterThan(0);
    expect((await a.cli(['status'])).stdout).toMatch(/metadata\s+\d+ changes? not in the account yet/);
    await a.out(`python3 -c "import os; f = os.open('d', os.O_RDONLY); os.fsync(f)"`);
    expect((await a.status()).metadata).toEqual({ pending: 0 });
    expect(await storeOf(a)).toContainEqual(expect.objectContaining({ name: 'x', mode: '0600' }));
    // Killed now, this machine would still have it, and so has the other one.
    const b = await second(a);
    expect(await b.out('stat -c %a d/x')).toBe('600');
  });

  turns.unless(lacksEmptyFolders, 'there a rename is a copy, and the object is another one')(
    'the entry follows an object that another client renames',
    async () => {
      const a = await openWorld(subject);
      await a.mount(...carried);
      await a.out('mkdir d; echo x > d/x; chmod 600 d/x; mkdir -m 700 s');
      await a.umount();
      a.sandbox.store.rename('/d/x', 'other');
      a.sandbox.store.rename('/s', 't');
      const b = await second(a);
      expect(await b.out('stat -c "%n %a" d/other t')).toBe('d/other 600\nt 700');
    },
  );
});

describeEach(
  overKernel,
  'two machines that change the same folder of $provider at once and are killed',
  (subject, turns) => {
    cleanUpWorlds();

    /** `TWO_MACHINES_SECONDS=600 npx vitest run account-metadata -t 'the same tree'` runs for that time. */
    const LONG_SECONDS = Number(process.env.TWO_MACHINES_SECONDS ?? 0);

    /**
     * Random modes, times and links, the same for the same seed: of what both change, and of names that are this machine's alone. What
     * is begun of those is noted in "done", and again once it is done.
     */
    const work = (seed: number, me: string): string => `
RANDOM=${seed}
did() { echo "? $1 $2" >> "$TOP/done"; shift; shift; "$@" && echo = >> "$TOP/done"; }
for i in $(seq 60); do
  n=$((RANDOM % 10)); to=$((RANDOM))
  case $((RANDOM % 8)) in
    0) chmod 6$((to % 8))$((to / 8 % 8)) d/f$n ;;
    1) touch -d "@$((to * 1000)).$((RANDOM + 100000000))" d/f$n ;;
    2) ln -sfn $to d/l$n ;;
    3) rm -f d/l$n ;;
    4) setfattr -n user.n -v $to d/f$n ;;
    5) m=6$((to % 8))$((to / 8 % 8)); did ${me}f$n $m chmod $m d/${me}f$n ;;
    6) did ${me}l$n $to ln -sfn $to d/${me}l$n ;;
    7) did ${me}l$n - rm -f d/${me}l$n ;;
  esac
done 2> "$TOP/errors"; true`;

    /** What each of the machine's own names may show: what was done to it last, or what was begun after that. */
    const mayShow = async ({ directory }: World): Promise<Map<string, Set<string>>> => {
      const shown = new Map<string, Set<string>>();
      let begun: [name: string, to: string] | undefined;
      for (const line of (await readFile(join(directory, 'done'), 'utf8')).trim().split('\n')) {
        const [what, name = '', to = ''] = line.split(' ');
        if (what === '?') begun = [name, to];
        if (begun === undefined) continue;
        const before = what === '=' ? undefined : (shown.get(begun[0]) ?? [/f\d$/.test(name) ? '600' : '-']);
        shown.set(begun[0], new Set([...(before ?? []), begun[1]]));
      }
      return shown;
    };

    for (const closing of LONG_SECONDS > 0 ? [[], ['--write-back']] : [[]])
      turns.unless(speaksLike4shared, 'it speaks the protocol of 4shared')(
        `end with the same tree${closing.length > 0 ? ', with write-back' : ''}`,
        { ...long, timeout: 300_000 + LONG_SECONDS * 1000 },
        async () => {
          const flags = [...carried, ...closing, '--dir-ttl', '1s'];
          const a = await openWorld(subject);
          await a.mount(...carried);
          await a.out(
            'mkdir d; for n in f af bf; do for n in $n$(seq -s " $n" 0 9); do echo $n > d/$n; chmod 600 d/$n; done; done',
          );
          await a.umount();
          const b = await joinWorld(a);
          const machines = [a, b];
          const nameOf = (machine: World): string => (machine === a ? 'a' : 'b');
          for (const machine of machines) await machine.mount(...flags);
          const killAndMount = async (killed: World): Promise<void> => {
            const { pid } = await killed.status();
            process.kill(pid, 'SIGKILL');
            await killed.shell(`umount -l ${killed.mnt}; while kill -0 ${pid}; do sleep 0.05; done 2> /dev/null; true`);
            await killed.mount(...flags);
          };
          const until = Date.now() + LONG_SECONDS * 1000;
          for (let round = 0; round < 3 || Date.now() < until; round++) {
            const working = Promise.all(
              machines.map((machine, n) => machine.sh(work(100 * round + n, nameOf(machine)))),
            );
            // The long form kills while they work, at times both of them.
            if (LONG_SECONDS === 0) await working;
            else await setTimeout(Math.random() * 12_000);
            const both = LONG_SECONDS > 0 && round % 3 === 2;
            await Promise.all((both ? machines : [machines[round % 2] ?? a]).map(killAndMount));
            await working;
          }
          // Each has written; each reads what the other one has written.
          for (const machine of machines) await machine.umount();
          for (const machine of machines) await machine.mount(...flags);
          const tree = `cd d && find . -mindepth 1 -printf '%P|%y|%l|%m|%T@\\n' | sort && getfattr -dhR . | grep -v '^$'`;
          // An older listing is shown first.
          await expect.poll(async () => (await a.out(tree)) === (await b.out(tree))).toBe(true);
          const c = await second(a);
          expect(await c.out(tree)).toBe(await a.out(tree));
          const found = new Map(
            (await c.out(`find d -type f -printf '%P %m\\n' -o -type l -printf '%P %l\\n'`))
              .split('\n')
              .map((line) => line.split(' ') as [string, string]),
          );
          for (const machine of machines)
            for (const [name, values] of await mayShow(machine))
              expect([...values], `${name} of ${nameOf(machine)}`).toContain(found.get(name) ?? '-');
        },
      );
  },
);

/** As many files a folder as a page of a listing has, so that the list of the whole account has several pages. */
const FOLDERS = 10;
const FILES_EACH = 100;

describeEach(protocols, 'what metadata costs on $provider', (subject, turns) => {
  cleanUpWorlds();

  turns.it(`cp -a of ${FOLDERS * FILES_EACH} files and a cold walk over them`, long, async () => {
    const place = await mkdtemp(join(tmpdir(), 'syncmount-tree-'));
    onTestFinished(() => rm(place, { recursive: true }));
    await mkdir(join(place, 'tree'));
    const count = async (metadata: string): Promise<[number, number]> => {
      const a = await openWorld(subject, { requestsPerHour: 100_000 });
      await a.mount('--metadata', metadata, '--write-back');
      await a.shell(
        `cd ${place}/tree && for d in $(seq ${FOLDERS}); do mkdir -p d$d; for f in $(seq ${FILES_EACH}); do echo $d/$f > d$d/f$f; done; done; find . -type f -exec chmod 600 {} +`,
      );
      const copying = await a.requestsOf(async () => {
        await a.out(`cp -a ${place}/tree .`);
        await a.umount();
      });
      const b = await joinWorld(a);
      const walking = await b.requestsOf(async () => {
        await b.mount('--metadata', metadata);
        const modes = await b.out(`find tree -type f -printf '%m\\n' | sort | uniq -c`);
        expect(modes).toBe(`${FOLDERS * FILES_EACH} ${metadata === 'account' ? 600 : 644}`);
        await b.umount();
      });
      // 5sync lists all files of the account, once or twice: that depends on how young the files are.
      const walked = new Set(walking.map(({ route, query }) => `${route} ${JSON.stringify(query)}`));
      return [copying.length, subject.provider === '5sync' ? walked.size : walking.length];
    };
    const [copying, walking] = await count('local');
    const [copyingToo, walkingToo] = await count('account');
    expect(copyingToo).toBeLessThanOrEqual(copying * 1.03);
    // The list of the store's files, and the only one of them. On 5sync that list is the account's, of which it may begin another page.
    expect(walkingToo).toBeLessThanOrEqual(walking + 2);
  });
});
