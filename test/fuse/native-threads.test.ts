/** libfuse cancels its threads at an unmount: none may be in a signal handler, which holds a lock of libuv (`keepSignalsFromThreads`). */
import { readdir, readFile } from 'node:fs/promises';
import { constants } from 'node:os';
import { expect, it } from 'vitest';
import { loadAddon } from '../../src/fuse/kernel/addon.js';
import { nativeBinding } from '../../src/fuse/native/native-binding.js';
import { candidates, cleanUpMounts, mountMemory } from './harness.js';

cleanUpMounts();

const threads = (): Promise<string[]> => readdir('/proc/self/task');

/** The signals that a thread has blocked: bit n - 1 is signal n. */
async function blockedIn(thread: string): Promise<bigint> {
  const status = await readFile(`/proc/self/task/${thread}/status`, 'utf8');
  return BigInt(`0x${/^SigBlk:\s*([0-9a-f]+)$/m.exec(status)?.[1]}`);
}

const isBlocked = (mask: bigint, signal: number): boolean => ((mask >> BigInt(signal - 1)) & 1n) === 1n;

it("no signal but the synchronous ones reaches libfuse's threads, and all reach the thread that mounts", async ({
  skip,
}) => {
  const unavailable = candidates.find(({ binding }) => binding === nativeBinding)?.unavailable;
  if (unavailable !== undefined) skip(unavailable);
  const main = `${process.pid}`;
  // The threads of libuv's pool are there from the first of these calls on.
  const [before, mask] = [await threads(), await blockedIn(main)];
  const m = await mountMemory(nativeBinding);
  // Each of these calls occupies a thread, so libfuse starts more of them.
  await m.sh('for n in 1 2 3 4; do echo $n > f$n & done; wait; cat f*');
  const started = (await threads()).filter((thread) => !before.includes(thread));
  // The loop's own thread, the first worker, and those that it has started.
  expect(started.length).toBeGreaterThan(2);
  const { SIGCHLD, SIGWINCH, SIGUSR2, SIGSEGV, SIGBUS, SIGABRT } = constants.signals;
  for (const thread of started) {
    const blocked = await blockedIn(thread);
    for (const signal of [SIGCHLD, SIGWINCH, SIGUSR2])
      expect(isBlocked(blocked, signal), `signal ${signal}`).toBe(true);
    for (const signal of [SIGSEGV, SIGBUS, SIGABRT]) expect(isBlocked(blocked, signal), `signal ${signal}`).toBe(false);
  }
  expect(await blockedIn(main)).toBe(mask);
});

it('what the act throws comes through, and signals are let in again', async ({ skip }) => {
  const { withSignalsBlocked } = loadAddon();
  if (withSignalsBlocked === undefined) return skip('the addon was built before it had this call');
  const main = `${process.pid}`;
  const before = await blockedIn(main);
  expect(withSignalsBlocked(() => 42)).toBe(42);
  expect(() =>
    withSignalsBlocked(() => {
      throw new Error('out');
    }),
  ).toThrow('out');
  expect(() => (withSignalsBlocked as (act: unknown) => unknown)(1)).toThrow('bad argument');
  expect(await blockedIn(main)).toBe(before);
});
