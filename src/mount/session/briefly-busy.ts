import type { Clock } from '../../base/clock.js';
import { codeOf } from '../../base/errors.js';

/** Between two tries, ms. A person who has a file open waits for so long, together, until he is told. */
const PAUSES_MS = [20, 50, 100, 200];

/**
 * Unmounts. Who looks at all mounts of the machine, such as df(1) or a program that watches it, makes one busy for a moment: `busy` is thrown
 * only where it lasts.
 */
export async function unlessBrieflyBusy(unmount: () => Promise<void>, clock: Pick<Clock, 'sleep'>): Promise<void> {
  for (const pause of PAUSES_MS) {
    try {
      return await unmount();
    } catch (error) {
      if (codeOf(error) !== 'busy') throw error;
    }
    await clock.sleep(pause);
  }
  await unmount();
}
