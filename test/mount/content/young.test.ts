/**
 * A service tells no checksums, and only whole seconds. If another client stores two contents of the same size within one second,
 * nothing in a listing tells them apart.
 */
import { beforeEach, describe, expect, it } from 'vitest';
import { kill } from '../kill.js';
import { openWorld } from '../subjects.js';
import { bindingNames, cleanUpWorlds, type World } from '../world.js';

const PATIENCE = { timeout: 30_000 };

describe.each(bindingNames)('over the %s binding', (binding) => {
  cleanUpWorlds();
  let world: World;
  let modified: number;
  const put = (text: string): Promise<unknown> => world.sandbox.store.putFile('/file', text, { modified });
  const shown = (): Promise<string> => world.out('cat file');
  const downloads = async (act: () => Promise<unknown>): Promise<number> =>
    (await world.routesOf(act)).filter((route) => route === 'GET /files/{id}?download').length;

  beforeEach(async () => {
    world = await openWorld({ provider: '5sync', binding });
    // By the service's clock, which is ahead, so that the second is not over before the first read.
    modified = Math.floor(Date.now() / 1000) * 1000 + 5000;
    await put('early');
    await world.sandbox.store.putFile('/older', 'older', { modified: Date.now() - 60_000 });
    // No listing is asked for again.
    await world.mount('--dir-ttl', '1h', '--deadline', '3s');
  });

  it.each([['etag'], ['none']] as const)('what was read within that second is read anew (%s)', async (validator) => {
    Object.assign(world.sandbox.readings, { validator });
    expect(await shown()).toBe('early');
    await put('later');
    await expect.poll(shown, PATIENCE).toBe('later');
    // Once the second is over it stays here.
    await expect.poll(() => downloads(shown), PATIENCE).toBe(0);
  });

  it('also where a program has it open all the while', async () => {
    const reader = world.start('exec 3<file; head -c 1 <&3; echo; until [ -e "$TOP/end" ]; do sleep 0.05; done');
    await reader.first;
    await put('later');
    await expect.poll(shown, PATIENCE).toBe('later');
    await world.write('end', '');
    await reader.ended;
    expect(await shown()).toBe('later');
  });

  it.each([['unmounted'], ['killed']] as const)('also by the next mount, where this one is %s at once', async (end) => {
    expect(await shown()).toBe('early');
    await (end === 'killed' ? kill(world) : world.umount());
    await put('later');
    await world.mount('--dir-ttl', '1h', '--deadline', '3s');
    expect(await shown()).toBe('later');
  });

  it('a rename by copying that was killed leaves what came in the place of its original', async () => {
    world.sandbox.faults.add({ method: 'DELETE', action: { kind: 'status', status: 503 } });
    await world.out('mv file moved');
    await kill(world);
    await put('later');
    world.sandbox.faults.clear();
    await world.mount('--dir-ttl', '1h', '--deadline', '3s');
    await expect.poll(() => world.out('ls; cat file moved'), PATIENCE).toBe('file\nmoved\nolder\nlaterearly');
    await world.out('$SYNCMOUNT uploads retry');
    await world.umount();
    expect(world.storedFiles().sort()).toEqual(['/file', '/moved', '/older']);
  });

  it('an older file costs one request', async () => {
    const read = (): Promise<number> => downloads(() => world.out('cat older'));
    expect([await read(), await read()]).toEqual([1, 0]);
    await world.umount();
    await world.mount('--dir-ttl', '1h', '--deadline', '3s');
    expect(await read()).toBe(0);
  });
});
