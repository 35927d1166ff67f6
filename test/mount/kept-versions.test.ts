import { describe, expect, it } from 'vitest';
import type { AnySandboxOptions } from '../../src/sandbox/index.js';
import { cleanUpWorlds, createServiceWorld } from './world.js';

describe('a service that does not delete (Acronis without a deletion)', () => {
  cleanUpWorlds();

  it('keeps the version that a rename replaces under a name that says so, and status lists it', async () => {
    const world = await createServiceWorld({
      provider: 'acronis',
      readings: { deletion: 'none' },
    } as AnySandboxOptions);
    const { store } = world.sandbox;
    await world.mount('--dir-ttl', '1s');
    await world.out('mkdir sub && echo old > sub/report.txt && echo new > sub/new && mv sub/new sub/report.txt');
    expect(await world.out('cat sub/report.txt; ls -A sub')).toBe('new\nreport.txt');
    const aside = /^\/sub\/report \(old version kept by syncmount [0-9a-f]{12}\)\.txt$/;
    const paths = (): string[] => [...store.md5s().keys()].sort();
    const [kept = '', ...others] = paths();
    expect([kept, others]).toEqual([expect.stringMatching(aside), ['/sub/report.txt']]);
    expect(`${await store.readFile(kept)}`).toBe('old\n');

    const listed = [{ path: kept, was: 'report.txt' }];
    expect(await world.status()).toMatchObject({ pending: [], failed: [], kept: listed });
    const { stdout } = await world.cli(['status']);
    expect(stdout).toContain(`KEPT      ${kept}  an old version of report.txt`);
    expect(stdout).toMatch(/acronis does not delete what is kept\. .* removed at its website/);

    // Also at the next mount, which asks nothing for it and does not show it.
    await world.umount();
    await world.mount('--dir-ttl', '1s');
    expect((await world.status()).kept).toEqual(listed);
    expect(await world.out('ls -A sub')).toBe('report.txt');
    await world.out('$SYNCMOUNT uploads retry');
    expect((await world.status()).kept).toEqual(listed);

    // Removed at the service, it is listed no more once that is looked at.
    store.remove(kept);
    await world.out('$SYNCMOUNT uploads retry');
    await expect.poll(async () => (await world.status()).kept).toBeUndefined();
    expect(await world.out('cat sub/report.txt')).toBe('new');
  });
});
