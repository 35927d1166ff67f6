/** What pins of very many small files cost the mount, and how long it holds up others. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { MadeAccountShape } from './made-account.js';
import { type Cost, onMachineOf, withMadeAccount } from './walk-costs.js';

/** How often it is asked whether all of it is here, ms. */
const LOOK_MS = 2000;

export async function pinCosts(
  shape: MadeAccountShape,
  flags: readonly string[],
  report: (cost: Cost) => void,
): Promise<void> {
  const all = shape.folders * shape.files;
  await withMadeAccount({ ...shape, hasContents: true }, (account) =>
    onMachineOf(account, async (world, watched) => {
      const measure = async (act: string, script: string, until?: () => Promise<boolean>): Promise<void> =>
        report(await watched.measure(act, script, until));
      const isHere = async (): Promise<boolean> => {
        const { pins } = await world.status();
        if (pins?.problem !== undefined) console.log(`  waits: ${pins.problem}`);
        await sleep(LOOK_MS);
        return pins?.files === all && pins.missingFiles === 0;
      };
      report(await watched.mount(flags));
      await measure('pin a tree', '$SYNCMOUNT pin . > /dev/null', isHere);
      await measure('status', '$SYNCMOUNT status . > /dev/null');
      await measure('pin --list', '$SYNCMOUNT pin --list > /dev/null');
      await measure('cache show', '$SYNCMOUNT cache > /dev/null');
      await watched.quiet();
      await world.umount();
      report({ ...(await watched.mount(flags)), act: 'mount again' });
      await measure('after the mount', 'ls > /dev/null', isHere);
      await measure('unpin', '$SYNCMOUNT unpin . > /dev/null', async () => (await world.status()).pins === undefined);
      await measure('pin again', '$SYNCMOUNT pin . > /dev/null', isHere);
      await measure(
        'pin one by one',
        `find folder-00000* -type f -print0 | xargs -0 -n 2000 $SYNCMOUNT pin > /dev/null`,
      );
      await measure('its list', '$SYNCMOUNT pin --list > /dev/null');
      await measure(
        'unpin all',
        `$SYNCMOUNT unpin . > /dev/null; find folder-00000* -type f -print0 | xargs -0 -n 2000 $SYNCMOUNT unpin > /dev/null`,
      );
      await watched.quiet();
      await world.umount();
    }),
  );
}
