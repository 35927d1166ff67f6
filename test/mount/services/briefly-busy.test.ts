import { describe, expect, it } from 'vitest';
import { SyncmountError } from '../../../src/base/errors.js';
import { unlessBrieflyBusy } from '../../../src/mount/session/briefly-busy.js';

/** Answers each of these codes once, then success; and the pauses between. */
async function attempt(...codes: string[]) {
  const slept: number[] = [];
  let tries = 0;
  const unmount = async (): Promise<void> => {
    tries++;
    const code = codes.shift();
    if (code !== undefined) throw new SyncmountError(code, code);
  };
  const clock = { sleep: async (ms: number) => void slept.push(ms) };
  const code = await unlessBrieflyBusy(unmount, clock).then(
    () => 'unmounted',
    (error) => error.code,
  );
  return { code, tries, slept };
}

describe('a mount that is busy', () => {
  it.each([
    [[], 'unmounted', 1],
    [['busy'], 'unmounted', 2],
    [['busy', 'busy', 'busy', 'busy'], 'unmounted', 5],
    [['busy', 'busy', 'busy', 'busy', 'busy'], 'busy', 5],
    [['unmount-failed'], 'unmount-failed', 1],
    [['busy', 'unmount-failed'], 'unmount-failed', 2],
  ])('after %j it is %s', async (codes, code, tries) => {
    const found = await attempt(...codes);
    expect(found).toMatchObject({ code, tries });
    expect(found.slept).toHaveLength(tries - 1);
    // Nobody waits for half a second to be told that a file is open.
    expect(found.slept.reduce((sum, ms) => sum + ms, 0)).toBeLessThan(500);
  });
});
