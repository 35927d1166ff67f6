import { describe, expect, it } from 'vitest';
import { partOf, type Subject, subjects } from './subjects.js';

const parts = (isSkipped: (subject: Subject) => boolean, round: number, complete: boolean): string[] =>
  subjects.map((subject) => partOf(subject, subjects, isSkipped, round, complete));
const rounds = [0, 1, 2, 3, 4, 5, 6, 7, 100, 101];

describe('a test that subjects share', () => {
  it('is run by all in the complete matrix, but by 4sync beside 4shared one in four', () => {
    for (const round of rounds)
      expect(parts(() => false, round, true)).toEqual(
        subjects.map(({ provider }) => (provider === '4sync' && round % 4 !== 0 ? 'leave out' : 'run')),
      );
    expect(parts(({ binding }) => binding === 'native', 0, true)).toEqual(['run', 'run', 'run', 'run', 'skip']);
    // If 4shared cannot run a test, 4Sync runs it for their protocol.
    for (const round of rounds)
      expect(parts(({ provider }) => provider === '4shared', round, true)).toEqual([
        'skip',
        'run',
        'run',
        'run',
        'skip',
      ]);
  });

  it('is run once in the quick run, by each in turn, and not by 4sync beside 4shared', () => {
    const takers = rounds.map((round) =>
      parts(() => false, round, false).flatMap((part, i) => (part === 'run' ? [i] : [])),
    );
    expect(takers.flat()).toHaveLength(rounds.length);
    expect(
      takers
        .slice(0, 5)
        .flat()
        .map((i) => `${subjects[i]?.provider} ${subjects[i]?.binding}`),
    ).toEqual(['4shared kernel', '5sync kernel', 'acronis kernel', '4shared native', '4shared kernel']);
  });

  it('is run by one who can, and is a skip once where nobody can', () => {
    for (const round of rounds) {
      expect(parts(({ provider }) => provider !== 'acronis', round, false).indexOf('run')).toBe(3);
      expect(parts(({ provider }) => provider !== '4sync', round, false).indexOf('run')).toBe(1);
      expect(parts(() => true, round, false).filter((part) => part !== 'leave out')).toEqual(['skip']);
    }
  });
});
