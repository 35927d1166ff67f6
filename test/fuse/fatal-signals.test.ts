import { describe, expect, it } from 'vitest';
import { exitsByKill, hasFatalSignal, isExiting } from '../../src/fuse/kernel/connection/fatal-signals.js';

/** The lines of /proc/TID/status that tell of signals; sets of signal numbers. */
const status = (sets: {
  pending?: number[];
  shared?: number[];
  blocked?: number[];
  ignored?: number[];
  caught?: number[];
}) => {
  const hex = (numbers: number[] = []): string =>
    numbers
      .reduce((mask, number) => mask | (1n << BigInt(number - 1)), 0n)
      .toString(16)
      .padStart(16, '0');
  const { pending, shared, blocked, ignored, caught } = sets;
  return `Name:\tSigPnd: ffffffffffffffff\nSigQ:\t1/95904\nSigPnd:\t${hex(pending)}\nShdPnd:\t${hex(shared)}\nSigBlk:\t${hex(blocked)}\nSigIgn:\t${hex(ignored)}\nSigCgt:\t${hex(caught)}\nCapInh:\t0000000000000000\n`;
};
const [hup, int, kill, usr1, alarm, term, chld, cont, stop, tstp, winch, realtime] = [
  1, 2, 9, 10, 14, 15, 17, 18, 19, 20, 28, 34,
];

describe('hasFatalSignal', () => {
  it.each([
    ['nothing pends', {}, false],
    ['SIGKILL of the thread', { pending: [kill] }, true],
    ['SIGKILL, whatever the masks say', { shared: [kill], blocked: [kill], ignored: [kill], caught: [kill] }, true],
    ['SIGTERM by default', { shared: [term] }, true],
    ['SIGINT by default, of the thread', { pending: [int] }, true],
    ['a real-time signal by default', { shared: [realtime] }, true],
    ['SIGALRM with a handler', { shared: [alarm], caught: [alarm] }, false],
    ['SIGHUP ignored', { shared: [hup], ignored: [hup] }, false],
    ['SIGUSR1 blocked', { pending: [usr1], blocked: [usr1] }, false],
    ['what stops and continues', { pending: [stop], shared: [tstp, cont] }, false],
    ['what is ignored by default', { shared: [chld, winch] }, false],
    ['one that kills beside one that is caught', { shared: [alarm, term], caught: [alarm] }, true],
  ])('%s', (_, sets, expected) => {
    expect(hasFatalSignal(status(sets))).toBe(expected);
  });

  it('a text without masks says nothing', () => {
    expect(hasFatalSignal('')).toBe(false);
  });
});

describe('exitsByKill', () => {
  /** proc(5): the ninth field are the flags, the fifty-second is the exit code. */
  const stat = (flags: number, exitCode: number): string =>
    `41 (a) b) S ${[...Array(48).keys()].map((at) => (at === 5 ? flags : at)).join(' ')} ${exitCode}\n`;
  it.each([
    ['runs', 0x400000, 0, false],
    ['exits by itself', 0x400004, 0, false],
    ['exits with status 1', 0x400004, 0x100, false],
    ['was killed', 0x400004, 9, true],
    ['died with a core', 0x400004, 11 | 0x80, true],
    ['is to die, and has not begun', 0x400000, 9, false],
  ])('%s', (_, flags, exitCode, expected) => {
    expect(exitsByKill(stat(flags, exitCode))).toBe(expected);
  });
});

describe('isExiting', () => {
  it.each([
    ['runs', 'Name:\tcp\nState:\tR (running)\nVmPeak:\t 5744 kB\nVmSize:\t 5744 kB\nSigPnd:\t0\n', false],
    ['has given up its memory', 'Name:\tcp\nState:\tD (disk sleep)\nThreads:\t1\nSigPnd:\t0\n', true],
    ['is unknown', '', false],
  ])('%s', (_, status, expected) => {
    expect(isExiting(status)).toBe(expected);
  });
});
