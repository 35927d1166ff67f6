// @module-tag long
/** Thousands of names of one inode: the cost grows no faster than their number, and copies of a tree share unchanged files. */
import { readFile } from 'node:fs/promises';
import { expect } from 'vitest';
import { describeEach, openWorld, protocols } from '../subjects.js';
import { cleanUpWorlds, joinWorld, type World } from '../world.js';

const carried = ['--metadata', 'account'] as const;

/** Seconds of CPU of the mount's process so far. */
async function cpuOf(world: World): Promise<number> {
  const stat = await readFile(`/proc/${(await world.status()).pid}/stat`, 'utf8');
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[11]) + Number(fields[12])) / 100;
}

describeEach(protocols, 'many names on $provider', (subject, turns) => {
  cleanUpWorlds();

  turns.it('10,000 hard links of one file cost as much a link as 2,500', async () => {
    const a = await openWorld(subject);
    await a.mount(...carried);
    // Code that has not run yet costs more.
    await a.out(
      'mkdir warm; echo x > warm/f; for n in $(seq 500); do ln warm/f warm/l$n; done; ls -l warm > /dev/null',
    );
    const links = (d: string, count: number): string[] => [
      `python3 -c "
import os
os.mkdir('${d}'); open('${d}/f', 'w').write('x')
for n in range(${count}): os.link('${d}/f', '${d}/l%d' % n)
os.fsync(os.open('${d}', os.O_RDONLY))"`,
      `test "$(find ${d} -links ${count + 1} | wc -l)" = ${count + 1}; ls -l ${d} > /dev/null`,
      `find ${d} -name 'l*' -delete; sync ${d}; stat -c %h ${d}/f`,
    ];
    const costs = async (d: string, count: number): Promise<{ cpu: number[]; requests: number[] }> => {
      const cpu: number[] = [];
      const requests: number[] = [];
      for (const script of links(d, count)) {
        const before = await cpuOf(a);
        requests.push((await a.requestsOf(() => a.out(script))).filter(({ route }) => route !== 'GET /changes').length);
        cpu.push((await cpuOf(a)) - before);
      }
      return { cpu, requests };
    };
    const few = await costs('few', 2500);
    const many = await costs('many', 10_000);
    for (const [n, cpu] of many.cpu.entries()) {
      // Four times as many links: sixteen times as much would be quadratic.
      expect(cpu).toBeLessThan(8 * (few.cpu[n] ?? 0) + 1);
      expect(many.requests[n]).toBeLessThanOrEqual(4 * (few.requests[n] ?? 0) + 4);
    }
    // A pack holds some thousand entries.
    expect(many.requests.reduce((sum, one) => sum + one)).toBeLessThan(40);
  });

  turns.it('seven daily copies by rsync --link-dest cost 2 % a day, and one inode on both machines', async () => {
    const a = await openWorld(subject);
    await a.mount(...carried);
    const uploaded: number[] = [];
    for (let day = 1; day <= 7; day++) {
      const change =
        day === 1
          ? 'mkdir -p "$TOP/src"/{0..9}; for n in {0..99}; do head -c 50000 /dev/urandom > "$TOP/src/$((n % 10))/f$n"; done'
          : `for n in ${2 * day} ${2 * day + 41}; do head -c 50000 /dev/urandom > "$TOP/src/$((n % 10))/f$n"; done`;
      const requests = await a.requestsOf(() =>
        a.out(
          `${change}; rsync -aHAXS --numeric-ids ${day > 1 ? `--link-dest=../day${day - 1}` : ''} "$TOP/src/" day${day}/; sync .`,
        ),
      );
      uploaded.push(requests.reduce((sum, { bytesIn }) => sum + bytesIn, 0));
    }
    const inodes = `find . -type f -printf '%i %n %P\\n' | sort | awk '{ names[$1] = names[$1] " " $2 ":" $3 } END { for (i in names) print names[i] }' | sort`;
    const made = await a.out(inodes);
    // A hundred of the first day, and two a day since.
    expect(made.split('\n')).toHaveLength(100 + 6 * 2);
    await a.umount();
    const b = await joinWorld(a);
    await b.mount(...carried);
    expect(await b.out(inodes)).toBe(made);
    expect(await b.out(`rsync -aHAXSni --numeric-ids --checksum ${a.directory}/src/ day7/`)).toBe('');
    const [first = 0, ...later] = uploaded;
    // Two of a hundred files, and the entries of the day's names.
    for (const bytes of later) expect(bytes).toBeLessThan(first * 0.03);
  });
});
