/** If a move of a folder is a copy and a deletion at the service (as in 4shared's document), everything in the folder gets new ids. */
import { describe, expect, it } from 'vitest';
import { kill } from '../kill.js';
import { cleanUpWorlds, createWorld, joinWorld, type World } from '../world.js';

const look = `find . -mindepth 1 -type d -printf '%P|%m\\n' -o -printf '%P|%y|%m|%n|%l\\n' | sort; find . -type f | sort | xargs md5sum; getfattr -d moved/to/d/deep`;
const made = `mkdir -p from/d moved; for n in file from/d/deep; do echo "$n" > from/d/\${n##*/}; done; chmod 600 from/d/deep
  chmod 711 from/d; ln -s target from/d/link; ln from/d/file from/again; setfattr -n user.is -v here from/d/deep; touch -d 2001-02-03 from/d/file`;

describe.each([[[]], [['--write-back']]])('a folder that moves by being copied, %j', (closing) => {
  cleanUpWorlds();

  const open = async (): Promise<World> => {
    const world = await createWorld({ readings: { moveKeepsId: false } });
    await world.mount(...closing);
    return world;
  };
  const inodes = `find . -mindepth 1 -printf '%f %i\\n' | grep -v '^from\\|^to' | sort`;

  it('keeps modes, links and attributes, and what is open, here and on another machine', async () => {
    const a = await open();
    const script = `${made}; exec 3>>from/d/deep 4<from/d/file; echo open >&3; mv from moved/to; echo more >&3; cat <&4
      rm moved/to/again; exec 3>&- 4<&-; ${look}`;
    const local = await a.out(`mkdir "$TOP/local"; cd "$TOP/local"; ${script}`);
    expect(await a.out(script)).toBe(local);
    await a.umount();
    await a.mount(...closing);
    const kept = local.slice('file\n'.length);
    expect(await a.out(look)).toBe(kept);
    await a.umount();
    const b = await joinWorld(a);
    await b.mount(...closing);
    expect(await b.out(look)).toBe(kept);
  });

  it('stores a content there whose upload was on its way', async () => {
    const a = await open();
    await a.out('mkdir from moved');
    const { faults } = a.sandbox;
    const stall = faults.add({ host: 'upload', action: { kind: 'stall', ms: 1000, performed: true } });
    const writing = a.sh('echo content > from/f');
    await expect.poll(() => faults.fired(stall)).toBe(1);
    faults.clear();
    await a.out('mv from moved/to');
    expect(await writing).toMatchObject({ code: 0, stderr: '' });
    await a.umount();
    expect(a.storedFiles()).toEqual(['/moved/to/f']);
  });

  it('keeps the inodes, also where the copies cannot be listed at once', async () => {
    const a = await open();
    await a.out(made);
    const before = await a.out(inodes);
    await a.umount();
    await a.mount(...closing);
    const fault = a.sandbox.faults.add({ route: '(files|children)$', action: { kind: 'status', status: 403 } });
    await a.out('mv from moved/to');
    expect(a.sandbox.faults.fired(fault)).toBeGreaterThan(0);
    await kill(a);
    a.sandbox.faults.clear();
    await a.mount(...closing);
    await a.until(`[ "$(${inodes})" = "${before}" ] && [ $(stat -c %a moved/to/d/deep) = 600 ]`);
  });
});
