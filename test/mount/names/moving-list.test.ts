// @module-tag long
/** 5sync has one list of all files, in pages. A removal between two pages moves the rest up. No file may be missed because of that. */
import { describe, expect, it } from 'vitest';
import { isComplete } from '../../support/extent.js';
import { cleanUpWorlds, createServiceWorld } from '../world.js';

const files = 900;
const removed = isComplete ? 500 : 200;

const rounds = 4;

/**
 * Removes the oldest files one after the other, and looks after each whether all others are there: a part of them as soon as the
 * file `go` of each round is there.
 */
const removing = `python3 -c "
import os, time
alive = set(os.listdir('.'))
assert len(alive) >= ${files}, len(alive)
print('begun', flush=True)
for i in range(${removed}):
    if i % ${removed / rounds} == 0:
        while not os.path.exists(os.environ['TOP'] + '/go%d' % (i // ${removed / rounds})): time.sleep(0.01)
    name = 'f%04d' % i
    os.unlink(name); alive.discard(name)
    seen = set(os.listdir('.'))
    assert alive <= seen, (i, sorted(alive - seen)[:5], len(alive - seen))
    assert name not in seen, name
    os.stat('f%04d' % (i + 1))
print('all there')"`;

describe('the list of 5sync while files are removed', () => {
  cleanUpWorlds();

  it('hides no file that is there, however its pages move while they are read', async () => {
    const world = await createServiceWorld({ provider: '5sync', requestsPerHour: 360_000 });
    const { store, faults, log } = world.sandbox;
    const name = (i: number): string => `f${String(i).padStart(4, '0')}`;
    for (let i = 0; i < files; i++) await store.putFile(`/d/${name(i)}`, 'x');
    await world.mount('--dir-ttl', '1s');
    await world.out('ls d | wc -l');
    // Of the pages that are asked for together each is made at another moment.
    for (let page = 1; page <= 30; page++) {
      faults.add({ url: `[?&]page=${page}(&|$)`, action: { kind: 'stall', ms: 60 * ((page * 7) % 11) } });
    }
    const begin = log.entries().length;
    const running = world.start(`cd d; ${removing}`);
    await running.first;
    // So much at once from another client makes the mount read the whole list again.
    const crawls = (): number => log.entries({ after: begin }).filter(({ query }) => query.page === '5').length;
    for (let round = 0; round < rounds; round++) {
      const before = crawls();
      for (let i = 0; i < 40; i++) await store.putFile(`/e${round}/${i}`, 'y');
      await expect.poll(crawls).toBeGreaterThan(before);
      await world.write(`go${round}`, '');
    }
    expect(await running.ended).toMatchObject({ code: 0, stderr: '', stdout: expect.stringMatching(/all there/) });
    expect(await world.out('ls d | wc -l')).toBe(`${files - removed}`);
    await world.umount();
  });
});
