/** Mounts that start with damaged local state, or without the provider. */
import { readdirSync, readFileSync } from 'node:fs';
import { open, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeEach, describe, expect, it } from 'vitest';
import { cleanUpWorlds, createWorld, type World } from '../world.js';

describe('a mount begins all the same', () => {
  cleanUpWorlds();
  let world: World;
  beforeEach(async () => {
    world = await createWorld();
  });

  const state = (): string => {
    const accounts = join(world.directory, 'state', 'accounts');
    return join(accounts, readdirSync(accounts)[0] ?? '');
  };
  const refuse = (): void => {
    world.sandbox.faults.add({ host: 'upload', action: { kind: 'status', status: 403, code: '403.0100' } });
  };

  /** Overwrites the database from this byte on; at least its last page. */
  async function damage(from: number): Promise<void> {
    const path = join(state(), 'state.db');
    const { size } = await stat(path);
    const file = await open(path, 'r+');
    await file.write(Buffer.alloc(Math.max(4096, size - from), 0xa5), 0, undefined, Math.min(from, size - 4096));
    await file.close();
  }

  it.each([
    ['its header', 0],
    ['its last pages', 40_000],
  ])('with a state database that is damaged in %s: no content that was not stored is lost', async (_, from) => {
    await world.sandbox.store.putFile('/there.txt', 'at the provider\n');
    await world.mount('--deadline', '3s');
    refuse();
    await world.sh('mkdir d; echo "precious new" > d/new.txt; head -c 200000 /dev/urandom | tee "$TOP/copy" > d/large');
    await world.cli(['umount', world.mnt]);
    await damage(from);

    const { code, stderr } = await world.cli(['mount', 'work:', world.mnt]);
    expect([code, stderr]).toEqual([0, expect.stringMatching(/damaged and is set aside in .*2 contents/)]);
    expect(await world.out('cat there.txt; ls')).toBe('at the provider\nd\nthere.txt');
    const rescued = join(state(), 'rescued', readdirSync(join(state(), 'rescued'))[0] ?? '');
    const files = await world.out(
      `cd '${rescued}' && find . -type f ! -name 'state.db*' ! -name contents.json -exec md5sum {} + | cut -c1-32 | sort`,
    );
    expect(files).toBe(await world.out('(md5sum < "$TOP/copy"; echo "precious new" | md5sum) | cut -c1-32 | sort'));
    expect(JSON.parse(readFileSync(join(rescued, 'contents.json'), 'utf8'))).toHaveLength(2);
  });

  it('without the provider, where it was mounted before: what is known is shown, and what waits is stored later', async () => {
    await world.sandbox.store.putFile('/there.txt', 'cached\n');
    await world.mount('--write-back', '--deadline', '2s');
    await world.out('cat there.txt');
    world.sandbox.faults.add({ action: { kind: 'reset', when: 'before' } });
    await world.out('echo new > new.txt');
    expect(await world.cli(['umount', world.mnt])).toMatchObject({ code: 3 });

    const { code, stderr } = await world.cli(['mount', 'work:', world.mnt, '--write-back', '--deadline', '2s']);
    expect([code, stderr]).toEqual([0, expect.stringMatching(/^syncmount: warning: 4shared cannot be reached .*\n$/)]);
    expect(await world.out('cat there.txt new.txt; ls; df . > /dev/null')).toBe('cached\nnew\nnew.txt\nthere.txt');
    world.sandbox.faults.clear();
    await world.umount();
    expect(`${await world.sandbox.store.readFile('/new.txt')}`).toBe('new\n');
  });

  it('not without the provider the first time: one line says why', async () => {
    world.sandbox.faults.add({ action: { kind: 'reset', when: 'before' } });
    const { code, stderr } = await world.cli(['mount', 'work:', world.mnt, '--deadline', '1s']);
    expect([code, stderr]).toEqual([1, expect.stringMatching(/^syncmount: [^\n]+\n$/)]);
  });
});
