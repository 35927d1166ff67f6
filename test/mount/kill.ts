import type { World } from './world.js';

/** Kills the process of a mount, as a crash does. */
export async function kill(world: World): Promise<void> {
  const { pid } = await world.status();
  process.kill(pid, 'SIGKILL');
  await world.shell(`umount -l ${world.mnt}; while kill -0 ${pid}; do sleep 0.05; done 2> /dev/null; true`);
}
