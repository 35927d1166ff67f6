/** Random work on one file of a mount: see fsx.py. */
import { readFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import type { AnySandboxOptions, ProviderName } from '../../../src/sandbox/index.js';
import { createServiceWorld, type World } from '../world.js';

export interface FsxOptions {
  readonly seed: number;
  /** It ends after this many operations, … */
  readonly operations?: number;
  /** … or this many seconds. Without either it never ends. */
  readonly seconds?: number;
  readonly writeBack: boolean;
  /** The weight of a remount. The weights of the other operations add up to about 40. */
  readonly remounts: number;
}

/** Unmounts, empties the cache if `cold`, and mounts again. */
const remount = (flags: readonly string[]): string => `
  $SYNCMOUNT umount "$MNT" || exit
  if [ "$1" = cold ]; then rm -rf "$SYNCMOUNT_CACHE_DIR"; fi
  exec $SYNCMOUNT mount work: "$MNT" ${flags.join(' ')}`;

/** So low that the larger sizes go in chunks and get their names afterwards. */
const simpleUploadLimit = 300_000;

function sandboxOptions(provider: ProviderName): AnySandboxOptions {
  if (provider === '5sync') return { provider, requestsPerHour: 0 };
  return provider === 'acronis' ? { provider } : { provider, simpleUploadLimit };
}

/** The caller must end the world. */
export async function createFsxWorld(provider: ProviderName): Promise<World> {
  return createServiceWorld(sandboxOptions(provider));
}

/** Returns the number of operations. Throws an error with a script that repeats the failure. */
export async function fsx(world: World, options: FsxOptions): Promise<number> {
  const { seed, operations = Number.POSITIVE_INFINITY, seconds = Number.POSITIVE_INFINITY, remounts } = options;
  const flags = [...['--binding', 'kernel'], ...(options.writeBack ? ['--write-back'] : [])];
  const script = await world.write('remount.sh', remount(flags));
  await world.mount(...flags);
  const { code, stdout, stderr } = await world.sh(`
    cd "$TOP" || exit; export REMOUNT='bash ${script}'
    exec python3 '${resolve('test/mount/fsx/fsx.py')}' "$MNT/file" \\
      --seed ${seed} --operations ${finite(operations)} --seconds ${finite(seconds)} --remounts ${remounts}`);
  if (code !== 0) throw new Error(`${stderr}\n${stdout}\n${await world.log()}`);
  await world.umount();
  const [expected, stored] = await Promise.all([
    readFile(join(world.directory, 'expected')),
    world.sandbox.store.readFile('/file'),
  ]);
  if (!stored.equals(expected)) throw new Error(`seed ${seed}: the service holds other bytes than were written`);
  const names = world.sandbox.store.tree().map(({ path }) => path);
  if (names.join() !== '/file') throw new Error(`seed ${seed}: the service holds ${names.join(', ')}`);
  return Number(stdout);
}

/** As Python spells it. */
function finite(number: number): string {
  return Number.isFinite(number) ? `${number}` : 'inf';
}
