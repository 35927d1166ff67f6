/** The process of a mount was killed but has not ended yet: it answers nothing, and still holds its lock on the account. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, it } from 'vitest';
import { lifeOf, processIdentity } from '../../src/base/processes.js';
import { cleanUpWorlds, createWorld } from './world.js';

cleanUpWorlds();

/** Locks the database in one thread, and ends the main thread: like a killed process with other threads that end later. */
const holder = (database: string): string => `
import ctypes, sqlite3, threading, time
def hold():
    db = sqlite3.connect('${database}', isolation_level=None)
    db.execute('PRAGMA locking_mode = EXCLUSIVE')
    db.execute('BEGIN EXCLUSIVE')
    print('held', flush=True)
    time.sleep(600)
threading.Thread(target=hold).start()
time.sleep(1)
ctypes.CDLL(None).pthread_exit(None)
`;

it('the next mount waits for it', async () => {
  const world = await createWorld();
  await world.mount();
  const entry = world.registry.find(world.mnt);
  await world.umount();
  const state = join(world.env.SYNCMOUNT_STATE_DIR ?? '', 'accounts');
  const [account] = readdirSync(state);
  const child = spawn('python3', ['-c', holder(join(state, account ?? '', 'state.db'))], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  await once(child.stdout, 'data');
  world.registry.put({ ...entry, mountpoint: world.mnt, account: 'work', provider: '4shared', socket: '', log: null });
  const [file] = readdirSync(join(world.env.SYNCMOUNT_STATE_DIR ?? '', 'mounts')).filter((name) =>
    name.endsWith('.json'),
  );
  const dead = { ...world.registry.find(world.mnt), pid: child.pid, mark: processIdentity(child.pid as number) };
  writeFileSync(join(world.env.SYNCMOUNT_STATE_DIR ?? '', 'mounts', file ?? ''), JSON.stringify(dead));
  await expect.poll(() => lifeOf(child.pid as number), { timeout: 10_000 }).toBe('ending');
  const mounted = world.mount();
  await sleep(500);
  child.kill('SIGKILL');
  await mounted;
  expect(readdirSync(world.mnt)).toEqual([]);
});
