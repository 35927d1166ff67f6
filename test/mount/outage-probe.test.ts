import { expect, it } from 'vitest';
import { turn } from '../../src/base/event-loop-turns.js';
import { probeOutages } from '../../src/mount/session/outage-probe.js';
import { TestClock } from '../support/test-clock.js';
import { cleanUpWorlds, createWorld } from './world.js';

cleanUpWorlds();

it('asks a service that does not answer, more and more seldom, until it does', async () => {
  const clock = new TestClock();
  const end = new AbortController();
  let since: number | null = null;
  const asked: number[] = [];
  const start = clock.now();
  const probing = probeOutages({
    ...{ clock, signal: end.signal, outageSince: () => since },
    ask: async () => {
      asked.push((clock.now() - start) / 1000);
      if (clock.now() - start > 1_000_000) since = null;
      else throw new Error('no connection');
    },
  });
  const seconds = async (count: number): Promise<void> => {
    for (let second = 0; second < count; second++) {
      clock.advance(1000);
      await turn();
    }
  };
  await seconds(60);
  expect(asked).toEqual([]);
  since = clock.now();
  await seconds(2000);
  expect(asked).toEqual([65, 75, 95, 135, 215, 375, 675, 975, 1275]);
  end.abort();
  await probing;
});

it('an idle mount finds out by itself that the service is back', async () => {
  const world = await createWorld();
  await world.sandbox.store.putFile('/file', 'text');
  await world.mount('--deadline', '2s', '--metadata', 'local');
  await world.out('ls');
  world.sandbox.faults.add({ action: { kind: 'status', status: 503 } });
  // Nothing waits after that, and so nothing asks.
  await world.out('! cat file');
  expect(await world.status()).toHaveProperty('outage');
  world.sandbox.faults.clear();
  await expect.poll(() => world.status()).not.toHaveProperty('outage');
  await world.umount();
});
