import type { Clock } from '../../base/clock.js';
import { codeOf } from '../../base/errors.js';

/** Pauses between tries, ms. A user who has a file open is told after their sum. */
const PAUSES_MS = [20, 50, 100, 200];

/**
 * Unmounts. A program that looks at all mounts of the machine, such as df(1) or a monitor, makes a mount busy for a moment. So `busy` is
 * thrown only if it lasts.
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
