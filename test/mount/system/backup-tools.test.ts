// @module-tag long
/** Backup programs that keep their whole state in the account work as on a local disk, from the first command to the restored bytes. */
import { execFileSync } from 'node:child_process';
import { expect } from 'vitest';
import { describeEach, openWorld, overKernel } from '../subjects.js';
import { cleanUpWorlds, joinWorld, type World } from '../world.js';

const isThere = (program: string): boolean => {
  try {
    execFileSync('sh', ['-c', `command -v ${program}`]);
    return true;
  } catch {
    return false;
  }
};

/** A tree to be saved: many small files and one large one. */
const source = `
  mkdir -p "$TOP/src/deep/er"; cd "$TOP/src"; for i in $(seq 40); do echo "file $i" > deep/f$i; done
  head -c 3000000 /dev/urandom > deep/er/large; cd "$OLDPWD"`;

/** Restores on another machine, whose mount is read-only, into a directory that then has the tree under its whole path. */
async function restore(world: World, command: string): Promise<string> {
  const source = `${world.directory}/src`;
  await world.umount();
  const other = await joinWorld(world);
  await other.mount('--read-only');
  return await other.out(
    `mkdir "$TOP/back"; cd "$TOP/back"; ${command} > /dev/null; diff -r ${source} ./${source} && echo same`,
  );
}

describeEach(overKernel, 'on $provider', (subject, { it, unless }) => {
  cleanUpWorlds();
  const open = async (...options: string[]): Promise<World> => {
    const world = await openWorld(subject);
    await world.mount(...options);
    await world.out(source);
    return world;
  };

  for (const options of [[], ['--write-back']]) {
    // Go interrupts its own threads by signals all the time.
    unless(() => !isThere('restic'), 'restic is not installed')(
      `restic makes, checks, prunes and restores a repository, ${options.join(' ') || 'close waits'}`,
      async () => {
        const world = await open(...options);
        expect(
          await world.out(`
            export RESTIC_PASSWORD=secret RESTIC_REPOSITORY="$PWD/repo"; restic="restic -q --no-cache"
            $restic init; $restic backup "$TOP/src"; echo more >> "$TOP/src/deep/f1"; rm "$TOP/src/deep/f2"
            $restic backup "$TOP/src"; $restic forget --keep-last 1 --prune; $restic check --read-data
            $restic restore latest --target "$TOP/back"; diff -r "$TOP/src" "$TOP/back$TOP/src" && echo same`),
        ).toMatch(/same$/);
        const restored = await restore(
          world,
          `RESTIC_PASSWORD=secret restic -q --no-cache -r "$MNT/repo" --no-lock restore latest --target .`,
        );
        expect(restored).toBe('same');
        expect((await world.log()).match(/unexpected|malformed/)).toBeNull();
      },
    );
  }

  unless(() => !isThere('borg'), 'borg is not installed')('borg makes, checks and extracts an archive', async () => {
    const world = await open('--write-back');
    expect(
      await world.out(`
          export BORG_PASSPHRASE=secret BORG_BASE_DIR="$TOP/borg" BORG_RELOCATED_REPO_ACCESS_IS_OK=yes
          borg init -e none repo; borg create repo::one "$TOP/src"; echo more >> "$TOP/src/deep/f1"
          borg create repo::two "$TOP/src"; borg delete repo::one; borg compact repo; borg check --verify-data repo
          mkdir "$TOP/back"; cd "$TOP/back"; borg extract "$OLDPWD/repo::two"; diff -r "$TOP/src" "$TOP/back$TOP/src" && echo same`),
    ).toMatch(/same$/);
    const extracting = `BORG_BASE_DIR="$TOP/borg" BORG_UNKNOWN_UNENCRYPTED_REPO_ACCESS_IS_OK=yes borg --bypass-lock extract "$MNT/repo::two"`;
    expect(await restore(world, extracting)).toBe('same');
  });

  it('rsync keeps a snapshot a day by --link-dest: what has not changed is one inode, and costs no upload', async () => {
    const world = await open('--write-back');
    const day = async (today: string, more = ''): Promise<void> => {
      await world.out(`rsync -aH --numeric-ids ${more} "$TOP/src/" ${today}/`);
      await world.untilWaiting(0, 0);
    };
    await day('mon');
    await world.out('echo changed >> "$TOP/src/deep/f1"');
    const requests = await world.requestsOf(() => day('tue', '--link-dest=../mon'));
    const bytes = requests.reduce((sum, { bytesIn }) => sum + bytesIn, 0);
    expect(bytes).toBeLessThan(100_000);
    expect(await world.out('diff -r "$TOP/src" tue && stat -c %h tue/deep/f1 tue/deep/f2 tue/deep/er/large')).toBe(
      '1\n2\n2',
    );
    expect(await world.out('[ mon/deep/f2 -ef tue/deep/f2 ] && cat mon/deep/f1')).toBe('file 1');
  });

  it('git clones into it, commits, merges, packs and is whole', async () => {
    const world = await open('--write-back');
    expect(
      await world.out(`
        export GIT_AUTHOR_NAME=a GIT_AUTHOR_EMAIL=a@b GIT_COMMITTER_NAME=a GIT_COMMITTER_EMAIL=a@b
        git init -q -b main repo; cp -r "$TOP/src/deep" repo/; cd repo; git add .; git commit -qm one
        git checkout -qb side; echo side > deep/f3; git commit -qam two; git checkout -q main; echo main > deep/f4
        git commit -qam three; git merge -q --no-edit side; git gc -q; git fsck --full; git status --porcelain
        cd ..; git clone -q repo copy; cd copy; git log --oneline | wc -l; diff -r -x .git deep ../repo/deep && echo same`),
    ).toMatch(/^4\nsame$/);
  });
});
